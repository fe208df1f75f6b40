"""What the first line of a sort says of where things stand holds for all lines of the sort."""

import re
from random import Random

from clusterwatch.detect import Catalog, Rule, compile_rules, unbeaten
from clusterwatch.detect.refining import Refinement, Refinements
from clusterwatch.detect.sayings import Saying, Sayings


def sayings_on(lines: list[str], rules: list[Rule], *refinements: Refinement) -> list[tuple[Saying, ...]]:
    sayings = Sayings(Refinements(refinements))
    located = compile_rules(rules).located(lines)
    return [sayings.of("syslog", found, line).told for found, line in zip(located, lines, strict=True)]


def test_fields_of_each_line_are_what_its_own_match_captured(catalog: Catalog) -> None:
    rng = Random(2)
    examples = [line for one in catalog.rules for line in one.match if "\n" not in line]
    lines = [re.sub(r"\d", lambda digit: rng.choice([digit[0], "0", "7"]), line) for line in examples for _ in range(3)]
    hits = compile_rules(catalog.rules).hits(lines)

    found = sayings_on(lines, list(catalog.rules))

    for index, line in enumerate(lines):
        captured = {hit.rule.name: hit.rule.fields(hit.match) for hit in unbeaten(hits.get(index, ()))}
        cut = {saying.rule.name: saying.fields(line) for saying in found[index]}
        assert cut == {name: captured[name] for name in cut}


def test_field_is_cut_out_without_the_blanks_around_it_and_behind_what_carried_the_line() -> None:
    unit = Rule(
        "unit", "unit.failed", ("unit",), re.compile(r"^unit (?P<unit>[ \d]+) failed"), ints=frozenset({"unit"})
    )
    lines = ["2026-01-05 10:00:00 unit  4  failed", "2026-01-05 10:12:31 unit  7  failed"]

    first, second = sayings_on(lines, [unit])

    assert first == second
    assert [saying.fields(line) for (saying,), line in zip((first, second), lines, strict=True)] == [
        {"unit": 4},
        {"unit": 7},
    ]


def test_kind_is_left_open_where_a_field_or_a_refinement_may_tell_it() -> None:
    rules = [
        Rule("plain", "fan.stopped", ("fan",), re.compile("fan stopped")),
        Rule("numbered", "gpu.xid.{xid}", ("Xid",), re.compile(r"Xid (?P<xid>\d+)")),
        Rule("refined", "pump.failed", ("pump",), re.compile("pump failed")),
    ]
    refinement = Refinement(("pump.failed",), "pump.failed.dry", re.compile("dry"))

    found = sayings_on(["fan stopped", "Xid 79", "pump failed"], rules, refinement)

    assert [saying.kind for (saying,) in found] == ["fan.stopped", "", ""]
