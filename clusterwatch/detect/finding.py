"""Texts to the lines of them that hold a literal: the longer the search lasts, the faster it is.

1. Most lines hold nothing, and to see that is most of the work. At first it is looked for all literals.
2. Once so much was searched that learning pays, it is looked for their stems (see `stems`), and what holds one of those
   is looked at again. What is found stays the same.
3. When a log begins to speak of other things, its lines may hold stems all the time: then they are learned anew.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import accumulate

from clusterwatch.detect.engines import LineEnds, Scan, line_ends, line_marker, marker, scanner
from clusterwatch.detect.stems import stems

LEARNED_AFTER_BYTES = 64 * 1024 * 1024
"""Learning takes about as long as to search four times as much, and what has come so far mostly goes on."""

_PIECES = 64
_PIECE_BYTES = 4 * 1024
# So many times as many lines as in a good time make learning anew worth while.
_TOO_MANY = 2
# Of a stretch between two times of learning; fewer are no cost.
_FEW_LINES = 5_000


HeldLine = tuple[int, int, int]
"""A line that holds literals: offsets of its first byte and of its line feed, and the highest index of a literal."""


class Finder:
    """Finds the lines that hold any of some literals. Learns from what it searches; not for two threads at once."""

    def __init__(
        self, literals: Sequence[bytes], engine: str = "auto", learned_after_bytes: int = LEARNED_AFTER_BYTES
    ) -> None:
        self._literals = literals
        self._engine = engine
        self._stretch_bytes = learned_after_bytes
        self._mark = marker(literals, engine)
        self._ends_by_stems: LineEnds | None = None
        self._sample: deque[bytes] = deque(maxlen=2 * _PIECES)
        self._searched_bytes = self._pieces_total = self._lines_total = 0
        self._usual_lines: int | None = 0

    def line_ends(self, text: bytes | bytearray, size: int) -> list[int]:
        """Return where the lines end that hold a literal of the first *size* bytes of *text*, in order.

        Each is the offset of the line feed, or *size*. There may be others among them, which hold none.
        """
        found = self._ends_by_stems(text, size) if self._ends_by_stems else line_ends(text, size, self._mark)
        self._note(text, size, len(found))
        return found

    def held_lines(self, text: bytes | bytearray, size: int) -> list[HeldLine]:
        """Return the lines that surely hold a literal of the first *size* bytes of *text*, in order."""
        found = self.line_ends(text, size)
        if not found:
            return []
        lines = lines_at(text, found)
        held = [-1] * len(found)
        stops = list(accumulate([len(line) + 1 for line in lines]))
        at = 0
        for end, literal in self._scan(memoryview(b"\n".join(lines))):
            while end > stops[at]:
                at += 1
            if literal > held[at]:
                held[at] = literal
        return [(end - len(line), end, last) for end, line, last in zip(found, lines, held, strict=True) if last >= 0]

    @cached_property
    def _scan(self) -> Scan:
        return scanner(self._literals, self._engine)

    def _note(self, text: bytes | bytearray, size: int, lines_total: int) -> None:
        if self._searched_bytes * _PIECES >= self._pieces_total * self._stretch_bytes:
            self._sample.append(bytes(text[: min(size, _PIECE_BYTES)]))
            self._pieces_total += 1
        self._searched_bytes += size
        self._lines_total += lines_total
        if self._searched_bytes >= self._stretch_bytes:
            self._end_stretch()

    def _end_stretch(self) -> None:
        if self._usual_lines is None:
            self._usual_lines = self._lines_total
        elif self._ends_by_stems is None or self._lines_total > _TOO_MANY * self._usual_lines + _FEW_LINES:
            self._ends_by_stems = line_marker(stems(self._literals, self._lines_without_literals()), self._engine)
            self._usual_lines = None
        else:
            self._usual_lines = min(self._usual_lines, self._lines_total)
        self._searched_bytes = self._pieces_total = self._lines_total = 0

    def _lines_without_literals(self) -> bytes:
        """Return what of the sample a search should pass over; what only the others hold often finds none more."""
        sample = b"\n".join(self._sample)
        held = set(line_ends(sample, len(sample), self._mark))
        lines = sample.split(b"\n")
        ends = accumulate(map(len, lines), lambda end, length: end + 1 + length)
        return b"\n".join([line for line, end in zip(lines, ends, strict=True) if end not in held])


def lines_at(text: bytes | bytearray, ends: Iterable[int]) -> list[bytes | bytearray]:
    """Return the lines of *text* that end at *ends*, without their line feeds."""
    rfind = text.rfind
    return [text[rfind(b"\n", 0, end) + 1 : end] for end in ends]
