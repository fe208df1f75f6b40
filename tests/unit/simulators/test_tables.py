"""Tables of TOML to dataclasses."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import pytest

from clusterwatch.errors import ConfigError
from simulators.tables import Range, from_table


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True)
class Part:
    size: Annotated[float, Range(above=0.0, most=10.0)]


@dataclass(frozen=True, slots=True)
class Whole:
    name: str
    parts: tuple[Part, ...] = ()
    pairs: tuple[tuple[float, int], ...] = ()
    colours: Mapping[Colour, int] = field(default_factory=dict)
    start: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    is_open: bool = False


def test_everything_is_read():
    table = {
        "name": "it",
        "parts": [{"size": 1}, {"size": 2.5}],
        "pairs": [[0, 1], [1.5, 2]],
        "colours": {"red": 3},
        "is_open": True,
    }

    assert from_table(Whole, table, "file") == Whole(
        "it", (Part(1.0), Part(2.5)), ((0.0, 1), (1.5, 2)), {Colour.RED: 3}, is_open=True
    )


def test_all_mistakes_are_told_with_their_places():
    table = {
        "parts": [{"size": 0}, 7, {"size": 11.0}, {}],
        "pairs": [[1], 5],
        "colours": {"green": 1, "red": "many"},
        "start": datetime(2026, 1, 1),  # noqa: DTZ001 - without a zone on purpose
        "is_open": "yes",
        "nmae": "it",
    }

    with pytest.raises(ConfigError) as caught:
        from_table(Whole, table, "file")

    assert list(map(str, caught.value.mistakes)) == [
        "nmae: no such key: known are name, parts, pairs, colours, start, is_open",
        "name: is missing",
        "parts[1].size: must be above 0",
        "parts[2]: must be a table",
        "parts[3].size: must be at most 10",
        "parts[4].size: is missing",
        "pairs[1]: must hold 2 values",
        "pairs[2]: must be a list",
        "colours.green: must be one of red, blue",
        "colours.red: must be a whole number, not 'many'",
        "start: must be a time with its zone, such as 2026-03-04T12:00:00Z",
        "is_open: must be true or false, not 'yes'",
    ]


@pytest.mark.parametrize(("parts", "words"), [(3, "must be a list"), ([{"size": float("inf")}], "must be finite")])
def test_value_of_another_sort_is_refused(parts: object, words: str):
    with pytest.raises(ConfigError, match=words):
        from_table(Whole, {"name": "it", "parts": parts}, "file")


def test_text_without_end_is_refused():
    with pytest.raises(ConfigError, match="at most 2,000 characters"):
        from_table(Whole, {"name": "x" * 3_000}, "file")
