"""Quantiles to times, levels to variables."""

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.whatif.draws import Purpose, normal, uniforms
from simulators.whatif.latency import fixed, from_quantiles, latency


def test_quantiles_are_met_and_times_grow_with_the_level():
    found = from_quantiles(3, 20, 41)

    assert [found.seconds(level) for level in (0.5, 0.95, 0.99)] == pytest.approx([3, 20, 41])
    levels = np.linspace(0, 1, 101)
    assert np.all(np.diff([found.seconds(level) for level in levels]) > 0)


def test_fixed_time_is_the_same_at_every_level():
    assert {round(fixed(600).seconds(level), 9) for level in (0.0, 0.3, 1.0)} == {600.0}


@pytest.mark.parametrize("told", ["60", True, -1, {"p50": 1}, {"p50": 3, "p95": 2, "p99": 4}], ids=str)
def test_what_is_no_latency_is_refused(told):
    with pytest.raises(ValueError, match=r"expected|grow"):
        latency(told)


@given(st.floats(1e-12, 1 - 1e-12))
def test_normal_quantiles_are_those_of_the_standard_library(level):
    assert normal(np.array([level]))[0] == pytest.approx(NormalDist().inv_cdf(level), rel=1e-8, abs=1e-8)


def test_draws_are_even_and_those_of_one_purpose_say_nothing_of_another():
    detect = uniforms(1, Purpose.DETECT, np.arange(500)[:, None], np.arange(200)).ravel()
    decide = uniforms(1, Purpose.DECIDE, np.arange(500)[:, None], np.arange(200)).ravel()

    assert np.histogram(detect, bins=10, range=(0, 1))[0] == pytest.approx(np.full(10, 10_000), rel=0.05)
    assert abs(np.corrcoef(detect, decide)[0, 1]) < 0.01
    assert abs(np.corrcoef(detect[:-1], detect[1:])[0, 1]) < 0.01


def test_draw_is_the_same_for_ever():
    # A seed must mean the same in the next version of numpy, and in ours.
    assert uniforms(1, Purpose.GAP, 0, [0, 1]) == pytest.approx([0.432744927593, 0.958234664376], abs=1e-11)
