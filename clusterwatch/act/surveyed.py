"""What checks of nodes found, as events: that is evidence like any other."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from clusterwatch.model import (
    BY_ACTOR,
    OF_INCIDENT,
    Event,
    Finding,
    Outcome,
    Scalar,
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
    told = _found_on(nodes, outcome)
    silent = {each.component.node for each in told if each.kind == kinds.NO_ANSWER}
    where = f"failed a check of all nodes of {step.target}"
    for node in nodes:
        if node not in silent:
            generic = Finding(kinds.CHECK_FAILED, node_component(node))
            yield _event(step, outcome, node, generic, Severity.ERROR, f"{node} {where}", step.target)
    for each in told:
        text = f"{each.component.node} {where}: {each.kind}"
        yield _event(step, outcome, str(each), each, Severity.ERROR, text, step.target)


def events_of_check(step: Step, outcome: Outcome) -> Iterator[Event]:
    """Yield that a node failed its check that had been taken out, and what that found: it tells of what was before."""
    node = str(step.arguments.get("node") or "")
    # A check within the plan of a restart says for which attempt it is.
    is_out = step.kind is StepKind.CHECK and "attempt" not in step.arguments
    if not node or not is_out or outcome.state is not StepState.FAILED:
        return
    generic = Finding(kinds.CHECK_FAILED_OUT, node_component(node))
    yield _event(step, outcome, node, generic, Severity.WARNING, f"{node} failed its check: {outcome.detail}")
    for each in _found_on((node,), outcome):
        yield _event(step, outcome, str(each), each, Severity.ERROR, f"{node} failed its check: {each.kind}")


def _found_on(nodes: Collection[str], outcome: Outcome) -> list[Finding]:
    told = findings_told(str(outcome.facts.get("found", "")))
    return [each for each in told if each.component.node in nodes]


def _incident_of(step: Step) -> dict[str, Scalar]:
    """Return for which incident *step* checks a node that was taken out: what it finds tells of that one."""
    incident = step.arguments.get("incident")
    return {OF_INCIDENT: incident} if incident and step.kind is StepKind.CHECK else {}


def _event(
    step: Step, outcome: Outcome, what: str, finding: Finding, severity: Severity, text: str, job: str | None = None
) -> Event:
    return Event(
        id=event_id("", "", BY_ACTOR, step.id, what),
        kind=finding.kind,
        component=finding.component,
        happened_at=outcome.at,
        observed_at=outcome.at,
        source=BY_ACTOR,
        origin=f"step {step.id}",
        severity=severity,
        text=text,
        fields={"step_id": step.id, **_incident_of(step)},
        job=job,
    )
