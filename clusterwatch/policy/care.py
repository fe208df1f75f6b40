"""Drained nodes to what brings them back: a check, and only after it passed, their release.

A check that failed is made again after a pause that doubles. What somebody else took out of service is not touched.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from clusterwatch.model import Decision, Mode, Node, NodeState, Step, StepKind, StepState
from clusterwatch.policy.asked import ASKED
from clusterwatch.policy.decide import MODES, breaker_before
from clusterwatch.policy.limits import Limits
from clusterwatch.policy.situation import Cluster

RETURN = "return after a check"
"""What stands for the rule in a decision that brings a node back."""

_Done = tuple[Decision, Step]
"""A step, and the decision that it is part of."""

_PENDING = frozenset({StepState.RECORDED, StepState.BEGUN})
_MOST_DOUBLINGS = 5
_CHECK_AFTER_SECONDS = 1800.0


def care(cluster: Cluster, limits: Limits, now: datetime) -> tuple[list[Decision], datetime | None]:
    """Return the decisions that bring drained nodes back, and when the next is due."""
    made, wake_at = [], None
    for name, steps in _steps_by_node(cluster.recent).items():
        node = cluster.nodes.get(name)
        if node is None or node.state is not NodeState.DRAINED or not node.drained_by:
            continue
        if cluster.hold_on(f"node:{name}") is not None or name in cluster.in_maintenance(now):
            continue
        decision, due_at = _returning(cluster, node, steps, limits, now)
        if decision is not None:
            made.append(decision)
        elif due_at is not None:
            wake_at = min(due_at, wake_at or due_at)
    return made, wake_at


def _returning(
    cluster: Cluster, node: Node, steps: list[_Done], limits: Limits, now: datetime
) -> tuple[Decision | None, datetime | None]:
    drain = next((each for each in reversed(steps) if each[1].kind is StepKind.DRAIN), None)
    if drain is None or any(step.state in _PENDING for _, step in steps):
        return None, None
    if drain[0].rule == ASKED:
        # Whoever drained it says when it comes back.
        return None, None
    if not limits.can(drain[1].actuator, StepKind.CHECK):
        return None, None
    due_at = _due_at(steps, drain[1])
    if due_at > now:
        return None, due_at
    return _decided(cluster, node, *drain, limits, now), None


def _steps_by_node(made: Iterable[Decision]) -> dict[str, list[_Done]]:
    """Return what was to be done to nodes, by name: a fleet has too many to look through all of them each time."""
    found: dict[str, list[_Done]] = {}
    for decision in made:
        for step in decision.steps:
            if step.kind in _ABOUT_NODES:
                found.setdefault(str(step.arguments.get("node")), []).append((decision, step))
    return dict(sorted(found.items()))


_ABOUT_NODES = frozenset({StepKind.DRAIN, StepKind.RESET, StepKind.REBOOT, StepKind.CHECK, StepKind.RELEASE})


def _due_at(steps: list[_Done], drain: Step) -> datetime:
    """Return when the node is to be checked: some time after the last thing that was done to it."""
    given = drain.arguments.get("check_after_seconds")
    seconds = float(given) if isinstance(given, int | float) else _CHECK_AFTER_SECONDS
    since = [step for _, step in steps if (step.changed_at or drain.not_after) >= (drain.changed_at or drain.not_after)]
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
