"""Blocks of whole lines, however the stream is read."""

import io

from hypothesis import given
from hypothesis import strategies as st

from clusterwatch.reading.blocks import LONGEST_LINE_BYTES, blocks


def pieces(text: bytes, block_bytes: int) -> list[tuple[int, bytes, bool]]:
    return [
        (block.start, bytes(block.buffer[: block.end]), block.is_whole)
        for block in blocks(io.BytesIO(text), block_bytes)
    ]


def test_block_ends_with_a_line():
    assert pieces(b"one\ntwo\nthree\n", 9) == [(0, b"one\ntwo\n", True), (8, b"three\n", True)]


def test_line_that_the_stream_ends_in_comes_last():
    assert pieces(b"one\ntwo", 100) == [(0, b"one\n", True), (4, b"two", False)]


def test_line_longer_than_a_block_comes_whole():
    assert pieces(b"x" * 1000 + b"\n" + b"y" * 20, 16)[0] == (0, b"x" * 1000 + b"\n", True)


def test_line_without_an_end_is_given_up_where_it_grows_too_long():
    (_, first, is_whole), *_ = pieces(b"x" * (LONGEST_LINE_BYTES + 5_000_000), 256 * 1024)

    assert not is_whole
    assert LONGEST_LINE_BYTES < len(first) < LONGEST_LINE_BYTES + 2 * 256 * 1024


@given(st.binary(max_size=300), st.integers(1, 50))
def test_nothing_is_lost_or_moved(text: bytes, block_bytes: int):
    found = pieces(text, block_bytes)

    assert b"".join(piece for _, piece, _ in found) == text
    assert [start for start, _, _ in found] == [text.find(piece, start) for start, piece, _ in found]
    assert all(piece.endswith(b"\n") for _, piece, _ in found[:-1])
