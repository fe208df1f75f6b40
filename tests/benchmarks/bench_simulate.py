"""How fast the what-if simulates: 54 days of 2,048 nodes, a thousand times, beside AIReSim where that is at hand.

AIReSim (arXiv 2603.07041, https://github.com/karthikp-ubc/airesim) is no package: set AIRESIM to a folder that holds
its `airesim`, and install simpy. Both are given the failures of Llama 3 and 20 minutes of restart; it knows neither
causes nor checkpoints nor lost work, so ours is given none for that comparison, and both must find the same
share of useful time.
Each round runs ours and AIReSim one after the other; the median ratio counts.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

import numpy as np
import pytest

from clusterwatch.clock import SystemClock
from clusterwatch.goodput import Reason
from measured import write_page
from simulators.whatif.arrivals import faults
from simulators.whatif.causes import Harm, built_in_mix
from simulators.whatif.latency import fixed
from simulators.whatif.policies import Policy, Responder, built_in_policies
from simulators.whatif.runs import outcome_of
from simulators.whatif.scenario import Scenario

RUNS = 1000
ROUNDS = 5
AIRESIM_RUNS = 6
NODES, DAYS, FAILURES = 2048, 54, 419
MINUTES = 1440 * DAYS
MOST_SECONDS, MOST_MEGABYTES, LEAST_RATIO = 2.0, 500, 100

ROWS: list[list[str]] = [["what", "measured", "goal"]]
_CHILD = """
import resource, numpy as np
from simulators.whatif.arrivals import faults
from simulators.whatif.policies import built_in_policies
from simulators.whatif.runs import outcome_of
from simulators.whatif.scenario import Scenario
scenario = Scenario()
outcome_of(scenario, built_in_policies()["clusterwatch"], faults(scenario, 1, np.arange({runs})), 1)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.fixture(scope="module", autouse=True)
def page() -> Iterator[None]:
    """Write what was measured to docs/measured once all is measured."""
    yield
    write_page(
        "simulate",
        "Simulating",
        f"What `bench_simulate.py` measured last: {RUNS:,} runs of {DAYS} days of {NODES:,} nodes, with causes,"
        " diagnoses, spares, checkpoints and lost work, in one process; and AIReSim on the same machine in the same"
        f" minutes, {AIRESIM_RUNS} runs a round, the median of {ROUNDS} rounds.",
        ROWS,
    )


def seconds_for(scenario: Scenario, policy: Policy, runs: int) -> tuple[float, float]:
    """Return how long *runs* took, and the mean share of useful time."""
    clock = SystemClock()
    began = clock.monotonic()
    outcome = outcome_of(scenario, policy, faults(scenario, 1, np.arange(runs)), 1)
    took = clock.monotonic() - began
    return took, float(outcome.seconds[Reason.PRODUCTIVE].mean() / scenario.seconds)


@pytest.mark.parametrize("name", ["clusterwatch", "llama3", "oracle"])
def test_thousand_runs_take_two_seconds(name: str):
    times = [seconds_for(Scenario(), built_in_policies()[name], RUNS)[0] for _ in range(ROUNDS)]

    ROWS.append(
        [f"{RUNS:,} runs, {name}", f"{median(times):.2f} s ({min(times):.2f} to {max(times):.2f})", "2 s, 0.5 s"]
    )
    print(f"\n{name}: {median(times):.2f} s for {RUNS:,} runs")
    assert median(times) < MOST_SECONDS


def test_thousand_runs_stay_below_half_a_gigabyte():
    told = subprocess.run([sys.executable, "-c", _CHILD.format(runs=RUNS)], capture_output=True, text=True, check=True)

    megabytes = int(told.stdout) / 1024
    ROWS.append([f"{RUNS:,} runs, memory", f"{megabytes:.0f} MB", f"{MOST_MEGABYTES} MB"])
    assert megabytes < MOST_MEGABYTES


def airesim() -> Any:
    """Return (Simulator, Params) of AIReSim."""
    sys.path.insert(0, str(Path(os.environ["AIRESIM"])))
    simulator, params = importlib.import_module("airesim.simulator"), importlib.import_module("airesim.params")
    return simulator.Simulator, params.Params


def bare(share_of_work: float) -> tuple[Scenario, Policy]:
    """Return what AIReSim simulates, in our words: failures and restarts of 20 minutes, until the same work is done."""
    mix = tuple(replace(each, stays={}, harm={Harm.CRASH: 1.0}) for each in built_in_mix())
    scenario = Scenario(
        days=DAYS / share_of_work,
        # It counts failures per time of training, we per elapsed time.
        failures_per_1000_node_days=1000 * FAILURES / DAYS / NODES * share_of_work,
        mix=mix,
        planned_per_day=0.0,
        save_seconds=0.0,
        interval_seconds=0.01,
        step_seconds=0.0,
        standby_seconds=0.0,
        start_seconds=0.0,
        load_seconds=0.0,
    )
    return scenario, Policy("restart", "restart in 20 minutes", Responder.SCRIPTED, 0.01, {"all": fixed(1200)})


def test_run_is_a_hundred_times_as_fast_as_that_of_airesim_at_equal_means():
    if "AIRESIM" not in os.environ:
        ROWS.append(["beside AIReSim", "not at hand here", str(LEAST_RATIO)])
        print("AIRESIM names no folder: nothing to compare with")
        return
    simulator, params = airesim()
    asked = params(
        random_failure_rate=FAILURES / MINUTES / NODES,
        systematic_failure_fraction=0.0,
        job_size=NODES,
        job_length=MINUTES,
        warm_standbys=16,
        working_pool_size=NODES + 32,
        spare_pool_size=100,
    )
    clock, ratios, theirs, ours, ratios_bare = SystemClock(), [], [], 0.0, []
    for number in range(ROUNDS):
        began = clock.monotonic()
        theirs += [simulator(asked, seed=number * AIRESIM_RUNS + each).run() for each in range(AIRESIM_RUNS)]
        each_of_theirs = (clock.monotonic() - began) / AIRESIM_RUNS
        full, _ = seconds_for(Scenario(), built_in_policies()["clusterwatch"], RUNS)
        alone, ours = seconds_for(*bare(MINUTES / (MINUTES + 20 * FAILURES)), RUNS)
        ratios.append(each_of_theirs / (full / RUNS))
        ratios_bare.append(each_of_theirs / (alone / RUNS))

    found = [result.effective_training_ratio for result in theirs]
    open_by = 1.96 * stdev(found) / len(found) ** 0.5
    told = f"{median(ratios):.0f} ({min(ratios):.0f} to {max(ratios):.0f})"
    ROWS.append(["full runs, times as fast as AIReSim", told, str(LEAST_RATIO)])
    ROWS.append(["runs of what AIReSim simulates, times as fast", f"{median(ratios_bare):.0f}", str(LEAST_RATIO)])
    ROWS.append(["useful time there, AIReSim and ours", f"{mean(found):.4f} ± {open_by:.4f}, {ours:.4f}", "equal"])
    print(f"\n{ROWS[-3:]}")
    assert abs(mean(found) - ours) < open_by + 0.002
    assert median(ratios) > LEAST_RATIO
