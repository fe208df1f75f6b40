"""The shadow of a pattern matches the shape of whatever the pattern matches, and not much else."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwatch.detect import Rule
from clusterwatch.detect.shapes import Match, may_match, shadow, shape_of

PATTERNS = [
    "79",
    "x[1-3]",
    "[^7]x",
    "[^1-35]x",
    r"[^\d]x",
    "(?!7)x?",
    "^(?!.*7).*x",
    "(?=.*7)x",
    "(?<=7)x",
    "(?<!7)x",
    "(?>x?7?)x",
    "7*+x",
    "(?:7|x){2}x",
    "(?i:x7)(?P<end>$)",
    r"\b7\b",
]


@pytest.mark.parametrize("pattern", [r"Xid \d+, (?P<pid>[0-9]+) [\w.]* [0-9a-f]{4}", r"(?:a|b\d)(?=c)", "(?!x|[0-9])"])
def test_pattern_that_asks_for_no_certain_digits_is_its_own_shadow(pattern: str):
    compiled = re.compile(pattern)

    assert shadow(compiled) is compiled


@pytest.mark.parametrize(
    ("pattern", "line", "may_match"),
    [
        ("Xid 79", "Xid 48", True),
        ("Xid 79", "Xid 481", True),
        ("Xid 79 fell", "Xid 79 rose", False),
        ("count [1-9]", "count 0", True),
        ("count [1-9]", "count x", False),
        ("a(?!7)b", "ab", True),
        ("a(?!7)b", "ac", False),
        ("a[^0]", "a0", True),
    ],
)
def test_shadow_tells_by_everything_but_the_digits(pattern: str, line: str, may_match: bool):
    found = shadow(re.compile(pattern))

    assert found is not None
    assert (found.search(shape_of(line.encode()).decode()) is not None) is may_match


@given(st.text("x7302 \n", max_size=8))
def test_what_a_pattern_matches_its_shadow_matches_as_a_shape(line: str):
    shape = shape_of(line.encode()).decode()
    lost = [
        each
        for each in map(re.compile, PATTERNS)
        if each.search(line) and not ((found := shadow(each)) is not None and found.search(shape))
    ]

    assert lost == []


def test_pattern_that_refers_to_a_group_has_no_shadow_and_may_match_anything():
    twice = Rule("twice", "some.kind", ("x",), re.compile(r"(\d) \1"))

    assert (shadow(twice.pattern), may_match(twice, "x")) == (None, True)


def test_rule_for_the_beginning_of_a_line_may_match_behind_what_carries_it():
    xid = Rule("xid", "some.kind", ("Xid",), re.compile("^Xid 79"))

    assert may_match(xid, "0000-00-00T00:00:00 Xid 00")
    assert not may_match(xid, "said: Xid 00")


def test_match_on_a_line_of_the_same_shape_gives_what_stands_in_this_line():
    tried = re.compile(r"Xid (?P<xid>\d+)(?: on (?P<node>\w+))?").search("Xid 00 fell")
    assert tried is not None

    match = Match("[00:00:00] Xid 79 fell", tried)

    assert (match.string, match[0], match.span()) == ("Xid 79 fell", "Xid 79", (0, 6))
    assert match.groupdict() == {"xid": "79", "node": None}
