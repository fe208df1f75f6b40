"""The what-if simulator against the closed loop of a replay: the same policies, faults and times of the stages."""

from collections import Counter
from dataclasses import replace
from statistics import fmean

import numpy as np
import pytest

from clusterwatch.goodput import Reason
from clusterwatch.model import kinds
from simulators.cluster import Diurnal
from simulators.fleet_wording import fault_kinds
from simulators.terms import Terms
from simulators.trace.generating import generate
from simulators.trace.specs import builtin_spec
from simulators.whatif.arrivals import faults
from simulators.whatif.causes import AS_SEEN_BY_JOB, NO_PART, Behaviour
from simulators.whatif.latency import fixed
from simulators.whatif.runs import outcome_of
from simulators.whatif.scenario import Scenario
from simulators.world.regimes import regimes, save_every_seconds
from simulators.world.world import World

DAYS, NODES, SEEDS = 13.5, 8, range(1, 9)


@pytest.fixture(scope="module")
def schedules():
    """Return a quarter of Llama 3's 54 days, each with the failures of 2,048 nodes on a few: that takes seconds."""
    spec = builtin_spec("llama3-54d")
    cluster = replace(spec.cluster, training_nodes_total=NODES, diurnal=Diurnal(depth=0.0))
    job = replace(spec.jobs[0], nodes_total=NODES, pp=2, dp=NODES // 2, step_seconds=((0.0, 6.2),))
    spec = replace(spec, cluster=cluster, jobs=(job,), noise=replace(spec.noise, share=0.0, rack_reboots_total=0))
    return [generate(spec, seed, days=DAYS) for seed in SEEDS]


def lived(schedule, regime):
    """Return the share of the time that became new steps."""
    terms = Terms.of({name: assumed.value for name, assumed in schedule.assumptions.items()})
    world, end, highest = World(schedule, terms, save_every_seconds(regime), regime), schedule.seconds, 0
    world.begin()
    now = 0.0
    while now < end:
        now = min(world.next_at, end)
        world.advance(now)
        told = [each.fields["step"] for each in world.take(now) if each.subject == kinds.PROGRESS]
        highest = max([highest, *told])
    return highest * 6.2 / end


def scenario_of(schedules):
    """Return the scenario with as many faults as *schedules* hold, which do what theirs do."""
    kinds_of = {}
    for fault in (fault for schedule in schedules for fault in schedule.faults):
        kinds_of.setdefault(fault.cause, []).append(fault_kinds()[fault.kind])
    total, days = sum(map(len, kinds_of.values())), DAYS * len(schedules)
    return Scenario(
        days=DAYS,
        gpus=8 * NODES,
        failures_per_1000_node_days=1000 * total / days / NODES,
        mix=tuple(behaviour(cause, of_it) for cause, of_it in kinds_of.items()),
        planned_per_day=sum(len(schedule.planned) for schedule in schedules) / days,
    )


def behaviour(cause, of_it):
    harms = Counter(AS_SEEN_BY_JOB[kind.harm] for kind in of_it)
    staying = Counter(AS_SEEN_BY_JOB[kind.harm] for kind in of_it if kind.stays)
    return Behaviour(
        cause,
        count=len(of_it),
        has_part=any(kind.component not in NO_PART for kind in of_it),
        harm={harm: count / len(of_it) for harm, count in harms.items()},
        stays={harm: staying[harm] / count for harm, count in harms.items()},
    )


# With times that are always the same what strikes again, and how often, is known with fewer runs.
REGIMES = {
    "oracle": regimes()["oracle"],
    "llama3": regimes()["llama3"],
    "requeue": replace(regimes()["requeue"], detect={"all": fixed(600)}, person=fixed(900)),
    "nothing": replace(regimes()["nothing"], detect={"all": fixed(600)}, person=fixed(900)),
}


# Half a point, and what chance may add in so few runs: two standard errors.
@pytest.mark.parametrize(
    ("name", "by_chance"), [("oracle", 0.0), ("llama3", 0.002), ("requeue", 0.004), ("nothing", 0.004)]
)
def test_simulation_and_closed_loop_give_the_same_ratio(schedules, name, by_chance):
    regime = REGIMES[name]
    scenario = scenario_of(schedules)
    drawn = replace(regime, interval_seconds=save_every_seconds(regime))

    outcome = outcome_of(scenario, drawn, faults(scenario, 1, np.arange(300)), 1)

    simulated = outcome.seconds[Reason.PRODUCTIVE].mean() / scenario.seconds
    assert fmean(lived(each, regime) for each in schedules) == pytest.approx(simulated, abs=0.005 + by_chance)
