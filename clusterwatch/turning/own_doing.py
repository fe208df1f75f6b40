"""What ClusterWatch made happen itself: that is nobody's fault."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from clusterwatch.model import Cause, Decision, Event, Knowledge, Mode, StepKind, StepState, World
from clusterwatch.turning.limits import AT_ONCE

TOLD_WITHIN = timedelta(minutes=2)
"""Processes that ClusterWatch ended have said so by then."""

CLOCKS_APART = timedelta(minutes=3)
"""Of thousands of nodes whose clocks are off by half a minute, the farthest is off by less."""

_ENDING = frozenset({StepKind.HOLD, StepKind.REQUEUE, StepKind.STOP})
"""Steps that end the processes of a job."""


def without_our_doing(events: Iterable[Event], ended_at: Mapping[str, datetime], knowledge: Knowledge) -> list[Event]:
    """Return *events* without what jobs say because ClusterWatch ended their processes; see `ended_by_us`."""
    return [event for event in events if not (ended_at and _is_of_our_doing(event, ended_at, knowledge))]


def ended_by_us(world: World) -> dict[str, datetime]:
    """Return when ClusterWatch last ended the processes of a job, by job id."""
    return {
        decision.job_id: step.changed_at
        for made in world.decisions.values()
        for decision in made
        for step in decision.steps
        if decision.job_id and step.kind in _ENDING and step.state in _under_way(decision)
        if step.changed_at is not None
    }


def _is_of_our_doing(event: Event, ended_at: Mapping[str, datetime], knowledge: Knowledge) -> bool:
    acted_at = ended_at.get(event.job or "")
    if acted_at is None or not (_is_told_then(event, acted_at) or _came_in_then(event, acted_at)):
        return False
    return knowledge[event.kind].leading_cause is Cause.PREEMPTION_OR_OPERATOR


def _is_told_then(event: Event, acted_at: datetime) -> bool:
    return -AT_ONCE <= event.happened_at - acted_at <= TOLD_WITHIN


def _came_in_then(event: Event, acted_at: datetime) -> bool:
    """Return whether *event* came in right after ClusterWatch acted, by its own clock; its node's may be far off."""
    came_in = event.received_at
    is_then = came_in is not None and timedelta(0) <= came_in - acted_at <= TOLD_WITHIN
    return is_then and abs(event.happened_at - acted_at) <= CLOCKS_APART


def _under_way(decision: Decision) -> tuple[StepState, ...]:
    """Return the states of a step that is being done, as far as is known here: that it was begun is not told."""
    begun = (StepState.BEGUN, StepState.DONE)
    return (StepState.RECORDED, *begun) if decision.mode is Mode.AUTO else begun
