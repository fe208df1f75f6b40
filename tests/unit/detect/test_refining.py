from datetime import UTC, datetime

import pytest

from clusterwatch.detect import ObserverState, compile_catalog, notice
from clusterwatch.detect.refining import mask_from
from clusterwatch.errors import CatalogError
from clusterwatch.model import Event, Reading

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
CATALOG = """
[[signal]]
kind = "pump"
meaning = "a pump said something"
severity = "warning"
role = "suspect"
sources = ["https://example.org"]

[[rule]]
name = "pump"
kind = "pump.{number}"
literal = "pump "
pattern = 'pump (?P<number>\\d+)'
sources = ["https://example.org"]
match = ["pump 7 leaks"]

[[refine]]
kind = "pump.7"
to = "pump.7.valve"
pattern = 'valve (?P<valve>\\w+) reg (?P<register>0x[0-9a-f]+)'
sources = ["https://example.org"]
match = ["pump 7: valve A reg 0x01"]

[[refine]]
kind = "pump.7.valve"
to = "pump.7.valve.stuck"
when = { valve = ["a", "b"] }
bits = { register = [0, 4] }
sources = ["https://example.org"]

[[refine]]
kind = "pump.7.valve"
to = "pump.7.valve.{valve}"
mask = { register = "1---0000" }
sources = ["https://example.org"]
"""


def event_of(line: str) -> Event:
    reading = Reading(source="kernel_log", node="node001", position="1", observed_at=NOON, text=line)
    _, (event,), _ = notice(ObserverState(), [reading], compile_catalog({"pump.toml": CATALOG}), NOON)
    return event


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("pump 8: valve A reg 0x01", "pump.8"),
        ("pump 7 leaks", "pump.7"),
        ("pump 7: valve A reg 0x02", "pump.7.valve"),
        ("pump 7: valve A reg 0x01", "pump.7.valve.stuck"),
        ("pump 7: valve B reg 0x1f", "pump.7.valve.stuck"),
        ("pump 7: valve C reg 0x01", "pump.7.valve"),
        ("pump 7: valve C reg 0xa0", "pump.7.valve.c"),
        ("pump 7: valve C reg 0xa1", "pump.7.valve"),
    ],
)
def test_line_is_of_the_most_special_kind_whose_conditions_hold(line: str, kind: str) -> None:
    assert event_of(line).kind == kind


def test_what_was_read_on_the_way_becomes_fields_of_the_event() -> None:
    assert event_of("pump 7: valve A reg 0x01").fields == {"number": "7", "valve": "A", "register": "0x01"}


@pytest.mark.parametrize(("text", "fits"), [("1-0", [4, 6]), ("---", list(range(8))), ("111", [7])])
def test_mask_names_the_bits_that_count_highest_first(text: str, fits: list[int]) -> None:
    mask = mask_from(text)

    assert mask is not None
    assert [number for number in range(8) if mask.fits(number)] == fits


@pytest.mark.parametrize("text", ["", "012", "0x1", "1" * 65])
def test_text_that_writes_no_mask_gives_none(text: str) -> None:
    assert mask_from(text) is None


def test_every_mistake_of_a_refinement_is_named() -> None:
    wrong = """
[[refine]]
kind = "pump.7"
to = "valve.7"
pattern = '('
when = { colour = "red" }
bits = { register = [99] }
mask = { register = "12" }
spare = 1
"""

    with pytest.raises(CatalogError) as error:
        compile_catalog({"pump.toml": CATALOG, "site.toml": wrong})

    for part in (
        "site.toml: refine 'pump.7': unknown key 'spare'",
        "pattern is not a regular expression",
        "bits of 'register' must be a list of numbers from 0 to 63",
        "mask of 'register' must be made of 0, 1 and -, highest bit first",
        "sources is missing",
        "'valve.7' is no more special kind of 'pump.7'",
        "no pattern gives it a field 'colour'",
    ):
        assert part in str(error.value)
