"""Each event of a turn to the incident that it belongs to; what joins none is kept, and then counted."""

from __future__ import annotations

from collections.abc import Iterable

from clusterwatch import correlate
from clusterwatch.model import Event, Knowledge, Role, Severity
from clusterwatch.model.world import world_with
from clusterwatch.turning.going_on import gone_on, running_again_since, suspected
from clusterwatch.turning.murmuring import count_murmurs
from clusterwatch.turning.naming import by_name
from clusterwatch.turning.own_doing import ended_by_us, without_our_doing
from clusterwatch.turning.state import Turning

MOST_UNEXPLAINED = 500
"""Warnings that are kept because they may explain what follows; a storm of them explains nothing."""


def group(turn: Turning, events: Iterable[Event]) -> None:
    """Put the events into incidents, but for what ClusterWatch made happen itself: that is nobody's fault."""
    turn.named = by_name(events, turn.world.nodes)
    events = without_our_doing(turn.named, ended_by_us(turn.world), turn.knowledge)
    _correlate(turn, events)
    known = turn.world.unexplained
    if turn.incidents and known:
        _correlate(turn, known)
    matters = {kind for kind in {event.kind for event in events} if _may_matter(kind, turn.knowledge)}
    _keep_unexplained(turn, (*known, *(event for event in events if event.kind in matters)))


def _correlate(turn: Turning, events: Iterable[Event]) -> None:
    run_again = running_again_since(turn)
    grouped = correlate.add_events(
        turn.world.incidents,
        events,
        turn.knowledge,
        {**turn.jobs_before, **turn.world.jobs},
        turn.world.topology,
        turn.limits.correlate,
        turn.now,
        gone_on(turn),
        run_again,
        suspected(turn, run_again),
    )
    turn.memberships += grouped.memberships
    for incident in grouped.incidents.values():
        turn.put(incident)


def _keep_unexplained(turn: Turning, events: Iterable[Event]) -> None:
    """Keep those of *events* that joined no incident while they may yet explain one; count the older ones."""
    joined = {event_id for _, event_id in turn.memberships}
    since = turn.now - turn.limits.correlate.before
    left = [event for event in events if event.id not in joined]
    count_murmurs(turn, ((event.kind, event.node) for event in left if event.happened_at < since))
    waiting = [event for event in left if event.happened_at >= since]
    turn.world = world_with(turn.world, unexplained=tuple(waiting[-MOST_UNEXPLAINED:]))


def _may_matter(kind: str, knowledge: Knowledge) -> bool:
    """Say whether an event of *kind* that opened no incident may yet explain one."""
    signal = knowledge[kind]
    is_cause = signal.severity >= Severity.WARNING and signal.role is not Role.CONTEXT
    return is_cause or kind in knowledge.endings
