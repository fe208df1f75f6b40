from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from clusterwatch.detect import STARTUP_HANG, HangLimits, hangs
from clusterwatch.model import Component, ComponentKind, Job, JobState, Placement, Severity
from clusterwatch.model.kinds import HANG

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LONG_AGO = NOON - timedelta(hours=1)
TRAINING = Job(
    "job1",
    "llm",
    JobState.TRAINING,
    LONG_AGO,
    NOON,
    attempt=2,
    last_step=40,
    last_step_at=NOON,
    report_seconds=10.0,
    step_seconds=10.0,
)
STARTING = Job("job2", "llm", JobState.STARTING, NOON, NOON, attempt=1)
LIMITS = HangLimits()


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def test_job_hangs_when_it_is_silent_for_several_times_its_step_time() -> None:
    events, wake_at = hangs([TRAINING], {}, LONG_AGO, LIMITS, NOON + seconds(61))

    (event,) = events
    assert (event.kind, event.component, event.severity) == (HANG, Component(ComponentKind.JOB, "job1"), Severity.ERROR)
    assert event.fields == {"step": 40, "silent_seconds": 61.0, "step_seconds": 10.0, "nodes": ""}
    assert (event.happened_at, event.attempt, event.source) == (NOON + seconds(60), 2, "watch")
    assert wake_at is None


def test_patience_ends_at_the_time_it_said_to_wake_at() -> None:
    events, wake_at = hangs([TRAINING], {}, LONG_AGO, LIMITS, NOON)

    assert (events, wake_at) == ([], NOON + seconds(60))


def test_fast_steps_get_the_minimum() -> None:
    _, wake_at = hangs([replace(TRAINING, step_seconds=0.1, report_seconds=0.1)], {}, LONG_AGO, LIMITS, NOON)

    assert wake_at == NOON + seconds(30)


def test_unknown_step_time_gets_the_time_of_a_start() -> None:
    _, wake_at = hangs([replace(TRAINING, step_seconds=None)], {}, LONG_AGO, LIMITS, NOON)

    assert wake_at == NOON + seconds(900)


def test_silence_before_anybody_watched_does_not_count() -> None:
    events, wake_at = hangs([TRAINING], {}, NOON + seconds(100), LIMITS, NOON + seconds(120))

    assert (events, wake_at) == ([], NOON + seconds(160))


def test_same_hang_has_the_same_id_and_another_step_another() -> None:
    first, _ = hangs([TRAINING], {}, LONG_AGO, LIMITS, NOON + seconds(61))
    again, _ = hangs([TRAINING], {}, LONG_AGO, LIMITS, NOON + seconds(300))
    later, _ = hangs([replace(TRAINING, last_step=41)], {}, LONG_AGO, LIMITS, NOON + seconds(300))

    assert first[0].id == again[0].id != later[0].id
    assert first[0].happened_at == again[0].happened_at


def test_start_without_a_first_step_is_a_hang_of_its_own_kind() -> None:
    events, _ = hangs([STARTING], {}, LONG_AGO, LIMITS, NOON + seconds(901))

    assert [event.kind for event in events] == [STARTUP_HANG]


def test_hang_names_the_nodes_the_job_runs_on() -> None:
    placed = {"job1": (Placement("job1", 2, 1, "node002"), Placement("job1", 2, 0, "node001"))}

    events, _ = hangs([TRAINING], placed, LONG_AGO, LIMITS, NOON + seconds(61))

    assert events[0].fields["nodes"] == "node001,node002"


@pytest.mark.parametrize("state", [JobState.INTERRUPTED, JobState.COMPLETED, JobState.STOPPED])
def test_job_that_is_not_meant_to_train_does_not_hang(state: JobState) -> None:
    assert hangs([replace(TRAINING, state=state)], {}, LONG_AGO, LIMITS, NOON + seconds(9000)) == ([], None)


def test_next_deadline_of_all_jobs_is_the_earliest() -> None:
    events, wake_at = hangs([TRAINING, STARTING], {}, LONG_AGO, LIMITS, NOON + seconds(100))

    assert [event.job for event in events] == ["job1"]
    assert wake_at == NOON + seconds(900)


def test_job_that_misses_a_rank_is_not_waited_for_as_long() -> None:
    job = replace(TRAINING, rank_lost_at=NOON + seconds(1))

    events, wake_at = hangs([job], {}, LONG_AGO, LIMITS, NOON + seconds(5))

    assert (events, wake_at) == ([], NOON + seconds(20))


@pytest.mark.parametrize("state", [JobState.STARTING, JobState.RECOVERING])
def test_start_that_misses_a_rank_is_given_a_minute_in_which_a_launcher_would_start_it_anew(state: JobState) -> None:
    job = replace(STARTING, state=state, rank_lost_at=NOON + seconds(20))

    assert hangs([job], {}, LONG_AGO, LIMITS, NOON + seconds(79)) == ([], NOON + seconds(80))
    events, _ = hangs([job], {}, LONG_AGO, LIMITS, NOON + seconds(80))
    assert [event.kind for event in events] == [STARTUP_HANG]


@pytest.mark.parametrize(
    ("known", "patience"),
    [((), 900), ((("evaluate", 120.0),), 720), ((("evaluate", 0.1),), 60)],
    ids=["never seen to end", "takes two minutes", "is a part of each step"],
)
def test_loop_that_says_where_it_is_gets_the_time_that_part_needs(known, patience) -> None:
    evaluating = replace(TRAINING, section="evaluate", section_seconds=known)

    assert hangs([evaluating], {}, LONG_AGO, LIMITS, NOON) == ([], NOON + seconds(patience))


def test_part_that_a_rank_is_missing_from_is_not_waited_for() -> None:
    lost = replace(TRAINING, section="evaluate", rank_lost_at=NOON)

    assert hangs([lost], {}, LONG_AGO, LIMITS, NOON)[1] == NOON + seconds(20)
