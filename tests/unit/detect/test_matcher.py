import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwatch.detect import Catalog, Hit, Rule, compile_rules
from clusterwatch.detect.matcher import LONGEST_LINE, unbeaten


def rule(name: str, literal: str, pattern: str | None = None, beats: frozenset[str] = frozenset()) -> Rule:
    return Rule(name, "some.kind", (literal,), re.compile(pattern or re.escape(literal)), beats=beats)


RULES = [
    rule("fallen", "fallen off"),
    rule("bus", "off the bus"),
    rule("xid", "Xid (", r"Xid \((?P<pci>[^)]*)\): (?P<xid>\d+)"),
    rule("umlaut", "größer"),
    rule("dots", "a.b*c"),
]
WORDS = [
    "fallen off",
    "fallen off the bus",
    "off the",
    "Xid (0:1): 79",
    "Xid (",
    "größer",
    "a.b*c",
    "axbc",
    "\udcff",
    " ",
    "x",
]


def names(found: dict[int, tuple[Hit, ...]]) -> dict[int, list[str]]:
    return {index: [hit.rule.name for hit in hits] for index, hits in found.items()}


@pytest.mark.parametrize("engine", ["python", "hyperscan"])
def test_overlapping_literals_of_one_line_are_all_found(engine: str) -> None:
    matcher = compile_rules(RULES, engine)

    assert names(matcher.hits(["nothing", "has fallen off the bus", "a.b*c"])) == {1: ["fallen", "bus"], 2: ["dots"]}


@pytest.mark.parametrize("engine", ["python", "hyperscan"])
def test_literal_alone_is_no_hit(engine: str) -> None:
    assert compile_rules(RULES, engine).hits(["skipping Xid ( checks"]) == {}


def test_captures_come_with_the_hit() -> None:
    (hit,) = compile_rules(RULES).hits(["NVRM: Xid (PCI:0000:3b:00): 79, pid=1"])[0]

    assert hit.match.groupdict() == {"pci": "PCI:0000:3b:00", "xid": "79"}


def test_end_of_a_very_long_line_is_not_read() -> None:
    assert compile_rules(RULES).hits(["x" * LONGEST_LINE + "fallen off"]) == {}


def test_beaten_rule_does_not_count() -> None:
    hits = compile_rules([rule("general", "error"), rule("special", "error 12", beats=frozenset({"general"}))]).hits(
        ["error 12"]
    )

    assert [hit.rule.name for hit in unbeaten(hits[0])] == ["special"]


def test_no_rules_match_nothing() -> None:
    assert compile_rules([]).hits(["anything"]) == {}


@given(st.lists(st.lists(st.sampled_from(WORDS), max_size=6).map("".join), max_size=12))
def test_both_engines_give_the_same_hits(lines: list[str]) -> None:
    with_python = compile_rules(RULES, "python").hits(lines)
    with_hyperscan = compile_rules(RULES, "hyperscan").hits(lines)

    assert names(with_python) == names(with_hyperscan)


def test_both_engines_agree_on_the_catalogue_s_own_examples(catalog: Catalog) -> None:
    lines = [line for one in catalog.rules for line in (*one.match, *one.no_match)]

    assert names(compile_rules(catalog.rules, "python").hits(lines)) == names(
        compile_rules(catalog.rules, "hyperscan").hits(lines)
    )
