"""Checkpoint intervals, efficiencies and failure rates against published and independent figures."""

from math import exp, factorial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwatch.goodput import theory

# 419 unexpected interruptions in 54 days: The Llama 3 Herd of Models, arXiv 2407.21783, section 3.3.4.
MTBF = 54 * 86_400 / 419

SAVES = st.floats(0.1, 600.0)
MTBFS = st.floats(1_000.0, 1e6)


def test_intervals_are_those_of_the_articles_for_two_seconds_and_three_hours():
    assert theory.young_interval(2, MTBF) == pytest.approx(211.05, abs=0.01)
    assert theory.daly_first_order_interval(2, MTBF) == pytest.approx(209.05, abs=0.01)
    assert theory.daly_interval(2, MTBF) == pytest.approx(209.72, abs=0.01)
    assert theory.exact_interval(2, MTBF) == pytest.approx(209.71, abs=0.02)


@given(SAVES, MTBFS)
def test_no_other_interval_is_more_efficient_than_the_exact_one(save, mtbf):
    best = theory.exact_interval(save, mtbf)
    efficiency = theory.exact_efficiency(best, save, mtbf, 100)

    assert efficiency >= theory.exact_efficiency(best * 1.01, save, mtbf, 100)
    assert efficiency >= theory.exact_efficiency(best * 0.99, save, mtbf, 100)


@given(SAVES, MTBFS)
def test_higher_order_estimate_costs_a_thousandth_at_most(save, mtbf):
    best = theory.exact_efficiency(theory.exact_interval(save, mtbf), save, mtbf)

    assert theory.exact_efficiency(theory.daly_interval(save, mtbf), save, mtbf) > best * 0.999


def test_saving_that_takes_longer_than_two_failures_are_apart_is_done_once_per_failure():
    assert theory.daly_interval(500, 200) == 200
    assert theory.daly_first_order_interval(500, 200) == 200


@pytest.mark.parametrize(
    ("save", "restart", "percent"),
    [(0.5, 0, 99.1), (1, 60, 98.1), (5, 300, 94.5), (10, 600, 90.8), (60, 0, 90.0), (300, 1200, 70.5)],
)
def test_efficiency_of_the_best_interval_at_the_rate_of_llama_3(save, restart, percent):
    interval = theory.exact_interval(save, MTBF)

    assert 100 * theory.exact_efficiency(interval, save, MTBF, restart) == pytest.approx(percent, abs=0.06)


@pytest.mark.parametrize(
    ("nodes", "failures_per_1000_node_days", "minutes", "queue", "published"),
    [(2048, 6.50, 60, 0, 0.70), (2048, 6.50, 5, 0, 0.93), (1000, 6.50, 30, 60, 0.90)],
)
def test_first_order_ettr_meets_the_points_that_meta_published(
    nodes, failures_per_1000_node_days, minutes, queue, published
):
    # arXiv 2410.21680: five minutes of restart; what a checkpoint costs is not published and taken as nothing.
    mtbf = 86_400 / (nodes * failures_per_1000_node_days / 1000)

    assert theory.first_order_ettr(60 * minutes, 0, mtbf, 300, queue) == pytest.approx(published, abs=0.03)


def test_restart_that_reaches_a_target_reaches_exactly_that():
    restart = theory.required_restart(0.95, 330, 5, MTBF)

    assert theory.exact_efficiency(330, 5, MTBF, restart) == pytest.approx(0.95)
    assert restart / 60 == pytest.approx(3.9, abs=0.05)


def test_no_restart_is_fast_enough_where_saving_alone_costs_more():
    assert theory.required_restart(0.97, 600, 60, MTBF) is None


def test_efficiency_of_a_hopeless_job_is_zero():
    assert theory.exact_efficiency(1e9, 1, 10, 0) == 0.0
    assert theory.first_order_ettr(1e9, 1, 10, 0) == 0.0


@pytest.mark.parametrize(
    ("failures", "low", "high"), [(0, 0.0, 3.689), (1, 0.0253, 5.572), (10, 4.795, 18.39), (419, 379.8, 461.1)]
)
def test_rate_interval_is_that_of_the_tables(failures, low, high):
    found = theory.rate_interval(failures, 1.0)

    assert (found.low, found.high) == (pytest.approx(low, rel=1e-3), pytest.approx(high, rel=1e-3))


@given(st.integers(1, 60), st.floats(0.001, 0.999))
def test_gamma_quantile_inverts_the_poisson_sum(count, probability):
    value = theory.gamma_quantile(count, probability)

    at_least = 1 - sum(exp(-value) * value**events / factorial(events) for events in range(count))
    assert at_least == pytest.approx(probability, abs=1e-9)


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(lambda: theory.young_interval(0, 100), id="save of no time"),
        pytest.param(lambda: theory.exact_interval(1, -1), id="negative mean time"),
        pytest.param(lambda: theory.exact_efficiency(100, -1, 100), id="negative save"),
        pytest.param(lambda: theory.first_order_ettr(0, 1, 100), id="interval of no time"),
        pytest.param(lambda: theory.required_restart(1.0, 100, 1, 100), id="efficiency of one"),
        pytest.param(lambda: theory.rate_interval(-1, 1.0), id="negative count"),
        pytest.param(lambda: theory.rate_interval(1, 0.0), id="no exposure"),
        pytest.param(lambda: theory.rate_interval(1, 1.0, confidence=95), id="confidence in percent"),
        pytest.param(lambda: theory.gamma_quantile(1.0, 1.0), id="certainty"),
        pytest.param(lambda: theory.young_interval(float("nan"), 100), id="not a number"),
    ],
)
def test_values_that_mean_nothing_are_refused(wrong):
    with pytest.raises(ValueError, match=r"must|lies between"):
        wrong()
