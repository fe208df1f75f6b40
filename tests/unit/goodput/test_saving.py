from dataclasses import replace
from datetime import UTC, datetime, timedelta

from clusterwatch.goodput import saving_measured
from clusterwatch.model import Attempt, Checkpoint, Edge, Interruption, Job, JobState

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


def seconds(count):
    return timedelta(seconds=count)


JOB = Job("job-1", "llm", JobState.TRAINING, NOON, NOON + timedelta(hours=10))
ATTEMPT = Attempt("job-1", 1, NOON, running_at=NOON + timedelta(hours=1))
SAVED = Checkpoint("job-1", 1, "/a", "dcp", True, True, NOON, 100, "", 2.0, 20.0)
STOP = Interruption("i", "job-1", 1, None, False, 5, {Edge.LAST_STEP: NOON, Edge.FIRST_NEW_STEP: NOON + seconds(90)})


def test_planned_stops_are_no_failures():
    found = saving_measured(JOB, [ATTEMPT], [STOP, replace(STOP, planned=True)], [])

    assert (found.failures, found.hours, found.restart_seconds) == (1, 9.0, 90.0)


def test_medians_are_of_what_is_known_and_deleted_checkpoints_count():
    deleted = replace(SAVED, complete=False, problem="deleted", stall_seconds=4.0)
    torn = replace(SAVED, complete=False, problem="cut short", stall_seconds=900.0)
    unknown = replace(SAVED, stall_seconds=0.0, save_seconds=0.0)

    found = saving_measured(JOB, [ATTEMPT], [], [SAVED, deleted, torn, unknown])

    assert (found.stall_seconds, found.save_seconds, found.size_bytes, found.bandwidth) == (3.0, 20.0, 100.0, 5.0)


def test_stop_that_is_not_over_tells_no_restart():
    assert saving_measured(JOB, [ATTEMPT], [replace(STOP, edges={Edge.LAST_STEP: NOON})], []).restart_seconds is None


def test_nothing_known_is_none():
    found = saving_measured(JOB, [], [], [])

    assert (found.stall_seconds, found.save_seconds, found.size_bytes, found.bandwidth) == (None,) * 4
    assert found.interval_seconds is None
