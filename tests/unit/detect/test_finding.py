"""What a finder learns from the text it searches changes how fast it is, not what it finds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwatch.detect.engines import ENGINES
from clusterwatch.detect.finding import Finder

LITERALS = [b"fallen off the bus", b"off the rails", b"lost", "größer".encode()]
HEALTHY = b"step 5, all is well\n" * 200
BROKEN = b"GPU 3 has fallen off the bus\nit is lost, lost\n"
OTHER = b"somebody turned off the light\n" * 20_000


def found(finder: Finder, text: bytes) -> list[tuple[bytes, int]]:
    return [(text[start:end], last) for start, end, last in finder.held_lines(text, len(text))]


@pytest.mark.parametrize("engine", ENGINES)
def test_lines_come_with_their_last_literal_before_and_after_it_learned(engine: str):
    finder = Finder(LITERALS, engine, learned_after_bytes=1_000)

    first, second = (found(finder, HEALTHY + BROKEN + HEALTHY) for _ in range(2))

    assert first == second == [(b"GPU 3 has fallen off the bus", 0), (b"it is lost, lost", 2)]


def test_line_that_holds_a_stem_alone_is_not_found():
    finder = Finder(LITERALS, learned_after_bytes=1_000)
    finder.line_ends(HEALTHY, len(HEALTHY))

    text = b"off the cuff\nfallen into place\nlost\n"

    assert finder.held_lines(text, len(text)) == [(31, 35, 2)]


def test_log_that_begins_to_speak_of_other_things_is_learned_anew():
    finder = Finder(LITERALS, learned_after_bytes=100_000)
    for _ in range(50):
        finder.line_ends(HEALTHY, len(HEALTHY))

    often = len(finder.line_ends(OTHER, len(OTHER)))
    seldom = len(finder.line_ends(OTHER, len(OTHER)))

    assert (often, seldom) == (20_000, 0)


def test_only_the_size_told_is_searched():
    assert Finder(LITERALS).line_ends(bytearray(b"x\nlost\nlost"), 6) == [6]


def test_what_is_common_only_in_lines_that_are_found_anyway_is_searched_for():
    finder = Finder([b"lost the bus", b"lost the way"], learned_after_bytes=10_000)
    told = b"all is well\n" * 500 + b"it has lost the bus\n" * 500
    finder.line_ends(told, len(told))

    # One part of both literals is looked for, which a line like the second one holds as well.
    text = b"the bus is late\nsomebody lost the key\nit has lost the way\n"

    assert finder.line_ends(text, len(text)) == [37, 57]


@given(
    st.lists(st.sampled_from([*LITERALS, b"off the ", b"bus", b"\n", b"\n", b"\xff", b" "]), max_size=40).map(b"".join)
)
def test_learning_changes_nothing_that_is_found(text: bytes):
    plain, learned = Finder(LITERALS), Finder(LITERALS, learned_after_bytes=1)
    learned.line_ends(HEALTHY, len(HEALTHY))

    assert found(learned, text) == found(plain, text)
