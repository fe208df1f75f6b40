"""How long each node was in a job."""

from dataclasses import replace

from clusterwatch.goodput.exposure import held_seconds
from clusterwatch.model import Attempt, Job, JobState
from clusterwatch.testing import NOON, seconds

JOB = Job("job-1", "llama", JobState.TRAINING, NOON, NOON, nodes=("node001", "node003"))
FIRST = Attempt("job-1", 1, NOON + seconds(10), running_at=NOON + seconds(20), ended_at=NOON + seconds(100))
SECOND = Attempt("job-1", 2, NOON + seconds(110), running_at=NOON + seconds(120))


def test_node_is_held_until_the_next_attempt_runs():
    nodes = {1: ["node001", "node002"], 2: ["node001", "node003"]}

    found = held_seconds(JOB, [FIRST, SECOND], nodes, NOON, NOON + seconds(220))

    assert found == {"node001": 200, "node002": 100, "node003": 100}


def test_only_time_within_the_window_counts():
    found = held_seconds(JOB, [FIRST], {}, NOON + seconds(50), NOON + seconds(80))

    assert found == {"node001": 30, "node003": 30}


def test_nothing_is_held_after_the_job_ended():
    ended = replace(JOB, ended_at=NOON + seconds(60))

    assert held_seconds(ended, [FIRST], {1: ["node001"]}, NOON, NOON + seconds(900)) == {"node001": 40}
