"""Where the time of a job went."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwatch.goodput import Reason, account, costs, lost_by
from clusterwatch.goodput.ledger import Ledger, Span
from clusterwatch.model import (
    Attempt,
    Checkpoint,
    Component,
    ComponentKind,
    Edge,
    Interruption,
    Job,
    JobState,
    World,
    kinds,
)
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

    step_seconds = tracked.world.jobs["job-1"].step_seconds
    assert ledger.seconds_by_reason()[Reason.HANG] == pytest.approx(170 - step_seconds, abs=1e-5)
    assert sum(ledger.seconds_by_reason().values()) == pytest.approx(240)


def test_what_one_interruption_cost_is_a_part_of_the_whole():
    ledger = account(job(ended_after=217), [CRASHED, RESUMED], [], NOON + seconds(999))

    cost = ledger.between(NOON + seconds(110), NOON + seconds(175))

    assert cost.elapsed_seconds == 65
    assert Reason.PRODUCTIVE not in cost.seconds_by_reason()


def test_job_without_any_attempt_only_waits():
    ledger = account(job(), [], [], NOON + seconds(30))

    assert ledger.seconds_by_reason() == {Reason.QUEUE: 30}


def saved(after, stall, path="/ckpt/1"):
    return Checkpoint("job-1", 1, path, "dcp", True, True, NOON + seconds(after), stall_seconds=stall)


def test_saves_that_overlap_cost_their_time_once():
    training = replace(CRASHED, interrupted_at=None, decided_at=None, ended_at=None, exit_code=None)
    saves = [saved(90, 20, "/ckpt/2"), saved(85, 20), saved(100, 0, "/ckpt/async")]

    ledger = account(job(), [training], [], NOON + seconds(120), saves)

    assert ledger.seconds_by_reason()[Reason.CHECKPOINT] == 25
    assert ledger.seconds_by_reason()[Reason.PRODUCTIVE] == 70 - 25


def test_save_in_the_background_stops_training_at_its_beginning():
    training = replace(CRASHED, interrupted_at=None, decided_at=None, ended_at=None, exit_code=None)
    save = replace(saved(90, 5), save_seconds=30.0)

    (stalled,) = [
        span
        for span in account(job(), [training], [], NOON + seconds(120), [save]).spans
        if span.reason is Reason.CHECKPOINT
    ]

    assert (stalled.from_at, stalled.to_at) == (NOON + seconds(60), NOON + seconds(65))


def test_saving_while_a_job_is_down_costs_nothing_more():
    ledger = account(job(ended_after=217), [CRASHED, RESUMED], [], NOON + seconds(999), [saved(121, 4)])

    assert Reason.CHECKPOINT not in ledger.seconds_by_reason()


def test_lines_about_loading_split_the_start():
    told = replace(
        RESUMED,
        communicators_ready_at=NOON + seconds(128),
        checkpoint_loading_at=NOON + seconds(130),
        checkpoint_loaded_at=NOON + seconds(142),
    )

    ledger = account(job(ended_after=217), [CRASHED, told], [], NOON + seconds(999))

    assert ledger.seconds_by_reason()[Reason.RESTORE] == 12
    assert ledger.seconds_by_reason()[Reason.START] == 30 + 20 - 12


def test_where_only_the_end_of_loading_is_told_it_begins_with_the_communicators():
    told = replace(RESUMED, communicators_ready_at=NOON + seconds(128), checkpoint_loaded_at=NOON + seconds(142))
    alone = replace(told, communicators_ready_at=None)

    assert account(job(217), [CRASHED, told], [], NOON).seconds_by_reason()[Reason.RESTORE] == 14
    assert Reason.RESTORE not in account(job(217), [CRASHED, alone], [], NOON).seconds_by_reason()


def test_attempt_that_died_while_loading_loses_the_time_to_loading_and_not_to_detection():
    dying = Attempt(
        "job-1",
        2,
        NOON + seconds(125),
        running_at=NOON + seconds(125),
        checkpoint_loading_at=NOON + seconds(130),
        interrupted_at=NOON + seconds(150),
        ended_at=NOON + seconds(150),
        exit_code=1,
    )
    third = replace(
        RESUMED,
        number=3,
        started_at=NOON + seconds(160),
        running_at=NOON + seconds(160),
        first_step_at=NOON + seconds(185),
        first_new_step_at=NOON + seconds(195),
    )

    ledger = account(job(ended_after=217), [CRASHED, dying, third], [], NOON)

    assert ledger.by_attempt()[2].seconds_by_reason() == {Reason.START: 5, Reason.RESTORE: 20, Reason.DECIDE: 10}
    assert ledger.elapsed_seconds == 217


def test_crash_while_steps_are_repeated_is_recomputed_twice():
    again = replace(
        RESUMED,
        first_new_step_at=None,
        last_step=5,
        last_step_at=NOON + seconds(165),
        interrupted_at=NOON + seconds(170),
        ended_at=NOON + seconds(170),
        exit_code=1,
    )
    third = replace(
        RESUMED,
        number=3,
        started_at=NOON + seconds(180),
        running_at=NOON + seconds(180),
        first_step_at=NOON + seconds(200),
        first_new_step_at=NOON + seconds(230),
        ended_at=None,
        exit_code=None,
        last_step_at=NOON + seconds(300),
    )

    ledger = account(job(), [CRASHED, again, third], [], NOON + seconds(310))

    assert ledger.seconds_by_reason()[Reason.RECOMPUTE] == 20 + 30
    assert ledger.seconds_by_reason()[Reason.DETECT] == 5 + 5


def test_hang_that_passed_while_steps_are_repeated_ends_where_the_attempt_ends():
    """A startup that was called hung, went on, and crashed before any new step."""
    slow = replace(
        RESUMED,
        interrupted_at=NOON + seconds(140),
        hung=True,
        first_new_step_at=None,
        last_step=5,
        last_step_at=NOON + seconds(165),
        ended_at=NOON + seconds(175),
        exit_code=1,
    )

    ledger = account(job(ended_after=200), [CRASHED, slow], [], NOON)

    reasons = ledger.by_attempt()[2].seconds_by_reason()
    assert (reasons[Reason.DETECT], reasons[Reason.DECIDE]) == (10, 25)


def test_job_that_fell_silent_without_an_end_mark_is_not_taken_to_train():
    silent = replace(CRASHED, interrupted_at=None, decided_at=None, ended_at=None, exit_code=None)

    fresh = account(job(), [silent], [], NOON + seconds(110 + 500))
    stale = account(job(), [silent], [], NOON + seconds(110 + 86_400))

    assert Reason.OTHER not in fresh.seconds_by_reason()
    assert stale.seconds_by_reason()[Reason.OTHER] == 86_400


def test_attempt_whose_end_nobody_saw_trains_until_its_last_step():
    lost = replace(CRASHED, interrupted_at=None, decided_at=None, ended_at=None, exit_code=None)

    ledger = account(job(ended_after=217), [lost, RESUMED], [], NOON)

    assert ledger.by_attempt()[1].seconds_by_reason()[Reason.OTHER] == 15


def test_clock_that_is_wrong_moves_no_other_attempt():
    skewed = replace(CRASHED, interrupted_at=NOON + seconds(160), decided_at=NOON + seconds(190))

    ledger = account(job(ended_after=217), [skewed, RESUMED], [], NOON)

    assert ledger.by_attempt()[2].seconds_by_reason() == {
        Reason.START: 20,
        Reason.RECOMPUTE: 30,
        Reason.PRODUCTIVE: 40,
        Reason.OTHER: 2,
    }


def test_planned_stop_is_planned_until_the_first_new_step():
    edges = {Edge.LAST_STEP: NOON + seconds(110), Edge.FIRST_NEW_STEP: NOON + seconds(185)}
    planned = Interruption("int-1", "job-1", 1, None, True, 6, edges)

    ledger = account(job(ended_after=217), [CRASHED, RESUMED], [planned], NOON)

    assert ledger.seconds_by_reason()[Reason.PLANNED] == 65
    assert Reason.RECOMPUTE not in ledger.seconds_by_reason()


HAPPENINGS = st.tuples(st.sampled_from("sssxhrlLcptq"), st.floats(0.001, 500))


MOMENTS = st.integers(-10, 130)


def at_second(number):
    return NOON + seconds(number)


@given(st.lists(st.integers(1, 20), min_size=1, max_size=8), MOMENTS, MOMENTS)
def test_part_of_a_ledger_is_what_of_each_span_lies_within(lengths, begin, end):
    ends = [sum(lengths[: place + 1]) for place in range(len(lengths))]
    spans = tuple(
        Span(Reason.HANG if place % 2 else Reason.PRODUCTIVE, at_second(to_at - length), at_second(to_at), place)
        for place, (length, to_at) in enumerate(zip(lengths, ends, strict=True))
    )

    part = Ledger("job-1", 8, spans).between(at_second(begin), at_second(end)).spans

    cut = [(each.attempt, max(each.from_at, at_second(begin)), min(each.to_at, at_second(end))) for each in spans]
    assert [(each.attempt, each.from_at, each.to_at) for each in part] == [each for each in cut if each[1] < each[2]]


@given(st.lists(HAPPENINGS, max_size=60), st.booleans())
def test_ledger_closes_whatever_happens_to_a_job(life, is_planned):
    """The spans cover the elapsed time without gap or overlap, and every lost second has one owner.

    Steps (s) and steps told late (t), crashes (x), hangs (h), restarts (r) some steps back, loading (l, L), saves that
    stall and overlap (c, p), and an end (q), in any order: crashes in recovery, hangs that recover, and so on.
    """
    now, attempt, step, events = NOON, 1, 0, training_job()
    for happening, later in life:
        now += seconds(later)
        if happening in "st":
            step += 1
            events.append(progress("job-1", attempt, step, now - seconds(later * (happening == "t"))))
        elif happening == "r":
            attempt, step = attempt + 1, max(0, step - int(later) % 7)
            events.append(event(kinds.ATTEMPT_STARTED, JOB, now, job="job-1", attempt=attempt, resumed_step=step))
        else:
            kind, fields = happened(happening, step, later)
            events.append(event(kind, JOB, now, job="job-1", attempt=attempt, **fields))
    tracked = follow(World(watching_since=NOON), events)
    stops = [replace(each, planned=is_planned) for each in {s.id: s for s in tracked.changes.interruptions}.values()]
    ended = {each.id: each for each in tracked.changes.jobs}["job-1"]
    attempts = {each.number: each for each in tracked.changes.attempts}
    saves, rows = tracked.changes.checkpoints, tracked.changes.progress
    end = ended.ended_at or now + seconds(1)

    ledger = account(ended, [attempts[number] for number in sorted(attempts)], stops, now + seconds(1), saves, rows)

    assert ledger.elapsed_seconds == (end - NOON) / seconds(1)
    assert all(one.to_at == following.from_at for one, following in pairwise(ledger.spans))
    assert all(span.seconds > 0 for span in ledger.spans)
    assert ledger.productive_seconds + ledger.lost_seconds == pytest.approx(ledger.elapsed_seconds, abs=1e-6)
    owned = lost_by(ledger, costs(ledger, stops), lambda stop: stop.id)
    assert sum(sum(of_one.values()) for of_one in owned.values()) == pytest.approx(ledger.lost_seconds, abs=1e-5)


def happened(happening, step, later):
    return {
        "x": (kinds.ATTEMPT_ENDED, {"exit_code": 1}),
        "h": (kinds.HANG, {"step": step or None}),
        "l": (kinds.CHECKPOINT_LOADING, {}),
        "L": (kinds.CHECKPOINT_LOADED, {}),
        "c": (kinds.CHECKPOINT_SAVED, {"path": f"/ckpt/{later}", "step": step, "stall_seconds": later}),
        "p": (kinds.CHECKPOINT_SAVED, {"path": f"/ckpt/{later}", "step": step, "stall_seconds": 0}),
        "q": (kinds.JOB_ENDED, {"state": "completed"}),
    }[happening]
