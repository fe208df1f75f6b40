"""Chunks of a log file to its lines, each with where it began, however long it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

KEPT_BYTES = 40 * 1024
"""How much of a line is held; enough for the 4,096 characters that are kept, colours included."""

LONGEST_LINE_BYTES = 4 * 1024 * 1024
"""Where a line without an end is given up: its beginning is given, the rest is passed over."""


@dataclass(frozen=True, slots=True)
class RawLine:
    """A line as it stands in a file.

    Attributes:
        start, end: Byte offsets of its first byte and of the byte behind it.
        raw: Its bytes without the line feed, at most `KEPT_BYTES`.
        has_ended: A line feed closed it; False for the last, unfinished one and for one given up.
    """

    start: int
    end: int
    raw: bytes
    has_ended: bool


def raw_lines(chunks: Iterable[bytes], start: int) -> Iterator[RawLine]:
    """Yield the lines of *chunks*, the first of which begins at byte *start*, holding one chunk and one line's head.

    The last line is yielded even where it is not finished. After a line longer than `LONGEST_LINE_BYTES` nothing more
    is yielded: the caller goes on behind it with `beyond_line`.
    """
    kept, begin, end = b"", start, start
    for chunk in chunks:
        *whole, tail = chunk.split(b"\n")
        for piece in whole:
            end += len(piece) + 1
            yield RawLine(begin, end, _cut(kept + piece), True)
            kept, begin = b"", end
        end += len(tail)
        kept = _cut(kept + tail)
        if end - begin > LONGEST_LINE_BYTES:
            break
    if end > begin:
        yield RawLine(begin, end, kept, False)


def beyond_line(chunks: Iterable[bytes], start: int) -> tuple[int, bool]:
    """Return the offset behind the line that *start* lies in, and whether its end was found in *chunks*."""
    position = start
    for chunk in chunks:
        found = chunk.find(b"\n")
        if found >= 0:
            return position + found + 1, True
        position += len(chunk)
    return position, False


def _cut(raw: bytes) -> bytes:
    if len(raw) <= KEPT_BYTES:
        return raw
    # A progress bar is one long line that overwrites itself: only its last part was ever to be seen.
    return raw[raw.rfind(b"\r", 0, -1) + 1 :][:KEPT_BYTES]
