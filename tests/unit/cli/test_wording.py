from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwatch.cli.wording import age, duration, percent, sureness, time_since

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (1.44, "1.4 s"),
        (9.97, "10 s"),
        (59.7, "1 m 00 s"),
        (185, "3 m 05 s"),
        (7449, "2 h 04 m"),
        (90000, "1 d 1 h"),
        (-3, "-3 s"),
    ],
)
def test_span_is_said_in_two_units_at_most(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@given(st.floats(min_value=0, max_value=1e9))
def test_no_span_is_said_with_sixty_of_a_unit(seconds: float) -> None:
    assert " 60 " not in f" {duration(seconds)} "


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s ago"), (59, "59 s ago"), (200, "3 m ago"), (7300, "2 h ago"), (200000, "2 d ago"), (-90, "in 1 m")],
)
def test_age_is_said_in_its_largest_unit(seconds: float, words: str) -> None:
    assert age(NOON - timedelta(seconds=seconds), NOON) == words


def test_what_never_happened_has_no_age() -> None:
    assert age(None, NOON) == "-"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("90s", NOON - timedelta(seconds=90)),
        ("1h", NOON - timedelta(hours=1)),
        ("1h30m", NOON - timedelta(minutes=90)),
        ("2 d", NOON - timedelta(days=2)),
        ("2026-03-04T11:00", datetime(2026, 3, 4, 11, tzinfo=UTC)),
        ("2026-03-04T11:00+02:00", datetime(2026, 3, 4, 9, tzinfo=UTC)),
    ],
)
def test_since_takes_a_span_or_a_time(text: str, meant: datetime) -> None:
    assert time_since(text, NOON) == meant


@pytest.mark.parametrize("text", ["yesterday", "", "1h ago", "5", "99999999999w"])
def test_since_refuses_anything_else_and_names_it(text: str) -> None:
    with pytest.raises(ValueError, match=f'"{text}" is'):
        time_since(text, NOON)


def test_confidence_has_a_number_and_a_word() -> None:
    assert (percent(0.934), sureness(0.934)) == ("93 %", "nearly certain")
    assert (percent(0.05, 1), sureness(0.05)) == ("5.0 %", "unsure")
    assert percent(None) == "-"
