"""Events to rows and JSON, and what is new among them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from clusterwatch.cli.output import Column, encode
from clusterwatch.cli.views.incidents import severity_phrase
from clusterwatch.cli.wording import or_dash, stamp
from clusterwatch.model import Event

Numbered = tuple[int, Event]

_LOOK_BACK = 500


def event_json(numbered: Numbered) -> dict[str, Any]:
    """Return an event with its number in this database."""
    number, event = numbered
    return {"seq": number, **encode(event)}


EVENT_COLUMNS: tuple[Column[Numbered], ...] = (
    Column("HAPPENED", lambda each: stamp(each[1].happened_at)),
    Column("SEVERITY", lambda each: severity_phrase(each[1].severity)),
    Column("KIND", lambda each: each[1].kind),
    Column("COMPONENT", lambda each: str(each[1].component)),
    Column("JOB", lambda each: or_dash(each[1].job)),
    Column("TIMES", lambda each: f"x{each[1].count}"),
    Column("WHERE", lambda each: each[1].origin or each[1].source),
    Column("TEXT", lambda each: or_dash(each[1].text)),
)


def event_line(numbered: Numbered) -> str:
    """Return an event as one line, for lists that never end."""
    event = numbered[1]
    where, times = event.origin or event.source, f" x{event.count}" if event.count > 1 else ""
    about = f"{event.severity.name.lower()} {event.kind}{times} {event.component}"
    return f"{stamp(event.happened_at)}  {about}  [{where}]  {event.text}".rstrip()


class Tail:
    """What comes after a number, each event once.

    PostgreSQL hands out numbers before it knows who commits first, so each look goes a little further back than the
    last number and leaves out what it has shown.
    """

    def __init__(self, after_seq: Callable[[int], list[Numbered]], last: int) -> None:
        self._after_seq = after_seq
        self._last = last
        self._shown: set[int] = {number for number, _ in after_seq(max(last - _LOOK_BACK, 0)) if number <= last}

    def new(self) -> Iterator[Numbered]:
        """Yield the events that came since the last call, in the order of their numbers."""
        for number, event in self._after_seq(max(self._last - _LOOK_BACK, 0)):
            if number not in self._shown:
                self._shown.add(number)
                yield number, event
        self._last = max(self._shown, default=self._last)
        self._shown = {number for number in self._shown if number > self._last - _LOOK_BACK}
