import string
import tomllib
from pathlib import Path

import pytest

import clusterwatch
from simulators.schedule import FAULT_KINDS
from simulators.wording import Speaker, Variant, load_wording

WORDING = load_wording()
VARIANTS = [(name, number, variant) for name, all_of in WORDING.items() for number, variant in enumerate(all_of)]
CATALOG = Path(clusterwatch.__file__).parent / "detect" / "catalog"


@pytest.mark.parametrize(("name", "number", "variant"), VARIANTS)
def test_every_wording_names_where_such_lines_are_public(name: str, number: int, variant: Variant):
    assert variant.sources
    assert all(source.startswith("https://") for source in variant.sources)


@pytest.mark.parametrize(("name", "number", "variant"), VARIANTS)
def test_lines_are_in_the_order_of_time(name: str, number: int, variant: Variant):
    times = [line.after_seconds for line in variant.lines]

    assert times == sorted(times)


@pytest.mark.parametrize("kind", FAULT_KINDS, ids=lambda kind: kind.name)
def test_every_kind_of_fault_has_wording(kind):
    assert WORDING[kind.name]
    assert all(WORDING[echo] for echo in kind.echoes)


@pytest.mark.parametrize(
    "kind", [kind for kind in FAULT_KINDS if kind.name != "silent_hang"], ids=lambda kind: kind.name
)
def test_every_fault_but_a_silent_hang_has_two_ways_to_say_it(kind):
    assert len(WORDING[kind.name]) >= 2
    assert all(variant.lines for variant in WORDING[kind.name])


def test_a_silent_hang_says_nothing():
    assert [variant.lines for variant in WORDING["silent_hang"]] == [()]


def test_template_prints_one_reading_a_line():
    variant = WORDING["python_exception"][0]
    values = dict.fromkeys(_placeholders(variant), 7)

    assert variant.lines[0].speaker is Speaker.RANK
    assert variant.lines[0].printed(values)[0] == "[rank7]: Traceback (most recent call last):"


def test_no_simulated_line_is_an_example_of_the_catalogue_that_must_recognise_it():
    examples = {text for file in CATALOG.rglob("*.toml") for text in _strings(tomllib.loads(file.read_text()))}
    templates = {text for _, _, variant in VARIANTS for line in variant.lines for text in line.text.splitlines()}

    assert templates.isdisjoint(examples)


def _placeholders(variant: Variant) -> set[str]:
    return {name for line in variant.lines for _, name, _, _ in string.Formatter().parse(line.text) if name}


def _strings(value: object) -> set[str]:
    if isinstance(value, str):
        return {value}
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return set().union(*map(_strings, parts))
