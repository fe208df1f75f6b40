"""Events that this process wrote a moment ago, so that it need not read them back (SQLite).

1. Numbers there are in the order of commit and have no gaps: what stands between two events of ours is ours as well.
2. What others wrote is not here; the inbox then reads the table, and goes on there.
3. Nothing is kept before somebody read once, and everything is let go when too much is kept: the reader is elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from threading import Lock

from clusterwatch.model import Event
from clusterwatch.model.making import changer
from clusterwatch.store.columns import storable

MOST_KEPT = 20_000

_changed = changer(Event)


class JustWritten:
    """The last events that were written and not read yet, as the table gives them. Safe for several threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._events: list[Event] = []
        self._first_seq = 0
        self._is_read = False

    def note(self, events: Sequence[Event], first_seq: int | None, now: datetime) -> None:
        """Keep *events*, which were committed with numbers from *first_seq* on, at *now*."""
        if first_seq is None:
            return
        with self._lock:
            if not self._is_read:
                return
            if self._first_seq + len(self._events) != first_seq:
                self._events, self._first_seq = [], first_seq
            self._events += [as_stored(event, now) for event in events]
            if len(self._events) > MOST_KEPT:
                self._events, self._is_read = [], False

    def after(self, seq: int, limit: int) -> list[Event]:
        """Return the first *limit* events behind number *seq*, those before forgotten; [] if they are not known."""
        with self._lock:
            self._is_read = True
            passed = seq + 1 - self._first_seq
            if not 0 <= passed < len(self._events):
                return []
            self._events, self._first_seq = self._events[passed:], seq + 1
            return self._events[:limit]


def as_stored(event: Event, now: datetime) -> Event:
    """Return *event* as the table gives it that got it at *now*: times in UTC, text without what no database takes.

    What no database takes stays in the fields until they are read from the table.
    """
    changes: dict[str, object] = {"received_at": _in_utc(now)}
    if event.happened_at.tzinfo is not UTC:
        changes["happened_at"] = _in_utc(event.happened_at)
    if event.observed_at.tzinfo is not UTC:
        changes["observed_at"] = _in_utc(event.observed_at)
    if event.until is not None:
        changes["until"] = _in_utc(event.until)
    text = storable(event.text)
    if text is not event.text:
        changes["text"] = text
    return _changed(event, changes)


def _in_utc(at: datetime) -> datetime:
    return at if at.tzinfo is UTC else at.astimezone(UTC)
