"""How often what comes to nothing comes."""

import math
from datetime import timedelta

import pytest

from clusterwatch.model import Changes, Job, JobState, Knowledge, World
from clusterwatch.testing import NOON
from clusterwatch.turning import Limits, Turning
from clusterwatch.turning.murmuring import count_murmurs, murmurs, uncounted


def turn(now=NOON, **known):
    job = Job("job-1", "llama", JobState.TRAINING, NOON, NOON, nodes=("node001",))
    world = World(watching_since=NOON, jobs={job.id: job}, **known)
    return Turning(world, Changes(), Knowledge([]), Limits(), now, jobs_before={})


def test_what_nothing_came_of_is_counted_by_kind():
    made = turn()

    count_murmurs(made, [("gpu.hot", "node001"), ("gpu.hot", "node001"), ("disk.slow", "node001")])

    assert made.world.murmurs == {"gpu.hot": 2.0, "disk.slow": 1.0}
    assert made.world.murmured_at == NOON


def test_node_without_a_job_murmurs_unheard():
    made = turn()

    count_murmurs(made, [("host.rebooted", "node009")])

    assert made.world.murmurs == {}


def test_count_fades_by_a_factor_of_e_in_a_day():
    made = turn(NOON + timedelta(days=1), murmurs={"gpu.hot": 2.0}, murmured_at=NOON)

    counted = murmurs(made.world, made.now)

    assert counted == {"gpu.hot": pytest.approx(2.0 / math.e)}


def test_what_has_almost_faded_is_forgotten():
    made = turn(NOON + timedelta(days=5), murmurs={"gpu.hot": 2.0}, murmured_at=NOON)

    counted = murmurs(made.world, made.now)

    assert counted == {}


def test_what_others_count_stands_for_all_nodes_with_jobs_at_first_and_for_few_in_two_days():
    assert uncounted(turn()) == 1.0
    assert uncounted(turn(NOON + timedelta(days=2))) == pytest.approx(math.e**-2)
