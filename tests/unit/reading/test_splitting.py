from hypothesis import given
from hypothesis import strategies as st

from clusterwatch.reading.splitting import KEPT_BYTES, LONGEST_LINE_BYTES, RawLine, raw_lines


def test_lines_carry_their_offsets_and_the_last_says_it_is_unfinished():
    lines = list(raw_lines([b"one\ntw", b"o\nthr"], 10))

    assert lines == [RawLine(10, 14, b"one"), RawLine(14, 18, b"two"), RawLine(18, 21, b"thr", has_ended=False)]


def test_long_line_is_one_line_of_which_the_head_is_kept():
    chunks = [b"head"] + [b"x" * 65536] * 16 + [b"\nnext\n"]

    first, second = raw_lines(chunks, 0)

    assert (len(first.raw), first.raw[:4], first.has_ended) == (KEPT_BYTES, b"head", True)
    assert second == RawLine(first.end, first.end + 5, b"next")


def test_long_progress_bar_keeps_its_end():
    chunks = [b"\r%d%% done" % (number % 100) for number in range(20_000)] + [b"\rfinished\n"]

    (line,) = raw_lines(chunks, 0)

    assert line.raw.endswith(b"\rfinished") and len(line.raw) <= KEPT_BYTES


def test_bar_that_still_moves_gives_its_last_whole_piece_and_leaves_the_rest():
    bar, rest = raw_lines([b"\r 1%\r 2%", b"\r 3", b"%\r 4"], 10)

    assert bar == RawLine(10, 23, b"\r 1%\r 2%\r 3%\r", has_ended=False, is_overwritten=True)
    assert rest == RawLine(23, 25, b" 4", has_ended=False)


def test_return_that_may_belong_to_a_line_feed_ends_nothing_yet():
    assert list(raw_lines([b"one\r"], 0)) == [RawLine(0, 4, b"one\r", has_ended=False)]
    assert list(raw_lines([b"one\r", b"\ntwo"], 0)) == [
        RawLine(0, 5, b"one\r"),
        RawLine(5, 8, b"two", has_ended=False),
    ]


def test_bar_of_which_nothing_is_seen_yet_is_only_moved_past():
    blank, rest = raw_lines([b"\r \r 0%"], 0)

    assert (blank.end, blank.is_rest, rest.start, rest.raw) == (3, True, 3, b" 0%")


def test_bar_that_was_written_for_hours_is_no_line_that_never_ends():
    piece = b"\r" + b"x" * 99
    chunks = [piece * 655] * (LONGEST_LINE_BYTES // 65500 + 2)

    *bars, rest = raw_lines(chunks, 0)

    assert [(bar.is_overwritten, bar.is_given_up) for bar in bars] == [(True, False)] * 2
    assert (rest.raw, bars[0].end, bars[1].end) == (piece[1:], bars[1].start, rest.start)
    assert all(len(bar.raw) <= KEPT_BYTES and bar.raw.endswith(piece[1:] + b"\r") for bar in bars)


def test_line_that_was_given_up_ends_where_it_is_overwritten():
    rest, following = raw_lines([b"xxx\rnext"], 7, is_rest=True)

    assert (rest.end, rest.raw, rest.is_rest, rest.is_overwritten) == (11, b"", True, True)
    assert following == RawLine(11, 15, b"next", has_ended=False)


def test_line_that_does_not_end_is_given_up_and_its_rest_is_passed_over():
    chunks = [b"x" * 65536] * (LONGEST_LINE_BYTES // 65536 + 2) + [b"x\nnext\n"]

    given_up, rest, following = raw_lines(chunks, 0)

    assert given_up.is_given_up and LONGEST_LINE_BYTES < given_up.end <= LONGEST_LINE_BYTES + 65536
    assert (rest.start, rest.raw, rest.is_rest, rest.has_ended) == (given_up.end, b"", True, True)
    assert following.raw == b"next"


def test_reading_on_inside_a_line_that_was_given_up_passes_over_its_rest():
    assert list(raw_lines([b"xxx", b"x\nnext\n"], 7, is_rest=True)) == [
        RawLine(7, 12, b"", is_rest=True),
        RawLine(12, 17, b"next"),
    ]


PIECES = st.lists(st.one_of(st.sampled_from([b"\r", b"\n", b"a\r", b"\rb"]), st.binary(max_size=20)))


@given(PIECES, st.integers(0, 100))
def test_however_a_file_is_cut_its_lines_are_the_same(chunks, start):
    whole = b"".join(chunks)

    lines = list(raw_lines(chunks, start))

    assert b"".join(line.raw + b"\n" * line.has_ended for line in lines) == whole
    assert all(whole[line.start - start : line.end - start].startswith(line.raw) for line in lines)
    assert [line.start for line in lines[1:]] == [line.end for line in lines[:-1]]
