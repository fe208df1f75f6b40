"""Repeated events: the first go at once, the rest as closed windows with their count.

1. The first FOLD_AFTER events of a kind on a component go one by one.
2. Later ones are folded into windows of 1, 2, 4 ... 60 seconds; a window goes when it closes.
3. A symptom that ranks of a job print is folded from its first event on, and with that of all ranks of its node: they
   print it alike, within moments, and none of them is the cause. It goes with the ranks that printed it.
4. After FORGET_SECONDS of silence the next one is a first one again.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from clusterwatch.detect.state import Repeats
from clusterwatch.model import Component, ComponentKind, Event, Knowledge, Role, Scalar, event_id
from clusterwatch.model import ranks as ranges
from clusterwatch.model.making import changer, maker
from clusterwatch.model.signal import LOOKED_UP_KEPT

FOLD_AFTER = 10
FIRST_WINDOW_SECONDS = 1.0
LONGEST_WINDOW_SECONDS = 60.0
FORGET_SECONDS = 120.0

_FORGET = timedelta(seconds=FORGET_SECONDS)

changed = changer(Event)

_repeats = maker(Repeats)

# Each of these is a moment in the life of a job; two alike are two moments.
_NEVER_FOLDED = frozenset({"job", "attempt", "rank", "process", "checkpoint", "action", "training"})


@lru_cache(maxsize=LOOKED_UP_KEPT)
def is_folded(kind: str) -> bool:
    """Return whether repeats of events of *kind* may be told as a count."""
    return kind.partition(".")[0] not in _NEVER_FOLDED


def is_shared(event: Event, knowledge: Knowledge) -> bool:
    """Return whether the ranks of a node tell *event* together: a symptom of a job whose attempts are followed."""
    return (
        event.rank is not None
        and event.job is not None
        and event.attempt is not None
        and knowledge[event.kind].role is Role.SYMPTOM
    )


def fold_key(event: Event, *, shared: bool = False) -> str:
    """Return what two events share when one repeats the other; where ranks tell it together, none of them is named."""
    part = event.component
    name = "" if shared and part.kind is ComponentKind.RANK else part.id
    who = f"{event.job}|{event.attempt}|{event.source}|{event.boot_id}"
    return f"{event.kind}|{part.kind}|{name}|{part.node}|{event.rule}|{who}"


def add(repeats: Repeats | None, event: Event, *, shared: bool = False) -> tuple[Repeats, Event | None]:
    """Return the repeats with *event* among them, and what goes out at once."""
    if repeats is not None and repeats.folded is not None:
        return _with_one_more(repeats, repeats.folded, event), None
    seen, window = (repeats.seen, repeats.seconds) if repeats is not None else (0, FIRST_WINDOW_SECONDS)
    if seen < FOLD_AFTER and not shared:
        return _repeats((seen + 1, event.observed_at, window, None, None, 0, None, None, ())), event
    closes_at = event.observed_at + timedelta(seconds=window)
    ranks = ((event.rank, event.rank),) if shared and event.rank is not None else ()
    return _repeats((seen, event.observed_at, window, closes_at, event, 0, None, None, ranks)), None


def close(repeats: Repeats) -> tuple[Repeats, Event]:
    """Return the repeats with their open window closed, and the window's event."""
    if repeats.folded is None:
        raise ValueError("no window is open")
    seconds = min(repeats.seconds * 2, LONGEST_WINDOW_SECONDS)
    return Repeats(repeats.seen, repeats.last_at, seconds), _told(repeats, repeats.folded)


def is_forgotten(repeats: Repeats, now: datetime) -> bool:
    """Return whether the last occurrence is so long ago that the next one is news."""
    return repeats.folded is None and now - repeats.last_at > _FORGET


def of_ranks(event: Event, ranks: ranges.Ranges) -> dict[str, Any]:
    """Return what changes in *event* if it is that of all *ranks*: the lowest stands for them, not who came first."""
    if not ranks or ranks == ((event.rank, event.rank),):
        return {}
    lowest = ranks[0][0]
    fields: dict[str, Scalar] = {**event.fields, **({"rank": lowest} if "rank" in event.fields else {})}
    if ranges.count(ranks) > 1:
        fields["ranks"] = ranges.as_text(ranks)
    is_of_rank = event.component.kind is ComponentKind.RANK
    component = Component(ComponentKind.RANK, str(lowest), event.node) if is_of_rank else event.component
    return {"component": component, "rank": lowest, "fields": fields}


def _with_one_more(repeats: Repeats, first: Event, event: Event) -> Repeats:
    ranks = ranges.with_rank(repeats.ranks, event.rank) if repeats.ranks and event.rank is not None else repeats.ranks
    first_at = min(repeats.first_at or first.happened_at, event.happened_at)
    until, more = max(repeats.until or first.last_at, event.last_at), repeats.more + event.count
    window = (repeats.seconds, repeats.closes_at, first, more, first_at, until, ranks)
    return _repeats((repeats.seen, event.observed_at, *window))


def _told(repeats: Repeats, first: Event) -> Event:
    if not repeats.more:
        return first
    # Named after its first event: the same window gets the same id when it is read again after a crash.
    window_id = event_id(first.node, first.boot_id, first.source, f"window:{first.id}", first.kind)
    count, first_at = first.count + repeats.more, repeats.first_at or first.happened_at
    changes: dict[str, Any] = {"id": window_id, "count": count, "happened_at": first_at, "until": repeats.until}
    return changed(first, {**changes, **of_ranks(first, repeats.ranks)})
