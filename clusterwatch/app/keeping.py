"""Events to the few that are kept of each meaning: every wording, and of each the earliest."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from clusterwatch.model import Component, ComponentKind, Event, Trust

EVENTS_PER_WORDING = 40
"""Of events of one meaning whose texts differ in numbers alone, the earliest are kept."""

EVENTS_PER_MEANING = 200
"""Of events of one meaning; what repeats on one component is folded before it is counted here."""

COMPONENTS_PER_MEANING = 200
"""Of so many parts of nodes one event is kept wherever there is no room: each broken part is to be named."""

_OF_JOBS = (ComponentKind.RANK, ComponentKind.PROCESS, ComponentKind.JOB)
_NUMBER = re.compile(r"0x[0-9a-f]+|\d+")
_WORDING_CHARACTERS = 160
_FIRST_TIME = datetime(1990, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Kept:
    """Events added one by one, and those that are kept."""

    _by_wording: dict[tuple[str, str], list[Event]] = field(default_factory=dict)
    _total: Counter[str] = field(default_factory=Counter)
    _named: dict[str, dict[Component, Event | None]] = field(default_factory=dict)

    def add(self, event: Event, meaning: str) -> None:
        """Keep *event* if there is room for it, or if it is earlier than one that says the same."""
        wording = (meaning, _NUMBER.sub("0", event.text[:_WORDING_CHARACTERS]))
        alike = self._by_wording.get(wording, [])
        if len(alike) < EVENTS_PER_WORDING and self._total[meaning] < EVENTS_PER_MEANING:
            self._by_wording.setdefault(wording, alike).append(event)
            self._total[meaning] += 1
            self._named.setdefault(meaning, {}).setdefault(event.component, None)
        elif self._names_more(event, meaning):
            self._named[meaning][event.component] = event
        elif alike and event.happened_at >= _FIRST_TIME:
            latest = max(range(len(alike)), key=lambda index: alike[index].happened_at)
            if event.happened_at < alike[latest].happened_at:
                displaced, alike[latest] = alike[latest], event
                if _is_hardware(displaced):
                    self._named[meaning][displaced.component] = displaced

    def events(self) -> Iterator[Event]:
        """Yield what was kept."""
        for alike in self._by_wording.values():
            yield from alike
        for named in self._named.values():
            yield from filter(None, named.values())

    def _names_more(self, event: Event, meaning: str) -> bool:
        named = self._named.setdefault(meaning, {})
        return _is_hardware(event) and event.component not in named and len(named) < COMPONENTS_PER_MEANING


def _is_hardware(event: Event) -> bool:
    return event.trust is Trust.NODE and event.component.kind not in _OF_JOBS
