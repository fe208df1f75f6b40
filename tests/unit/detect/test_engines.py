"""Every engine finds the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwatch.detect.engines import ENGINES, line_ends, line_marker, marker, scanner

LITERALS = [b"ab", b"b", b"abab", "größer".encode(), b"a.b*c", b"\\d"]
LINE_MARKERS = {engine: line_marker(LITERALS, engine) for engine in ENGINES}


@pytest.mark.parametrize("engine", ENGINES)
def test_every_occurrence_is_found_with_its_end_and_overlapping_ones_too(engine: str):
    assert scanner(LITERALS, engine)(memoryview(b"-abab")) == [(3, 0), (3, 1), (5, 0), (5, 1), (5, 2)]


@pytest.mark.parametrize("engine", ENGINES)
def test_signs_of_regular_expressions_mean_themselves(engine: str):
    assert scanner(LITERALS, engine)(memoryview(rb"a.b*c axbbc \d 7")) == [(3, 1), (5, 4), (9, 1), (10, 1), (14, 5)]


@pytest.mark.parametrize("engine", ENGINES)
def test_part_of_a_buffer_is_searched_without_a_copy_of_it(engine: str):
    assert scanner([b"xyz"], engine)(memoryview(bytearray(b"xyz.xyz"))[:6]) == [(3, 0)]


@pytest.mark.parametrize("engine", ENGINES)
def test_nothing_to_look_for_is_nothing_found(engine: str):
    assert (scanner([], engine)(memoryview(b"abc")), marker([], engine)(memoryview(b"abc"))) == ([], [])


def test_bytes_that_no_text_holds_are_not_found():
    assert scanner([b"x"], "hyperscan")(memoryview(bytes([*range(256), 0xF5, 0xC0]))) == [(ord("x") + 1, 0)]


@pytest.mark.parametrize("engine", ENGINES)
def test_marks_are_the_ends_of_occurrences(engine: str):
    assert set(marker(LITERALS, engine)(memoryview(b"-abab"))) == {3, 5}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("text", "ends"), [(b"-ab.ab\n\nb", [6, 9]), (b"\nabab\n-\n", [5]), (b"", []), (b"\n", [])])
def test_line_that_holds_anything_is_told_once_by_where_it_ends(engine: str, text: bytes, ends: list[int]):
    assert line_marker(LITERALS, engine)(bytearray(text + b"ab"), len(text)) == ends


def test_engine_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="known are hyperscan, ahocorasick, python"):
        scanner([b"x"], "grep")


@given(st.lists(st.sampled_from([*LITERALS, b"a", b"\n", b"\xff", b" "]), max_size=40).map(b"".join))
def test_engines_agree_on_any_text(text: bytes):
    first, *others = (scanner(LITERALS, engine)(memoryview(text)) for engine in ENGINES)

    assert all(found == first for found in others)


@given(st.lists(st.sampled_from([*LITERALS, b"a", b"\n", b"\n", b"\xff", b"\0"]), max_size=40).map(b"".join))
def test_lines_marked_are_those_of_the_occurrences(text: bytes):
    wanted = line_ends(text, len(text), marker(LITERALS, "python"))

    assert [LINE_MARKERS[engine](text, len(text)) for engine in ENGINES] == [wanted] * len(ENGINES)
