"""Stems to stems that a text resembles less: to look again at what resembles one is a third of a search.

1. At each place of a text hyperscan asks, for a group of stems at once, whether each byte there, with the low bits of
   the next one, is such as any stem of the group has (its src/fdr/fdr_compile.cpp). "detach", "revive" and "notice" are
   enough to let "device" pass.
2. A log says the same again and again: what will pass is known from the parts that are frequent in a sample of it.
3. A stem because of which such parts pass is exchanged for other parts of its literals, because of which fewer do.
"""

from __future__ import annotations

from bisect import bisect
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

# Hyperscan has eight; one holds the bytes that no text holds (see `engines`), and two the shorter stems.
_GROUPS = 5
# In a quarter of a megabyte. Such parts are more than half of a log, and few.
_OFTEN = 8
_MOST_EXCHANGED = 200

_LOW_BITS = bytes(byte & 31 for byte in range(256))

_Marks = tuple[int, ...]
"""What is asked about a part: a number for each of its bytes with the low bits of the next one."""


def exchanged(
    stems: Mapping[bytes, Iterable[bytes]], parts_of: Callable[[bytes], Sequence[bytes]], seen: Mapping[bytes, int]
) -> set[bytes]:
    """Return stems of which every literal of *stems* holds one, as those do, and that fewer of *seen* resemble.

    Args:
        stems: All of one length, each with the literals it stands for.
        parts_of: Tells what of a literal may be its stem.
        seen: How often each part of that length stands in a sample.
    """
    groups = _Groups(stems, parts_of, {_marks(part): count for part, count in seen.items() if count >= _OFTEN})
    for stem in groups.blamed()[:_MOST_EXCHANGED]:
        groups.exchange(stem)
    return {*groups.stems}


class _Groups:
    """Stems in about the groups that hyperscan makes of them: by what they end with."""

    def __init__(
        self,
        stems: Mapping[bytes, Iterable[bytes]],
        parts_of: Callable[[bytes], Sequence[bytes]],
        frequent: Mapping[_Marks, int],
    ) -> None:
        self.stems: dict[bytes, set[bytes]] = {}
        self._parts_of = parts_of
        self._frequent = frequent
        self._with_mark: dict[int, list[_Marks]] = {}
        for marks in frequent:
            for mark in marks:
                self._with_mark.setdefault(mark, []).append(marks)
        ends = sorted(stem[::-1] for stem in stems)
        self._bounds = [ends[group * len(ends) // _GROUPS] for group in range(1, _GROUPS) if ends]
        self._groups = [Counter[int]() for _ in range(_GROUPS)]
        """How many stems of the group have a mark; no mark that none has."""
        for stem, literals in stems.items():
            self._add(stem).update(literals)

    def blamed(self) -> list[bytes]:
        """Return the stems without which less would pass; those that let most pass first."""
        blame = Counter[bytes]()
        for group, held in enumerate(self._groups):
            mine = [stem for stem in self.stems if self._group_of(stem) == group]
            alone = {mark: stem for stem in mine for mark in _marks(stem) if held[mark] == 1}
            for marks in self._passing(self._frequent, held):
                for stem in {alone[mark] for mark in marks if mark in alone}:
                    blame[stem] += self._frequent[marks]
        return sorted(blame, key=lambda stem: (-blame[stem], stem))

    def exchange(self, stem: bytes) -> None:
        """Put other parts of its literals in the place of *stem*, if less passes then."""
        literals = self._remove(stem)
        spared = self._passing_by(stem)
        before = {*self.stems}
        instead: dict[bytes, bytes] = {}
        for literal in sorted(literals):
            parts = self._parts_of(literal)
            held = [part for part in parts if part in self.stems]
            passing, instead[literal] = (0, held[0]) if held else min((self._passing_by(part), part) for part in parts)
            spared -= passing
            if spared <= 0:
                break
            self._add(instead[literal])
        if spared > 0:
            for literal, part in instead.items():
                self.stems[part].add(literal)
            return
        for part in self.stems.keys() - before:
            self._remove(part)
        self._add(stem).update(literals)

    def _passing_by(self, part: bytes) -> int:
        """Return how much more of the sample would pass if *part* were a stem."""
        held = self._groups[self._group_of(part)]
        new = [mark for mark in _marks(part) if mark not in held]
        if not new:
            return 0
        self._add(part)
        found = {marks for mark in new for marks in self._passing(self._with_mark.get(mark, ()), held)}
        self._remove(part)
        return sum(map(self._frequent.__getitem__, found))

    @staticmethod
    def _passing(frequent: Iterable[_Marks], held: Mapping[int, int]) -> Iterator[_Marks]:
        has = held.__contains__
        return (marks for marks in frequent if all(map(has, marks)))

    def _add(self, part: bytes) -> set[bytes]:
        """Make *part* a stem, and return the literals it stands for."""
        if part not in self.stems:
            self.stems[part] = set()
            self._groups[self._group_of(part)].update(_marks(part))
        return self.stems[part]

    def _remove(self, part: bytes) -> set[bytes]:
        held = self._groups[self._group_of(part)]
        held.subtract(marks := _marks(part))
        for mark in marks:
            if not held[mark]:
                del held[mark]
        return self.stems.pop(part)

    def _group_of(self, part: bytes) -> int:
        return bisect(self._bounds, part[::-1])


def _marks(part: bytes) -> _Marks:
    pairs = enumerate(zip(part, part[1:].translate(_LOW_BITS), strict=False))
    return (*[place << 13 | low << 8 | byte for place, (byte, low) in pairs], len(part) << 13 | part[-1])
