"""A stream of bytes to blocks of whole lines, all in one buffer: most of a log is only ever searched, never copied."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

BLOCK_BYTES = 256 * 1024
"""Read at once; what a core's cache holds is searched several times as fast as what it does not."""

LONGEST_LINE_BYTES = 4 * 1024 * 1024
"""Where waiting for a line's end is given up."""


class Readable(Protocol):
    """A stream of bytes."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Fill *buffer* from its beginning and return how many bytes that were; 0 at the end."""
        ...


class Block(NamedTuple):
    """Lines that stand in *buffer* before *end*; valid until the next block is asked for.

    Attributes:
        start: Offset in the stream of the first byte.
        is_whole: The last line is whole; False where it was given up or the stream ended in it.
    """

    buffer: bytearray
    end: int
    start: int
    is_whole: bool = True


def blocks(stream: Readable, block_bytes: int = BLOCK_BYTES, buffer: bytearray | None = None) -> Iterator[Block]:
    """Yield *stream* in blocks that end with a line, or where a line of more than `LONGEST_LINE_BYTES` is given up.

    *buffer* is used where it is large enough, to spare making one for each of many streams.
    """
    if buffer is None or len(buffer) < 2 * block_bytes:
        buffer = bytearray(2 * block_bytes)
    start = held = 0
    while True:
        if len(buffer) - held < block_bytes:
            buffer = _larger(buffer)
        with memoryview(buffer) as view, view[held : held + block_bytes] as room:
            count = stream.readinto(room)
        if not count:
            break
        filled = held + count
        end = buffer.rfind(b"\n", held, filled) + 1
        is_whole = bool(end)
        if not is_whole and filled > LONGEST_LINE_BYTES:
            end = filled
        if end:
            yield Block(buffer, end, start, is_whole)
            buffer[: filled - end] = bytes(memoryview(buffer)[end:filled])
            start += end
        held = filled - end
    if held:
        yield Block(buffer, held, start, is_whole=False)


def _larger(buffer: bytearray) -> bytearray:
    larger = bytearray(2 * len(buffer))
    larger[: len(buffer)] = buffer
    return larger
