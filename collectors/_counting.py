"""Raw counters of a device to totals since the first look of this boot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

MOST_OF_A_TURN = 0.9
"""A counter that was above this share of its end and is low now has turned over; otherwise somebody cleared it."""

_STARTED = ""


@dataclass(slots=True)
class Totals:
    """What each counter of one device moved since the first look: {name: [last raw value, total]}.

    The first look gives 0: what a counter stands at before anybody looked has no time. A counter that was cleared, or
    began anew with its driver, counts on from 0; one that turns over at *turns_at* counts over its end. One that is
    missing for a while keeps its total.

    Attributes:
        stored: As it was after the look before; changed in place.
        turns_at: Where counters turn over, by their names.
        sparse: Counters that never moved from 0 are not stored: most devices have many of them.
        moved: Names of the counters that moved at the last `add`.
    """

    stored: dict[str, list[int]] = field(default_factory=dict)
    turns_at: Mapping[str, int] = field(default_factory=dict)
    sparse: bool = False
    moved: tuple[str, ...] = ()

    def add(self, raw: Mapping[str, int]) -> dict[str, int]:
        """Return the totals of the counters in *raw*, with what they moved since the last call."""
        is_first = _STARTED not in self.stored
        before = {name: self._last(name, value, is_first) for name, value in raw.items()}
        after = {name: total + self._growth(name, last, raw[name]) for name, (last, total) in before.items()}
        kept = {name: [raw[name], after[name]] for name in raw if not self.sparse or raw[name] or after[name]}
        self.stored.update({_STARTED: [1, 0], **kept} if self.sparse and raw else kept)
        self.moved = tuple(name for name in raw if after[name] > before[name][1])
        return after

    def _last(self, name: str, value: int, is_first: bool) -> tuple[int, int]:
        last, total = self.stored.get(name, [0 if self.sparse and not is_first else value, 0])
        return last, total

    def _growth(self, name: str, last: int, value: int) -> int:
        if value >= last:
            return value - last
        end = self.turns_at.get(name, 0)
        return end - last + value if last > end * MOST_OF_A_TURN > 0 else value


def totals_in(position: Mapping[str, object], boot_id: str) -> dict[str, dict[str, list[int]]]:
    """Return what was stored for each device; nothing where that was another boot's."""
    stored = position.get("counters")
    if not isinstance(stored, Mapping) or position.get("boot_id") != boot_id:
        return {}
    return {key: dict(_valid(counters)) for key, counters in stored.items() if isinstance(counters, Mapping)}


def _valid(counters: Mapping[str, object]) -> Iterator[tuple[str, list[int]]]:
    for name, pair in counters.items():
        if isinstance(pair, list) and len(pair) == 2 and all(isinstance(value, int) for value in pair):
            yield name, list(pair)
