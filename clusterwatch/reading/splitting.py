"""Chunks of a log file to its lines, each with where it began, however long it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

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
        is_rest: Rest of a line that was given up: nothing to show, only to move past.
    """

    start: int
    end: int
    raw: bytes
    has_ended: bool = True
    is_given_up: bool = False
    is_rest: bool = False


def raw_lines(chunks: Iterable[bytes], start: int, is_rest: bool = False) -> Iterator[RawLine]:
    """Yield the lines of *chunks*, holding no more than one chunk and the head of one line.

    The last line is yielded even where it is unfinished.

    Args:
        chunks: Pieces of the file, cut anywhere.
        start: Byte offset of the first piece.
        is_rest: *start* lies inside a line that was given up before.
    """
    kept, begin, end = b"", start, start
    for chunk in chunks:
        *whole, tail = chunk.split(b"\n")
        for piece in whole:
            end += len(piece) + 1
            yield RawLine(begin, end, b"" if is_rest else _cut(kept + piece), is_rest=is_rest)
            kept, begin, is_rest = b"", end, False
        end += len(tail)
        kept = b"" if is_rest else _cut(kept + tail)
        if end - begin > LONGEST_LINE_BYTES:
            yield RawLine(begin, end, kept, has_ended=False, is_given_up=True, is_rest=is_rest)
            kept, begin, is_rest = b"", end, True
    if end > begin:
        yield RawLine(begin, end, kept, has_ended=False, is_rest=is_rest)


def _cut(raw: bytes) -> bytes:
    if len(raw) <= KEPT_BYTES:
        return raw
    # A progress bar is one long line that overwrites itself: only its last part was ever to be seen.
    return raw[raw.rfind(b"\r", 0, -1) + 1 :][:KEPT_BYTES]
