"""What checks of nodes found, as events: that is evidence like any other."""

from __future__ import annotations

from collections.abc import Iterator

from clusterwatch.model import (
    Event,
    Finding,
    Outcome,
    Severity,
    Step,
    StepKind,
    StepState,
    event_id,
    findings_told,
    kinds,
    node_component,
)


def events_of_survey(step: Step, outcome: Outcome) -> Iterator[Event]:
    """Yield that each node failed which did, and what its check found; nothing where *step* is no survey."""
    failed = str(outcome.facts.get("failed", "")) if step.kind is StepKind.SURVEY else ""
    nodes = tuple(filter(None, failed.split(",")))
    told = [each for each in findings_told(str(outcome.facts.get("found", ""))) if each.component.node in nodes]
    silent = {each.component.node for each in told if each.kind == kinds.NO_ANSWER}
    generic = [Finding(kinds.CHECK_FAILED, node_component(node)) for node in nodes if node not in silent]
    for number, each in enumerate((*generic, *told)):
        node = each.component.node
        what = f": {each.kind}" if each.kind != kinds.CHECK_FAILED else ""
        yield Event(
            id=event_id("", "", "actor", step.id, node if number < len(generic) else str(each)),
            kind=each.kind,
            component=each.component,
            happened_at=outcome.at,
            observed_at=outcome.at,
            source="actor",
            origin=f"step {step.id}",
            severity=Severity.ERROR,
            text=f"{node} failed a check of all nodes of {step.target}{what}",
            fields={"step_id": step.id},
            job=step.target,
        )


def events_of_check(step: Step, outcome: Outcome) -> Iterator[Event]:
    """Yield that a node failed its check that had been taken out, and what that found: it tells of what was before."""
    node = str(step.arguments.get("node") or "")
    # A check within the plan of a restart says for which attempt it is.
    if step.kind is not StepKind.CHECK or outcome.state is not StepState.FAILED or "attempt" in step.arguments:
        return
    told = [each for each in findings_told(str(outcome.facts.get("found", ""))) if each.component.node == node]
    generic = [Finding(kinds.CHECK_FAILED_OUT, node_component(node))] if node else []
    for number, each in enumerate((*generic, *told)):
        yield Event(
            id=event_id("", "", "actor", step.id, str(each) if number else node),
            kind=each.kind,
            component=each.component,
            happened_at=outcome.at,
            observed_at=outcome.at,
            source="actor",
            origin=f"step {step.id}",
            severity=Severity.ERROR if number else Severity.WARNING,
            text=f"{node} failed its check: {each.kind if number else outcome.detail}",
            fields={"step_id": step.id},
        )
