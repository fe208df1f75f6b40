from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from clusterwatch.detect import OverdueLimits, overdue
from clusterwatch.model import Attempt, Component, ComponentKind, Job, JobState, Severity
from clusterwatch.model.kinds import CHECKPOINT_OVERDUE

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
LONG_AGO = NOON - timedelta(hours=9)
JOB = Job(
    "job-1",
    "llm",
    JobState.TRAINING,
    LONG_AGO,
    NOON,
    attempt=2,
    last_step=140,
    last_checkpoint_step=100,
    last_checkpoint_at=NOON,
    checkpoint_seconds=600.0,
)
LIMITS = OverdueLimits()


def seconds(count):
    return timedelta(seconds=count)


def at(time, job=JOB, attempts=(), since=LONG_AGO):
    return overdue([job], {"job-1": attempts}, since, LIMITS, time)


def test_checkpoint_is_overdue_after_three_of_the_jobs_own_intervals():
    (event,), again_at = at(NOON + seconds(1801))

    assert (event.kind, event.severity) == (CHECKPOINT_OVERDUE, Severity.WARNING)
    assert (event.component, event.job) == (Component(ComponentKind.JOB, "job-1"), "job-1")
    assert event.text == "no complete checkpoint for 1800 s after that of step 100, usual are 600 s"
    assert event.happened_at == NOON + seconds(1800)
    assert again_at == NOON + seconds(3600)


def test_it_is_not_overdue_before_and_says_when_it_would_be():
    assert at(NOON + seconds(1799)) == ([], NOON + seconds(1800))


def test_it_is_the_same_event_for_a_minute_and_then_silence_until_it_took_twice_as_long():
    (first,), _ = at(NOON + seconds(1800))
    (again,), _ = at(NOON + seconds(1859))
    (later,), _ = at(NOON + seconds(3600))

    assert first.id == again.id != later.id
    assert at(NOON + seconds(1860))[0] == []


def test_next_checkpoint_ends_it():
    assert at(NOON + seconds(1801), replace(JOB, last_checkpoint_at=NOON + seconds(1500)))[0] == []


@pytest.mark.parametrize(
    "job",
    [
        replace(JOB, state=JobState.INTERRUPTED),
        replace(JOB, state=JobState.RECOVERING),
        replace(JOB, last_checkpoint_at=None),
        replace(JOB, checkpoint_seconds=None),
    ],
)
def test_job_that_does_not_train_or_whose_interval_is_not_known_is_not_waited_for(job):
    assert at(NOON + seconds(99_999), job) == ([], None)


def test_time_before_the_attempt_trained_or_anybody_looked_does_not_count():
    restarted = Attempt("job-1", 2, NOON, first_step_at=NOON + seconds(1700))

    assert at(NOON + seconds(1801), attempts=(restarted,))[1] == NOON + seconds(3500)
    assert at(NOON + seconds(1801), since=NOON + seconds(1000))[1] == NOON + seconds(2800)


def test_frequent_saves_get_the_minimum():
    assert at(NOON, replace(JOB, checkpoint_seconds=1.0))[1] == NOON + seconds(60)
