"""Repeated events: the first go at once, the rest as closed windows with their count.

1. The first FOLD_AFTER events of a kind on a component go one by one.
2. Later ones are folded into windows of 1, 2, 4 ... 60 seconds; a window goes when it closes.
3. After FORGET_SECONDS of silence the next one is a first one again.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from clusterwatch.detect.state import Repeats
from clusterwatch.model import Event, event_id

FOLD_AFTER = 10
LONGEST_WINDOW_SECONDS = 60.0
FORGET_SECONDS = 120.0

# Each of these is a moment in the life of a job; two alike are two moments.
_NEVER_FOLDED = frozenset({"job", "attempt", "rank", "process", "checkpoint", "action", "training"})


def is_folded(event: Event) -> bool:
    """Return whether repeats of *event* may be told as a count."""
    return event.kind.partition(".")[0] not in _NEVER_FOLDED


def fold_key(event: Event) -> str:
    """Return what two events share when one repeats the other."""
    parts = (event.kind, event.component.kind, event.component.id, event.node, event.rule)
    return "|".join(map(str, (*parts, event.job, event.attempt, event.source, event.boot_id)))


def add(repeats: Repeats | None, event: Event) -> tuple[Repeats, Event | None]:
    """Return the repeats with *event* among them, and what goes out at once."""
    if repeats is None:
        return Repeats(seen=1, last_at=event.observed_at), event
    if repeats.folded is not None:
        folded = replace(
            repeats.folded,
            count=repeats.folded.count + event.count,
            until=max(repeats.folded.last_at, event.happened_at),
        )
        return replace(repeats, last_at=event.observed_at, folded=folded), None
    if repeats.seen < FOLD_AFTER:
        return replace(repeats, seen=repeats.seen + 1, last_at=event.observed_at), event
    closes_at = event.observed_at + timedelta(seconds=repeats.seconds)
    return replace(repeats, last_at=event.observed_at, closes_at=closes_at, folded=_window(event)), None


def close(repeats: Repeats) -> tuple[Repeats, Event]:
    """Return the repeats with their open window closed, and the window's event."""
    if repeats.folded is None:
        raise ValueError("no window is open")
    seconds = min(repeats.seconds * 2, LONGEST_WINDOW_SECONDS)
    return replace(repeats, seconds=seconds, closes_at=None, folded=None), repeats.folded


def is_forgotten(repeats: Repeats, now: datetime) -> bool:
    """Return whether the last occurrence is so long ago that the next one is news."""
    return repeats.folded is None and now - repeats.last_at > timedelta(seconds=FORGET_SECONDS)


def _window(first: Event) -> Event:
    # Named after its first event: the same window gets the same id when it is read again after a crash.
    window_id = event_id(first.node, first.boot_id, first.source, f"window:{first.id}", first.kind)
    return replace(first, id=window_id)
