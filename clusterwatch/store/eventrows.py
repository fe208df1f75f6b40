"""Rows of the inbox to events: they are many, so each is made directly.

What another version may have written otherwise, the names of enumerations, is looked up; a row with an unknown one goes
through the validation that all other records go through, and fails there in its words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from clusterwatch.model import Component, ComponentKind, Event, Severity, Trust
from clusterwatch.model.making import maker
from clusterwatch.store import jsontext
from clusterwatch.store.binding import time_from_text, time_in_utc
from clusterwatch.store.records import event_of

COLUMNS = (
    *("id", "kind", "component_kind", "component_id", "node", "happened_at", "observed_at", "received_at", "source"),
    *("origin", "trust", "severity", "text", "rule", "fields", "job", "attempt", "rank", "count", "until", "boot_id"),
    "simulated",
)
"""What is read of an event, in the order of its fields."""

_COMPONENTS_KEPT = 1 << 15

_TRUSTS = {each.value: each for each in Trust}
_SEVERITIES = {int(each): each for each in Severity}
_COMPONENT_KINDS = {each.value: each for each in ComponentKind}
_made = maker(Event)


def events_of(rows: Sequence[Any], dialect: str) -> list[Event]:
    """Return the events of *rows* as the driver of *dialect* gives them: `COLUMNS`, and whatever is behind them."""
    time, fields = _FROM[dialect]
    return [_event(row, time, fields) for row in rows]


@lru_cache(maxsize=_COMPONENTS_KEPT)
def _component(kind: str, id_: str, node: str) -> Component:
    return Component(_COMPONENT_KINDS[kind], id_, node)


def _event(row: Any, time: Callable[[Any], datetime], fields: Callable[[Any], Mapping[str, Any]]) -> Event:
    id_, kind, of_kind, of_id, node, happened, observed, received, source, origin, trust, severity, *rest = row
    text, rule, read, job, attempt, rank, count, until, boot_id, simulated, *_ = rest
    try:
        component, known_trust, known_severity = _component(of_kind, of_id, node), _TRUSTS[trust], _SEVERITIES[severity]
    except KeyError:
        return event_of(dict(zip(COLUMNS, row, strict=False)) | {"fields": fields(read)})
    times = (time(happened), time(observed), time(received))
    judged = (known_trust, known_severity, text, rule, fields(read), job, attempt, rank, count)
    last_at = time(until) if until is not None else None
    return _made((id_, kind, component, *times, source, origin, *judged, last_at, boot_id, bool(simulated)))


def _as_it_is(value: Any) -> Any:
    return value


_FROM: dict[str, tuple[Callable[[Any], datetime], Callable[[Any], Mapping[str, Any]]]] = {
    "sqlite": (time_from_text, jsontext.loads),
    "postgresql": (time_in_utc, _as_it_is),
}
