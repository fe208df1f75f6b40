"""A day of the simulated fleet: nothing is lost, nothing is done twice, and memory does not grow.

SOAK_HOURS=4 makes it shorter. Faults come five times as far apart as in the demo, about one in six minutes: as the
demo has them, every job has used up its restarts of the hour long before the day is over.
"""

from __future__ import annotations

import os
from pathlib import Path

import psutil

from clusterwatch.clock import SystemClock
from living_fleet import ASSERTIONS, LivingFleet, living

HOURS = int(os.environ.get("SOAK_HOURS", "24"))
CALM = 5.0
MOST_GROWTH_MB = 50.0


def test_a_day_of_the_small_fleet(tmp_path: Path):
    process, memory_mb = psutil.Process(), list[float]()

    with living(tmp_path, seed=1, calm=CALM) as fleet:
        print(
            f"\n{'hour':>4} {'seconds taken':>13} {'memory MB':>9} {'events':>7} {'incidents':>9} {'open':>4}  attempts"
        )
        for hour in range(1, HOURS + 1):
            began = SystemClock().monotonic()
            fleet.live(3600)
            memory_mb.append(process.memory_info().rss / 1e6)
            _print_hour(hour, SystemClock().monotonic() - began, memory_mb[-1], fleet)
        fleet.come_to_rest()

        for holds in ASSERTIONS:
            holds(fleet)
        _print_jobs(fleet)
    growth_mb = max(memory_mb) - memory_mb[0]
    print(f"memory grew by {growth_mb:.1f} MB after the first hour")
    assert growth_mb < MOST_GROWTH_MB


def _print_hour(hour: int, seconds: float, memory_mb: float, fleet: LivingFleet) -> None:
    rows = fleet.store.read.stats().rows
    world = fleet.service.responder.world
    assert world is not None
    attempts = ", ".join(f"{job.name} {job.attempt}" for job in world.jobs.values())
    print(
        f"{hour:>4} {seconds:>13.1f} {memory_mb:>9.1f} {rows['events']:>7} {rows['incidents']:>9}"
        f" {len(world.incidents):>4}  {attempts}",
        flush=True,
    )


def _print_jobs(fleet: LivingFleet) -> None:
    for job in fleet.store.read.jobs():
        print(f"{job.name}: {job.state}, attempt {job.attempt}, step {job.highest_step}. {job.outcome}")
    done = sum(bool(decision.steps) for decision in fleet.decisions())
    print(
        f"{len(fleet.simulator.truth())} faults struck, {done} plans were carried out, {len(fleet.steps())} steps ended"
    )
