"""Nodes that were taken out to what brings them back.

1. A drained node is checked once, which tells of what it was drained for; later again, and only after it passed,
   released.
2. A node that was left out of a job is checked while no job that is followed runs there; once it passed twice, the job
   may use it again from its next restart on.
3. A check that failed is made again after a pause that doubles. What somebody else took out is not touched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache

from clusterwatch.model import Decision, Job, LeftOut, Mode, Node, NodeState, Step, StepKind, StepState
from clusterwatch.model.job import names_of_jobs
from clusterwatch.model.same import Same
from clusterwatch.policy.asked import ASKED
from clusterwatch.policy.decide import MODES, breaker_before
from clusterwatch.policy.limits import Limits
from clusterwatch.policy.situation import Cluster

RETURN = "return after a check"
"""What stands for the rule in a decision that brings a node back."""

CHECK_AGAIN = "check of a node that was left out"
"""What stands for the rule in a decision that checks one."""

_Done = tuple[Decision, Step]
"""A step, and the decision that it is part of."""

_PENDING = frozenset({StepState.RECORDED, StepState.BEGUN})
_MOST_DOUBLINGS = 5
_CHECK_AFTER_SECONDS = 1800.0
_FIRST_CHECK_SECONDS, _SECOND_CHECK_SECONDS = 180.0, 600.0
"""Until what a job left on a node is gone, and until a check that was passed is made again. Checked soon, it stands by
again, or is known to be broken while that still tells of what stopped the job.
"""


def care(cluster: Cluster, limits: Limits, now: datetime) -> tuple[list[Decision], datetime | None]:
    """Return the decisions that bring nodes back, and when the next is due."""
    done = _done_to_nodes(Same(cluster.recent))
    each = (*_drained(cluster, done, limits, now), *_left_out(cluster, done, limits, now))
    due = [due_at for _, due_at in each if due_at is not None]
    return [decision for decision, _ in each if decision is not None], min(due, default=None)


_Care = tuple[Decision | None, datetime | None]
"""What is to be done now; else when, None where nothing is."""


def _drained(cluster: Cluster, done: Mapping[str, _Past], limits: Limits, now: datetime) -> list[_Care]:
    return [
        _returning(cluster, node, past, limits, now)
        for name, past in done.items()
        if (node := cluster.nodes.get(name)) is not None and node.state is NodeState.DRAINED and node.drained_by
        if not _is_left_alone(cluster, name, now)
    ]


def _is_left_alone(cluster: Cluster, name: str, now: datetime) -> bool:
    return cluster.hold_on(f"node:{name}") is not None or name in cluster.in_maintenance(now)


def _left_out(cluster: Cluster, done: Mapping[str, _Past], limits: Limits, now: datetime) -> list[_Care]:
    """Return the checks of nodes that are left out of jobs, one for each node however many jobs that are."""
    waiting = {
        left.node: (job, left)
        for job in cluster.jobs.values()
        for left in (job.left_out if limits.checks(job.actuator) else ())
        if left.cleared_at is None and _can_be_checked(cluster, left, now)
    }
    busy = names_of_jobs(cluster.jobs.values())
    found = [
        _checking(job, left, limits, now)
        for name, (job, left) in sorted(waiting.items())
        if name not in busy and (name not in done or not done[name].is_pending)
    ]
    is_due = any(decision is not None for decision, _ in found)
    return [] if is_due and breaker_before(cluster, limits, now) is not None else found


def _can_be_checked(cluster: Cluster, left: LeftOut, now: datetime) -> bool:
    node = cluster.nodes.get(left.node)
    is_there = node is None or node.state in (NodeState.IN_SERVICE, NodeState.SUSPECT)
    # What failed is asked at once, before somebody mends it; whether it is mended, when it is to return.
    is_ours = node is not None and node.state is NodeState.DRAINED and node.drained_by != ""
    may_be_asked = is_there or (is_ours and left.checked_at is None)
    return may_be_asked and not _is_left_alone(cluster, left.node, now)


def _checking(job: Job, left: LeftOut, limits: Limits, now: datetime) -> _Care:
    due_at = (left.checked_at or left.since) + timedelta(seconds=_pause(left))
    if due_at > now:
        return None, due_at
    decision = Decision(
        id=f"dec-check-{left.node}-{now:%Y%m%d%H%M%S}",
        incident_id=left.incident_id,
        revision=0,
        job_id=None,
        mode=Mode.AUTO,
        reason=f"{left.node} was left out of {job.name} for {left.cause or 'a fault'}: {job.name} may use it again if "
        "it passes checks in a row.",
        made_at=now,
        policy=limits.policy.name,
        rule=CHECK_AGAIN,
        cause=left.cause,
    )
    arguments = {"node": left.node, "incident": left.incident_id, "cause": left.cause}
    step = Step(
        f"{decision.id}.1", decision.id, 1, StepKind.CHECK, job.actuator, job.id, arguments, now + limits.act_within
    )
    return replace(decision, steps=(replace(step, changed_at=now),)), None


def _pause(left: LeftOut) -> float:
    """Return the seconds from when *left* was left out, or checked last, to its next check."""
    if left.passes:
        return _SECOND_CHECK_SECONDS
    failures = min(left.failures - 1, _MOST_DOUBLINGS)
    return _CHECK_AFTER_SECONDS * 2.0**failures if left.failures else _FIRST_CHECK_SECONDS


def _returning(
    cluster: Cluster, node: Node, past: _Past, limits: Limits, now: datetime
) -> tuple[Decision | None, datetime | None]:
    if past.drain is None or past.due_at is None or past.is_pending:
        return None, None
    because, drain = past.drain
    if because.rule == ASKED:
        # Whoever drained it says when it comes back.
        return None, None
    if not limits.can(drain.actuator, StepKind.CHECK):
        return None, None
    if past.due_at > now:
        return None, past.due_at
    return _decided(cluster, node, because, drain, limits, now), None


@dataclass(frozen=True, slots=True)
class _Past:
    """What was to be done to a node of late: the last drain, whether anything is pending, when a check is due."""

    drain: _Done | None
    is_pending: bool
    due_at: datetime | None


# In most turns nothing was decided since the last one; two clusters may be looked after by turns.
@lru_cache(maxsize=8)
def _done_to_nodes(made: Same[tuple[Decision, ...]]) -> Mapping[str, _Past]:
    """Return what was to be done to nodes, by name: a fleet has too many to look through all of them each time."""
    found: dict[str, list[_Done]] = {}
    for decision in made.value:
        for step in decision.steps:
            if step.kind in _ABOUT_NODES:
                found.setdefault(str(step.arguments.get("node")), []).append((decision, step))
    return {name: _past(steps) for name, steps in sorted(found.items())}


def _past(steps: list[_Done]) -> _Past:
    drain = next((each for each in reversed(steps) if each[1].kind is StepKind.DRAIN), None)
    is_pending = any(step.state in _PENDING for _, step in steps)
    return _Past(drain, is_pending, _due_at(steps, drain[1]) if drain is not None else None)


_ABOUT_NODES = frozenset({StepKind.DRAIN, StepKind.RESET, StepKind.REBOOT, StepKind.CHECK, StepKind.RELEASE})


def _due_at(steps: list[_Done], drain: Step) -> datetime:
    """Return when the node is to be checked: some time after the last thing that was done to it."""
    given = drain.arguments.get("check_after_seconds")
    seconds = float(given) if isinstance(given, int | float) else _CHECK_AFTER_SECONDS
    drained_at = drain.changed_at or drain.not_after
    # A check that asks what failed does not tell whether it was mended.
    mending = (step for made, step in steps if made.rule != CHECK_AGAIN)
    since = [step for step in mending if (step.changed_at or drain.not_after) >= drained_at]
    failures = sum(step.kind is StepKind.CHECK and step.state is not StepState.DONE for step in since)
    last = max((step.changed_at for step in since if step.changed_at is not None), default=drain.not_after)
    return last + timedelta(seconds=seconds * 2.0 ** min(failures, _MOST_DOUBLINGS))


def _decided(
    cluster: Cluster, node: Node, because: Decision, drain: Step, limits: Limits, now: datetime
) -> Decision | None:
    breaker = breaker_before(cluster, limits, now)
    most = Mode.APPROVE if breaker is not None else Mode.AUTO
    mode = min(limits.mode_of(drain.actuator), limits.policy.mode, most, key=MODES.index)
    if mode not in (Mode.AUTO, Mode.APPROVE):
        return None
    decision = Decision(
        id=f"dec-return-{node.name}-{now:%Y%m%d%H%M%S}",
        incident_id=because.incident_id,
        revision=because.revision,
        job_id=None,
        mode=mode,
        reason=f"{node.name} was drained for {because.cause or 'a fault'}: it returns to service if it passes a check.",
        made_at=now,
        policy=limits.policy.name,
        rule=RETURN,
        cause=because.cause,
    )
    within = limits.approve_within if mode is Mode.APPROVE else limits.act_within
    steps = tuple(
        replace(
            drain,
            id=f"{decision.id}.{order}",
            decision_id=decision.id,
            order=order,
            kind=kind,
            arguments={"node": node.name, "incident": because.incident_id, "cause": because.cause},
            not_after=now + within,
            state=StepState.RECORDED,
            changed_at=now,
            detail="",
        )
        for order, kind in enumerate((StepKind.CHECK, StepKind.RELEASE), start=1)
    )
    return replace(decision, steps=steps)
