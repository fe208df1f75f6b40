"""Events and diagnoses of logs to the order they are told in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from clusterwatch.model import Cause, Diagnosis, Event, Incident

NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)
"""From here on the lines happened that carry no time, a millisecond each."""

_FIRST_TIME = datetime(1990, 1, 1, tzinfo=UTC)


def timed(events: Sequence[Event]) -> tuple[list[Event], frozenset[str]]:
    """Return *events* with those that have no time moved to where the others begin, and the ids of the moved ones."""
    first = min((event.happened_at for event in events if event.happened_at >= _FIRST_TIME), default=None)
    untimed = frozenset(event.id for event in events if event.happened_at < _FIRST_TIME)
    if first is None:
        return list(events), untimed
    shift = first - NO_TIME
    return [_moved(event, shift) if event.id in untimed else event for event in events], untimed


def counted(event: Event, also: Mapping[str, int]) -> Event:
    """Return *event* with what was passed over because it says the same."""
    return replace(event, count=event.count + also[event.origin]) if event.origin in also else event


def _moved(event: Event, shift: timedelta) -> Event:
    until = event.until + shift if event.until is not None else None
    return replace(event, happened_at=event.happened_at + shift, until=until)


def gravest_first(explained: tuple[Incident, Diagnosis]) -> tuple[bool, int, bool, float, datetime]:
    """Return what to sort by, so that the gravest comes first and what is benign last."""
    incident, diagnosis = explained
    return (
        diagnosis.cause is Cause.BENIGN,
        -incident.severity,
        diagnosis.is_undetermined,
        -diagnosis.confidence,
        incident.opened_at,
    )
