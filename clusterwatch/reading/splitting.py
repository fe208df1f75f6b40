"""Chunks of a log file to its lines, each with where it began, however long it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

KEPT_BYTES = 40 * 1024
"""How much of a line is held; enough for the 4,096 characters that are kept, colours included."""

LONGEST_LINE_BYTES = 4 * 1024 * 1024
"""Where waiting for a line's end is given up: what was kept is the line, what follows is passed over."""


@dataclass(frozen=True, slots=True)
class RawLine:
    """A line as it stands in a file.

    Attributes:
        start, end: Byte offsets of its first byte and of the byte behind it.
        raw: Its bytes without the line feed, at most `KEPT_BYTES`.
        has_ended: A line feed closed it; False for the last, unfinished one of a file.
        is_given_up: It is too long to wait for its end; its rest follows.
        is_rest: Rest of a line that was given up, or blank: nothing to show, only to move past.
        is_overwritten: A carriage return closed it: what follows stands on the same line of the screen.
    """

    start: int
    end: int
    raw: bytes
    has_ended: bool = True
    is_given_up: bool = False
    is_rest: bool = False
    is_overwritten: bool = False


def raw_lines(chunks: Iterable[bytes], start: int, is_rest: bool = False) -> Iterator[RawLine]:
    """Yield the lines of *chunks*, holding no more than one chunk and the head of one line.

    The last line is yielded even where it is unfinished. A progress bar, which is one line that overwrites itself,
    is yielded as far as it was overwritten, once for all its pieces.

    Args:
        chunks: Pieces of the file, cut anywhere.
        start: Byte offset of the first piece.
        is_rest: *start* lies inside a line that was given up before.
    """
    line = _Open(start, is_rest)
    for chunk in chunks:
        *whole, tail = chunk.split(b"\n")
        for piece in whole:
            yield line.ended(piece)
        line.add(tail)
        if line.end - line.begin > LONGEST_LINE_BYTES:
            yield line.bar() if line.bar_end > line.begin else line.given_up()
    if line.bar_end > line.begin:
        yield line.bar()
    if line.end > line.begin:
        yield line.unfinished()


def kept(raw: bytes) -> bytes:
    """Return what is held of a line of at most `LONGEST_LINE_BYTES`, the same as `raw_lines` gives."""
    return raw if len(raw) <= KEPT_BYTES else next(raw_lines([raw, b"\n"], 0)).raw


class _Open:
    """The line that is being read: the bar it was, and the piece that stands behind the last carriage return."""

    def __init__(self, start: int, is_rest: bool) -> None:
        self.begin = self.bar_end = self.end = start
        self._bar, self._piece = b"", b""
        self._is_rest = is_rest

    def ended(self, piece: bytes) -> RawLine:
        """Return the line that *piece* and a line feed end, and begin the next one."""
        if self.end == self.begin and len(piece) <= KEPT_BYTES:
            raw = piece
            self.end += len(piece)
        else:
            self.add(piece)
            raw = self._raw()
        line = RawLine(self.begin, self.end + 1, b"" if self._is_rest else raw, is_rest=self._is_rest)
        self._begin(self.end + 1)
        return line

    def add(self, piece: bytes) -> None:
        """Take the next bytes, which hold no line feed."""
        self.end += len(piece)
        joined = self._piece + piece
        # A carriage return that comes last may belong to a line feed that is still to be written.
        at = joined.rfind(b"\r", 0, -1) + 1
        if at:
            self.bar_end = self.end - (len(joined) - at)
            # What a bar showed last is at its end; what a line says is at its beginning.
            self._bar = (self._bar + joined[:at])[-KEPT_BYTES:]
        self._piece = joined[at:][:KEPT_BYTES]

    def bar(self) -> RawLine:
        """Return what was overwritten; the piece behind it stays."""
        blank = self._is_rest or not self._bar.strip()
        raw = b"" if self._is_rest else self._bar
        line = RawLine(self.begin, self.bar_end, raw, has_ended=False, is_rest=blank, is_overwritten=True)
        self.begin, self._bar, self._is_rest = self.bar_end, b"", False
        return line

    def given_up(self) -> RawLine:
        """Return the head of a line that is too long; what follows is its rest."""
        line = replace(self.unfinished(), is_given_up=True)
        self._begin(self.end)
        self._is_rest = True
        return line

    def unfinished(self) -> RawLine:
        """Return the line as it stands."""
        raw = b"" if self._is_rest else self._raw()
        return RawLine(self.begin, self.end, raw, has_ended=False, is_rest=self._is_rest)

    def _begin(self, start: int) -> None:
        self.begin = self.bar_end = self.end = start
        self._bar, self._piece, self._is_rest = b"", b"", False

    def _raw(self) -> bytes:
        room = KEPT_BYTES - len(self._piece)
        return self._bar[max(len(self._bar) - room, 0) :] + self._piece
