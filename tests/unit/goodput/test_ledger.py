"""Where the time of a job went."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwatch.goodput import Reason, account
from clusterwatch.model import Attempt, Component, ComponentKind, Job, JobState, World, kinds
from clusterwatch.testing import NOON, event, progress, seconds, training_job
from clusterwatch.track import follow

JOB = Component(ComponentKind.JOB, "job-1", "node001")


def job(ended_after=None, step_seconds=10.0):
    ended_at = None if ended_after is None else NOON + seconds(ended_after)
    return Job("job-1", "llama", JobState.TRAINING, NOON, NOON, gpus=8, step_seconds=step_seconds, ended_at=ended_at)


CRASHED = Attempt(
    "job-1",
    1,
    NOON + seconds(20),
    running_at=NOON + seconds(20),
    first_step=1,
    first_step_at=NOON + seconds(60),
    first_new_step_at=NOON + seconds(60),
    last_step=6,
    last_step_at=NOON + seconds(110),
    interrupted_at=NOON + seconds(115),
    decided_at=NOON + seconds(118),
    ended_at=NOON + seconds(115),
    exit_code=1,
)
RESUMED = Attempt(
    "job-1",
    2,
    NOON + seconds(125),
    running_at=NOON + seconds(125),
    resumed_step=3,
    first_step=4,
    first_step_at=NOON + seconds(155),
    first_new_step_at=NOON + seconds(185),
    last_step=10,
    last_step_at=NOON + seconds(215),
    ended_at=NOON + seconds(217),
    exit_code=0,
)


def test_each_span_of_a_crash_and_restart_has_its_reason():
    ledger = account(job(ended_after=217), [CRASHED, RESUMED], [], NOON + seconds(999))

    assert ledger.seconds_by_reason() == {
        Reason.QUEUE: 20,
        Reason.START: 30 + 20,
        Reason.PRODUCTIVE: 60 + 40,
        Reason.DETECT: 5,
        Reason.DECIDE: 3,
        Reason.RESCHEDULE: 7,
        Reason.RECOMPUTE: 30,
        Reason.OTHER: 2,
    }


def test_productive_and_lost_add_up_to_elapsed():
    ledger = account(job(ended_after=217), [CRASHED, RESUMED], [], NOON + seconds(999))

    assert ledger.elapsed_seconds == 217
    assert ledger.productive_seconds + ledger.lost_seconds == 217
    assert ledger.ettr == pytest.approx(100 / 217)
    assert ledger.lost_gpu_hours == pytest.approx(117 * 8 / 3600)


def test_time_before_a_hang_is_noticed_is_hang_and_not_detection():

    hung = replace(
        CRASHED, hung=True, interrupted_at=NOON + seconds(170), ended_at=NOON + seconds(180), decided_at=None
    )

    ledger = account(job(), [hung], [], NOON + seconds(200))

    assert ledger.seconds_by_reason()[Reason.HANG] == 60
    assert ledger.seconds_by_reason()[Reason.DECIDE] == 30


def test_hang_that_ended_by_itself_is_lost_without_a_restart():
    hang = event(kinds.HANG, JOB, NOON + seconds(100), job="job-1", attempt=1, step=4)
    steps = [progress("job-1", 1, step, NOON + seconds(10 * step)) for step in range(1, 5)]
    after = [progress("job-1", 1, step, NOON + seconds(160 + 10 * step)) for step in range(5, 9)]
    tracked = follow(World(watching_since=NOON), [*training_job(), *steps, hang, *after])

    ledger = account(
        tracked.world.jobs["job-1"],
        tracked.world.attempts["job-1"],
        [each for each in tracked.changes.interruptions if each.is_over],
        NOON + seconds(240),
    )

    assert ledger.seconds_by_reason()[Reason.HANG] == pytest.approx(170)
    assert sum(ledger.seconds_by_reason().values()) == pytest.approx(240)


def test_what_one_interruption_cost_is_a_part_of_the_whole():
    ledger = account(job(ended_after=217), [CRASHED, RESUMED], [], NOON + seconds(999))

    cost = ledger.between(NOON + seconds(110), NOON + seconds(175))

    assert cost.elapsed_seconds == 65
    assert Reason.PRODUCTIVE not in cost.seconds_by_reason()


def test_job_without_any_attempt_only_waits():
    ledger = account(job(), [], [], NOON + seconds(30))

    assert ledger.seconds_by_reason() == {Reason.QUEUE: 30}


@given(st.lists(st.tuples(st.sampled_from("sxhr"), st.floats(0.001, 500)), max_size=40))
def test_ledger_closes_whatever_happens_to_a_job(life):
    """Steps, crashes, hangs and restarts in any order: the spans cover the elapsed time without gap or overlap."""
    now, attempt, step, events = NOON, 1, 0, training_job()
    for happening, later in life:
        now += seconds(later)
        if happening == "s":
            step += 1
            events.append(progress("job-1", attempt, step, now))
        elif happening == "x":
            events.append(event(kinds.ATTEMPT_ENDED, JOB, now, job="job-1", attempt=attempt, exit_code=1))
        elif happening == "h":
            events.append(event(kinds.HANG, JOB, now, job="job-1", attempt=attempt, step=step or None))
        else:
            attempt, step = attempt + 1, max(0, step - 2)
            events.append(event(kinds.ATTEMPT_STARTED, JOB, now, job="job-1", attempt=attempt, resumed_step=step))
    tracked = follow(World(watching_since=NOON), events)
    over = {each.id: each for each in tracked.changes.interruptions}

    ledger = account(tracked.world.jobs["job-1"], tracked.world.attempts["job-1"], over.values(), now + seconds(1))

    assert ledger.elapsed_seconds == pytest.approx((now + seconds(1) - NOON).total_seconds())
    assert all(one.to_at == following.from_at for one, following in zip(ledger.spans, ledger.spans[1:], strict=False))
    assert all(span.seconds > 0 for span in ledger.spans)
