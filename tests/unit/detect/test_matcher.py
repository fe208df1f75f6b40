import re
from collections.abc import Iterable
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwatch.detect import Catalog, Hit, Rule, compile_rules
from clusterwatch.detect.engines import ENGINES
from clusterwatch.detect.matcher import LONGEST_LINE, unbeaten
from clusterwatch.detect.shapes import Match


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


@pytest.mark.parametrize("engine", ENGINES)
def test_overlapping_literals_of_one_line_are_all_found(engine: str) -> None:
    matcher = compile_rules(RULES, engine)

    assert names(matcher.hits(["nothing", "has fallen off the bus", "a.b*c"])) == {1: ["fallen", "bus"], 2: ["dots"]}


@pytest.mark.parametrize("engine", ENGINES)
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


def test_lines_of_a_text_in_bytes_come_with_where_they_stand() -> None:
    text = "nothing\nist größer\r\nXid (0:1): 79".encode()

    found = compile_rules(RULES).hits_in(text)

    assert [(text[start:end], [hit.rule.name for hit in hits]) for start, end, hits in found] == [
        ("ist größer\r".encode(), ["umlaut"]),
        (b"Xid (0:1): 79", ["xid"]),
    ]


@given(st.lists(st.lists(st.sampled_from(WORDS), max_size=6).map("".join), max_size=12), st.sampled_from([1, 100]))
def test_text_in_bytes_gives_the_hits_of_its_lines(lines: list[str], times: int) -> None:
    matcher = compile_rules(RULES)
    text = "\n".join(lines * times).encode("utf-8", "replace")

    in_bytes = [
        (text[:start].count(b"\n"), [each.hit(text[start:end].decode()).match[0] for each in located])
        for start, end, located in matcher.hits_in(text)
    ]

    in_lines = matcher.hits(text.decode().split("\n"))
    assert in_bytes == [(index, [hit.match[0] for hit in hits]) for index, hits in sorted(in_lines.items())]


def test_rule_that_is_surely_beaten_is_not_tried_but_one_of_another_source_is() -> None:
    special = rule("special", "error 12", beats=frozenset({"general"}))
    elsewhere = replace(special, collectors=frozenset({"kernel_log"}))

    beaten = compile_rules([rule("general", "error"), special]).hits(["error 12"])
    kept = compile_rules([rule("general", "error"), elsewhere]).hits(["error 12"])

    assert (names(beaten), names(kept)) == ({0: ["special"]}, {0: ["general", "special"]})


def test_lines_that_differ_in_digits_get_the_hits_of_every_rule_tried_on_every_line(catalog: Catalog) -> None:
    rng = Random(1)
    examples = [line for one in catalog.rules for line in (*one.match, *one.no_match) if "\n" not in line]
    lines = [re.sub(r"\d", lambda digit: rng.choice([digit[0], "0", "7"]), line) for line in examples for _ in range(2)]

    found = compile_rules(catalog.rules).hits(lines)

    assert [captured(found.get(index, ())) for index in range(len(lines))] == [
        captured(tried_one_by_one(catalog, line)) for line in lines
    ]


def tried_one_by_one(catalog: Catalog, line: str) -> list[Hit]:
    held = [rule for rule in catalog.rules if any(literal in line for literal in rule.literals)]
    return [Hit(rule, Match(line, match)) for rule in held if (match := rule.found_in(line))]


def captured(hits: Iterable[Hit]) -> list[tuple[str, tuple[int, int], dict[str, str | None]]]:
    return [(hit.rule.name, hit.match.span(), hit.match.groupdict()) for hit in unbeaten(hits)]


def test_lines_that_differ_in_digits_that_no_rule_asks_for_are_told_alike() -> None:
    matcher = compile_rules(
        [rule("fifth", "unit", r"unit [5-7] failed (?P<times>\d+)"), rule("xid", "Xid", r"Xid \d+")]
    )
    lines = ["Xid 79", "Xid 48", "unit 5 failed 3", "unit 7 failed 4", "unit 4 failed 4", "unit 5 failed 12"]

    xid_79, xid_48, fifth, seventh, fourth, longer = matcher.located(lines)

    assert (xid_79 is xid_48, fifth is seventh, fifth is longer, fourth) == (True, True, False, ())


def test_rule_that_one_beats_which_matches_all_lines_of_a_shape_is_not_asked() -> None:
    certain = rule("certain", "unit", r"unit \d+ failed", beats=frozenset({"asking"}))
    asking = rule("asking", "unit", "unit [5-7]")

    (fifth,), (fourth,) = compile_rules([asking, certain]).located(["unit 5 failed", "unit 4 failed"])

    assert (fifth.rule.name, fourth is fifth) == ("certain", True)


def test_rule_that_may_itself_be_beaten_settles_nothing() -> None:
    asking = rule("asking", "unit", "unit [5-7]", beats=frozenset({"certain"}))
    certain = rule("certain", "unit", r"unit \d+ failed", beats=frozenset({"general"}))
    general = rule("general", "unit", "unit [3-6]")

    found = compile_rules([asking, certain, general]).hits(["unit 5 failed", "unit 3 failed"])

    assert names(found) == {0: ["asking", "general"], 1: ["certain"]}


def test_literal_with_digits_must_stand_in_the_line_itself() -> None:
    matcher = compile_rules([rule("fifth", "unit 5 ", r"unit (\d) failed")])

    assert names(matcher.hits(["unit 4 failed, unit 5 did not", "unit 4 failed, unit 6 did not"])) == {0: ["fifth"]}


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
