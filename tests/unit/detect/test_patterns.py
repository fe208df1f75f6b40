"""Patterns whose time could grow faster than the line are told, and no others."""

import re
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwatch.detect import Catalog, Rule, compile_catalog
from clusterwatch.detect.matcher import LONGEST_LINE
from clusterwatch.detect.patterns import linear, why_not_linear
from clusterwatch.errors import CatalogError
from offenders import assert_none

# From OWASP's page on ReDoS, and from outages that were made public (a firewall's rule, a trim of white space).
CLASSICS = [
    r"^(a+)+$",
    r"^([a-zA-Z]+)*$",
    r"^(a|aa)+$",
    r"^(a|a?)+$",
    r"^(.*a){20}$",
    r"^(([a-z])+.)+[A-Z]([a-z])+$",
    r"(.*,){11}P",
    r"(x+x+)+y",
    r"(?:\w+\s?)*end",
    r"[\d.]+-[\d.]+:",
    r"\s+$",
    r".*.*=.*",
    r"foo.*bar",
    r"^.*error.*code$",
    r"error (\w+) and \1",
    r"^(?:\d{1,3}\.?)+x",
    r"^(?:a|(?:a))*c",
    r"^(?:ab|a(?:b))+c",
    r"(?:a{1,3}){20}b",
    r"(a{0,4000}){0,8}b",
    r"a{0,4000}a{0,4000}b",
    r"^foo.{0,4000}.{0,4000}bar",
    r"(?:foo.{0,4000}){3}bar",
]
HARMLESS = [
    r"Xid \((?P<pci>[^)]{1,40})\): (?P<xid>\d+)",
    r"^(?:\w+\.)*\w+Error: .*",
    r"^foo.*bar",
    r"\b\d+ of \d+ failed",
    r"(?P<disk>\w+) is worn",
    r"disk (\d+) died",
    r"error .{0,200}code",
    r"^(?:\d{1,3}\.)+x",
    r"^(?:\d{3}\.?){1,4}x",
    r"^[^ ]{1,80} .{0,200}error .{0,200}code",
    r"(?i)rank (\d+) .{0,80}?timed out",
    r"key=(\w+),",
    r"what was said: .*",
    r"(?:NVRM|SXid): (?:GPU|link) \d+",
]


@pytest.mark.parametrize("pattern", CLASSICS)
def test_pattern_that_stalls_is_told(pattern: str):
    compiled = re.compile(pattern)

    assert why_not_linear(compiled) or linear(compiled) is not compiled


@pytest.mark.parametrize("pattern", HARMLESS)
def test_pattern_that_does_not_is_not(pattern: str):
    assert why_not_linear(linear(re.compile(pattern))) == ()


def test_reason_names_what_meets_what_and_what_to_write():
    (reason,) = why_not_linear(re.compile("foo.*bar"))

    assert reason == (
        ".* can take the same text as the search, which begins at every character: begin with ^ or \\b, or bound the "
        "repeat: {0,80}"
    )


def test_repeat_at_the_beginning_is_tried_only_where_its_characters_begin():
    slow = re.compile(r"(?P<disk>\w+) is worn")
    line = "a" * LONGEST_LINE

    assert linear(slow).search(line) is None
    assert _seconds(linear(slow), line) < 0.05


@given(st.text("ab1 isworn", max_size=30))
def test_what_is_tried_less_finds_the_same(line: str):
    for pattern in (r"(?P<disk>\w+) is worn", r"[ab]+1", r"[^a]+b"):
        slow = re.compile(pattern)
        found, expected = linear(slow).search(line), slow.search(line)

        assert (found and found.span()) == (expected and expected.span())


def test_site_rule_that_stalls_is_refused_with_its_name():
    rule = """
[[signal]]
kind = "site.slow"
meaning = "x"
severity = "warning"
role = "context"
sources = ["https://example.org"]
[[rule]]
name = "slow"
kind = "site.slow"
literal = "worn"
pattern = '^(a+)+ worn$'
sources = ["https://example.org"]
match = ["a worn"]
"""

    with pytest.raises(CatalogError, match=r"site/slow.toml: rule 'slow': pattern may stall on a long line"):
        compile_catalog({"site/slow.toml": rule})


def test_no_rule_of_the_catalogue_would_be_refused(catalog: Catalog):
    refused = [(rule, reasons) for rule in catalog.rules if (reasons := why_not_linear(rule.pattern))]

    assert_none(f"{rule.file}: {rule.name}: {'; '.join(reasons)}" for rule, reasons in refused)


def test_no_rule_of_the_catalogue_takes_more_than_its_share_of_a_line_twice_as_long(catalog: Catalog):
    slower = [
        f"{rule.file}: {rule.name}: {head[:40]!r} and then {again[:40]!r} again and again"
        for rule in catalog.rules
        for head, again in _hostile_lines(rule)
        if all(_runs_away(rule.pattern, head, again) for _ in range(3))
    ]

    assert_none(slower)


def _hostile_lines(rule: Rule) -> list[tuple[str, str]]:
    """Return beginnings of lines, each with what comes behind it again and again."""
    literal, example = rule.literals[0], rule.match[0]
    cut, half = example[:-2] + "a", example[: len(example) // 2] + " "
    repeated = (literal + " ", literal + " 1 ", example, cut, half, "1", "a ")
    return [*(("", each) for each in repeated), (example[:-3], "1")]


def _runs_away(pattern: re.Pattern[str], head: str, again: str) -> bool:
    """Return whether *pattern* takes long, or much more than twice the time for twice the line: a clock has its ticks.

    Once, which a busy machine can cause as well.
    """
    long = _seconds(pattern, _line(head, again, LONGEST_LINE))
    half = _seconds(pattern, _line(head, again, LONGEST_LINE // 2)) if long > 0.002 else 0.0
    return long > 1.0 or long > 3.2 * half + 0.002


def _line(head: str, again: str, length: int) -> str:
    return (head + again * (length // len(again) + 1))[:length]


def _seconds(pattern: re.Pattern[str], line: str) -> float:
    # Of this process alone: the machine may be busy with others.
    begun = process_time()
    pattern.search(line)
    return process_time() - begun
