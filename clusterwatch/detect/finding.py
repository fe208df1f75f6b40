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

from clusterwatch.detect.engines import Scan, marker, scanner
from clusterwatch.detect.stems import stems

LEARNED_AFTER_BYTES = 64 * 1024 * 1024
"""To search so much takes about as long as learning does."""

_PIECES = 64
_PIECE_BYTES = 4 * 1024
# So many times as many lines as in a good time make learning anew worth while.
_TOO_MANY = 2
# Of a stretch between two times of learning; fewer are no cost.
_FEW_LINES = 5_000


Span = tuple[int, int]
"""A line: offsets of its first byte and of its line feed."""

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
        self._has_learned = False
        self._sample: deque[bytes] = deque(maxlen=2 * _PIECES)
        self._searched_bytes = self._pieces_total = self._spans_total = 0
        self._usual_spans: int | None = 0

    def spans(self, text: bytes | bytearray, size: int) -> list[Span]:
        """Return all lines that hold a literal of the first *size* bytes of *text*, and maybe others, in order."""
        with memoryview(text) as view, view[:size] as part:
            found = spans(text, size, self._mark(part))
        self._note(text, size, len(found))
        return found

    def held_lines(self, text: bytes | bytearray, size: int) -> list[HeldLine]:
        """Return the lines that surely hold a literal of the first *size* bytes of *text*, in order."""
        found = self.spans(text, size)
        if not found:
            return []
        ends = list(accumulate(end - start + 1 for start, end in found))
        joined = b"\n".join([text[start:end] for start, end in found])
        held = [-1] * len(found)
        at = 0
        for end, literal in self._scan(memoryview(joined)):
            while end > ends[at]:
                at += 1
            if literal > held[at]:
                held[at] = literal
        return [(*span, last) for span, last in zip(found, held, strict=True) if last >= 0]

    @cached_property
    def _scan(self) -> Scan:
        return scanner(self._literals, self._engine)

    def _note(self, text: bytes | bytearray, size: int, spans_total: int) -> None:
        if self._searched_bytes * _PIECES >= self._pieces_total * self._stretch_bytes:
            self._sample.append(bytes(text[: min(size, _PIECE_BYTES)]))
            self._pieces_total += 1
        self._searched_bytes += size
        self._spans_total += spans_total
        if self._searched_bytes >= self._stretch_bytes:
            self._end_stretch()

    def _end_stretch(self) -> None:
        if self._usual_spans is None:
            self._usual_spans = self._spans_total
        elif not self._has_learned or self._spans_total > _TOO_MANY * self._usual_spans + _FEW_LINES:
            self._mark = marker(stems(self._literals, b"\n".join(self._sample)), self._engine)
            self._has_learned, self._usual_spans = True, None
        else:
            self._usual_spans = min(self._usual_spans, self._spans_total)
        self._searched_bytes = self._pieces_total = self._spans_total = 0


def spans(text: bytes | bytearray, size: int, ends: Iterable[int]) -> list[Span]:
    """Return the lines of the first *size* bytes of *text* that hold what ends at one of *ends*, in order."""
    lines: list[Span] = []
    rfind, find = text.rfind, text.find
    line_end = -1
    for end in ends:
        if end > line_end:
            start = rfind(b"\n", line_end + 1, end) + 1 or line_end + 1
            line_end = find(b"\n", end, size)
            if line_end < 0:
                line_end = size
            lines.append((start, line_end))
    return lines
