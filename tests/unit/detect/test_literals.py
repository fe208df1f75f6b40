"""Literals are strong: what healthy machines write all day holds none of them."""

import re
from itertools import islice
from random import Random

import pytest

from benign_log import benign_lines
from clusterwatch.detect import Catalog, Rule
from clusterwatch.detect.engines import scanner
from clusterwatch.model.kinds import PROGRESS

LINES = 100_000
MOST_PER_LINE = 1e-4


@pytest.fixture(scope="module")
def rules(catalog: Catalog) -> list[Rule]:
    """The rules that tell of anything but progress, which is what a healthy job writes."""
    return [rule for rule in catalog.rules if rule.kind != PROGRESS]


@pytest.fixture(scope="module")
def held(rules: list[Rule]) -> dict[str, list[str]]:
    """Lines of healthy machines by the literals that they hold."""
    text = "\n".join([*islice(benign_lines(Random(1)), LINES), ""]).encode()
    literals = sorted({literal for rule in rules for literal in rule.literals})
    found: dict[str, list[str]] = {}
    for end, literal in scanner([literal.encode() for literal in literals])(memoryview(text)):
        line = text[text.rfind(b"\n", 0, end) + 1 : text.index(b"\n", end)].decode()
        held = found.setdefault(literals[literal], [])
        if held[-1:] != [line]:
            held.append(line)
    return found


def test_no_literal_is_common_where_all_is_well(held: dict[str, list[str]]):
    weak = {literal: (len(lines), lines[0]) for literal, lines in held.items() if len(lines) > LINES * MOST_PER_LINE}

    assert weak == {}


def test_all_literals_together_are_rare_where_all_is_well(held: dict[str, list[str]]):
    lines = {line for lines in held.values() for line in lines}

    assert len(lines) <= LINES * MOST_PER_LINE


def test_literal_is_long_enough_to_be_rare(rules: list[Rule]):
    short = [(rule.name, literal) for rule in rules for literal in rule.literals if len(literal) < 4]

    assert short == []


def test_short_literal_is_more_than_a_number_or_signs(rules: list[Rule]):
    empty = [(rule.name, each) for rule in rules for each in rule.literals if not re.search(r"[A-Za-z]|.{5}", each)]

    assert empty == []
