from hypothesis import given
from hypothesis import strategies as st

from clusterwatch.reading.splitting import KEPT_BYTES, LONGEST_LINE_BYTES, RawLine, beyond_line, raw_lines


def test_lines_carry_their_offsets_and_the_last_says_it_is_unfinished():
    lines = list(raw_lines([b"one\ntw", b"o\nthr"], 10))

    assert lines == [
        RawLine(10, 14, b"one", True),
        RawLine(14, 18, b"two", True),
        RawLine(18, 21, b"thr", False),
    ]


def test_long_line_is_one_line_of_which_the_head_is_kept():
    chunks = [b"head"] + [b"x" * 65536] * 16 + [b"\nnext\n"]

    first, second = raw_lines(chunks, 0)

    assert (len(first.raw), first.raw[:4], first.has_ended) == (KEPT_BYTES, b"head", True)
    assert second == RawLine(first.end, first.end + 5, b"next", True)


def test_long_progress_bar_keeps_its_end():
    chunks = [b"\r%d%% done" % (number % 100) for number in range(20_000)] + [b"\rfinished\n"]

    (line,) = raw_lines(chunks, 0)

    assert line.raw.endswith(b"\rfinished") and len(line.raw) <= KEPT_BYTES


def test_line_without_end_is_given_up_and_passed_over():
    chunks = [b"x" * 65536] * (LONGEST_LINE_BYTES // 65536 + 2)

    (line,) = raw_lines(chunks, 0)

    assert not line.has_ended and LONGEST_LINE_BYTES < line.end <= LONGEST_LINE_BYTES + 65536
    assert beyond_line([b"xxx", b"x\nnext"], line.end) == (line.end + 5, True)
    assert beyond_line([b"xxx"], line.end) == (line.end + 3, False)


@given(st.lists(st.binary(max_size=20)), st.integers(0, 100))
def test_however_a_file_is_cut_its_lines_are_the_same(chunks, start):
    whole = b"".join(chunks)

    lines = list(raw_lines(chunks, start))

    assert b"".join(line.raw + b"\n" * line.has_ended for line in lines) == whole
    assert all(whole[line.start - start : line.end - start].startswith(line.raw) for line in lines)
