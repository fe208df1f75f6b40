"""Draws from `random()` alone."""

from random import Random
from statistics import fmean, median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.faults.draws import apportioned, by_share, lognormal, poisson, some_of
from simulators.faults.repairs import Repairs


@given(st.integers(0, 5_000), st.dictionaries(st.text(max_size=4), st.floats(0.001, 1_000), min_size=1, max_size=20))
def test_apportioned_numbers_add_up(total: int, shares: dict[str, float]):
    counts = apportioned(total, shares)

    assert sum(counts.values()) == total
    assert counts.keys() == shares.keys()


@given(st.integers(0, 5_000), st.lists(st.floats(0.001, 1_000), min_size=1, max_size=20))
def test_apportioned_number_is_its_share_or_the_next_whole_number(total: int, shares: list[float]):
    counts = apportioned(total, dict(enumerate(shares)))

    assert all(abs(counts[name] - total * share / sum(shares)) < 1 + 1e-6 for name, share in enumerate(shares))


def test_choice_falls_by_its_share():
    rng = Random(3)

    drawn = [by_share({"rare": 1.0, "never": 0.0, "often": 3.0}, rng) for _ in range(4_000)]

    assert "never" not in drawn
    assert drawn.count("often") / 4_000 == pytest.approx(0.75, abs=0.03)


def test_poisson_has_its_mean_and_its_spread():
    rng = Random(3)

    drawn = [poisson(9.0, rng) for _ in range(4_000)]

    assert fmean(drawn) == pytest.approx(9.0, rel=0.03)
    assert fmean((each - 9.0) ** 2 for each in drawn) == pytest.approx(9.0, rel=0.1)


def test_half_of_lognormal_times_are_below_the_median():
    rng = Random(3)

    assert median(lognormal(100.0, 1.2, rng) for _ in range(4_000)) == pytest.approx(100.0, rel=0.08)


def test_repair_takes_whole_milliseconds():
    seconds = Repairs(3_600.0, 1.2).seconds(Random(3))

    assert seconds > 0
    assert seconds == round(seconds, 3)


def test_some_of_all_are_different_and_in_order():
    assert some_of(range(100), 10, Random(3)) == sorted(set(some_of(range(100), 10, Random(3))))
    assert some_of([1, 2], 5, Random(3)) == [1, 2]
