"""How often it breaks, and how far the count leaves that open."""

from dataclasses import replace
from math import inf

import pytest

from clusterwatch.goodput.reliability import Failure, failure_rate, mean_hours_between, recovery
from clusterwatch.model import Cause
from clusterwatch.testing import NOON, seconds

STOP = Failure("job-1", "int-1", "inc-1", NOON, NOON + seconds(60), False, Cause.FAULTY_GPU)


def test_rate_is_per_thousand_node_days_with_its_band():
    """The 419 unexpected interruptions of 2,048 nodes in 54 days, arXiv 2407.21783, section 3.3.4."""
    rate = failure_rate(419, 2048 * 54)

    assert rate.value == pytest.approx(3.789, abs=0.001)
    assert (rate.low, rate.high) == pytest.approx((3.435, 4.170), abs=0.002)


def test_mean_time_between_failures_has_the_band_of_the_count():
    mtbf = mean_hours_between(419, 54 * 86_400)

    assert mtbf.value == pytest.approx(3.093, abs=0.001)
    assert (mtbf.low, mtbf.high) == pytest.approx((2.81, 3.41), abs=0.01)


def test_no_failure_is_no_promise():
    mtbf = mean_hours_between(0, 24 * 3600)

    assert (mtbf.value, mtbf.high) == (inf, inf)
    assert mtbf.low == pytest.approx(24 / 3.689, abs=0.01)
    assert failure_rate(0, 100).low == 0.0


def test_without_exposure_there_is_no_rate():
    assert failure_rate(3, 0.0) is None
    assert mean_hours_between(3, 0.0) is None


def test_recovery_counts_what_is_over_and_names_what_is_not():
    lasting = replace(STOP, ended_at=None)
    long = replace(STOP, ended_at=NOON + seconds(600))

    found = recovery([STOP, STOP, long, lasting])

    assert (found.mean_seconds, found.median_seconds, found.p95_seconds, found.open_total) == (240, 60, 600, 1)
    assert recovery([]).mean_seconds is None
