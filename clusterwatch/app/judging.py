"""Recorded decisions to the situations they were made in, and what another policy would have decided there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from clusterwatch import policy
from clusterwatch.model import (
    Attempt,
    Decision,
    Incident,
    IncidentState,
    Job,
    JobState,
    Node,
    NodeState,
    Scalar,
    Step,
    StepKind,
    StepState,
)
from clusterwatch.store import IncidentView, JobView, Reader

COMPARED = ("node", "step", "nodes")
"""Arguments of a step that make it another one."""

_DAY = timedelta(days=1)
_PAGE = 100_000


@dataclass(frozen=True, slots=True)
class Judged:
    """A recorded decision, and the one that the policy under test makes in the same situation."""

    recorded: Decision
    instead: Decision

    @property
    def differs(self) -> bool:
        """Whether other steps would have been taken."""
        return _what(self.recorded) != _what(self.instead)


def judged(read: Reader, limits: policy.Limits, since: datetime | None = None) -> Iterator[Judged]:
    """Yield recorded decisions about jobs, oldest first, each with what *limits* decide there.

    After the first that differs nothing more is known: the world would have gone another way. What is compared are
    steps, not modes, for a policy is tried while another one acts.
    """
    made = [each for each in reversed(read.decisions(_PAGE, since=since)) if each.job_id is not None]
    for number, decision in enumerate(made):
        situation = situation_of(read, decision, made[:number])
        if situation is not None:
            yield Judged(decision, policy.decide(situation, limits, decision.made_at))


def up_to_the_first_that_differs(found: Iterator[Judged]) -> Iterator[Judged]:
    """Yield decisions up to the first that differs, that one included."""
    for each in found:
        yield each
        if each.differs:
            return


def would_decide(read: Reader, recorded: Sequence[Decision], limits: policy.Limits) -> list[Judged]:
    """Return, for each decision about a job, the one that *limits* make in its situation."""
    found = []
    for decision in recorded:
        before = read.decisions(_PAGE, since=decision.made_at - _DAY, before=decision.made_at)
        situation = situation_of(read, decision, before[::-1]) if decision.job_id is not None else None
        if situation is not None:
            found.append(Judged(decision, policy.decide(situation, limits, decision.made_at)))
    return found


def situation_of(read: Reader, decision: Decision, before: list[Decision]) -> policy.Situation | None:
    """Return the situation that *decision* was made in; None where its incident or job is not on record any more.

    Args:
        read: What is on record now.
        decision: About a job.
        before: Decisions made earlier, oldest first.
    """
    view = read.incident(decision.incident_id)
    job = read.job(decision.job_id) if decision.job_id is not None else None
    diagnosis = next((each for each in view.diagnoses if each.revision == decision.revision), None) if view else None
    if view is None or job is None or diagnosis is None:
        return None
    at = decision.made_at
    return policy.Situation(
        _as_it_was(view, at),
        diagnosis,
        _job_then(job, decision),
        tuple(_attempts_then(job, decision)),
        tuple(
            sorted((each for each in job.checkpoints if each.complete and each.saved_at <= at), key=lambda c: c.step)
        ),
        policy.Cluster(
            nodes={node.name: _node_then(node, before) for node in read.nodes()},
            jobs={each.id: each for each in read.jobs(active_only=True)},
            recent=tuple(each for each in before if at - each.made_at < _DAY),
        ),
    )


def _as_it_was(view: IncidentView, at: datetime) -> Incident:
    known = tuple(each for each in view.incident.evidence if each.first_at <= at)
    return replace(view.incident, state=IncidentState.DIAGNOSED, evidence=known or view.incident.evidence)


def _job_then(view: JobView, decision: Decision) -> Job:
    attempt = decision.attempt or view.job.attempt
    earlier = [each for each in view.attempts if each.number <= attempt]
    nodes = sorted({each.node for each in view.placements if each.attempt == attempt} - {""})
    return replace(
        view.job,
        state=JobState.INTERRUPTED,
        attempt=attempt,
        nodes=tuple(nodes) or view.job.nodes,
        highest_step=max((each.last_step or 0 for each in earlier), default=0),
        held="",
    )


def _attempts_then(view: JobView, decision: Decision) -> Iterator[Attempt]:
    for attempt in view.attempts:
        if attempt.number > (decision.attempt or 0):
            return
        has_ended = attempt.ended_at is not None and attempt.ended_at <= decision.made_at
        yield attempt if has_ended else replace(attempt, ended_at=None, exit_code=None)


def _node_then(node: Node, before: list[Decision]) -> Node:
    drains = [each.id for each in before for step in each.steps if _drained(step, node.name)]
    state = NodeState.DRAINED if drains else NodeState.IN_SERVICE
    return replace(node, state=state, drained_by=drains[-1] if drains else "")


def _drained(step: Step, node: str) -> bool:
    return step.kind is StepKind.DRAIN and step.state is StepState.DONE and step.arguments.get("node") == node


def _what(decision: Decision) -> list[tuple[StepKind, tuple[Scalar, ...]]]:
    return [(step.kind, tuple(step.arguments.get(name) for name in COMPARED)) for step in decision.steps]
