"""When faults come."""

from dataclasses import replace

import numpy as np
import pytest

from clusterwatch.model import TABLE5_ROW, Cause
from simulators.whatif.arrivals import faults
from simulators.whatif.scenario import Ages, Arrivals, Scenario

RUNS = np.arange(150)
WEIBULL = Scenario(arrivals=Arrivals.WEIBULL)


def counts(scenario, seed=1):
    due = faults(scenario, seed, RUNS)
    came = np.isfinite(due.at)
    return [int((came & (due.cause == number)).sum()) / len(RUNS) for number in range(len(scenario.mix) + 1)]


def test_mean_counts_are_those_of_table_5():
    *found, planned = counts(Scenario())

    assert sum(found) == pytest.approx(419, rel=0.02)
    assert planned == pytest.approx(47, rel=0.04)
    # NVLink faults are in the same row.
    assert found[0] + found[1] == pytest.approx(TABLE5_ROW[Cause.FAULTY_GPU].count, rel=0.03)


@pytest.mark.parametrize("shape", [0.6, 0.75, 1.0, 1.5])
def test_weibull_clocks_of_a_fleet_that_has_run_for_long_keep_the_mean_rate(shape):
    *found, _ = counts(replace(WEIBULL, shape=shape))

    assert sum(found) == pytest.approx(419, rel=0.02)


def test_weibull_clock_is_not_wound_up_by_restarts_of_the_job():
    # 2,048 nodes that fail every few days: each of them many times within the 54 days.
    often = replace(WEIBULL, failures_per_1000_node_days=200, gpus=128, shape=0.7)

    *found, _ = counts(often)

    assert sum(found) == pytest.approx(0.2 * 16 * 54, rel=0.02)


def test_new_parts_fail_more_often_at_first():
    due = faults(replace(WEIBULL, shape=0.6, ages=Ages.NEW), 1, RUNS)

    early, late = (due.at < 10 * 86_400).sum(), ((due.at > 44 * 86_400) & np.isfinite(due.at)).sum()

    assert early > 1.3 * late


def test_faults_come_in_the_order_of_time_and_every_run_has_room_beyond_its_last():
    due = faults(WEIBULL, 3, RUNS)

    assert (due.at[:, 1:] >= due.at[:, :-1]).all()
    assert np.isinf(due.at[:, -1]).all()


def test_fleet_without_failures_is_not_interrupted():
    due = faults(Scenario(failures_per_1000_node_days=0, planned_per_day=0), 1, RUNS)

    assert np.isinf(due.at).all()
