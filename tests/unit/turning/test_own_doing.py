"""What ClusterWatch made happen itself."""

from dataclasses import replace

import pytest

from clusterwatch.model import (
    Cause,
    Decision,
    Knowledge,
    Mode,
    Role,
    Severity,
    Signal,
    Step,
    StepKind,
    StepState,
    World,
)
from clusterwatch.testing import NOON, event, seconds
from clusterwatch.turning.own_doing import ended_by_us, without_our_doing

KNOWLEDGE = Knowledge(
    [
        Signal(
            "process.exit.sigterm",
            "it was ended",
            Severity.WARNING,
            Role.FAULT,
            {Cause.PREEMPTION_OR_OPERATOR: 2.0},
        ),
        Signal("gpu.lost", "a GPU is gone", Severity.ERROR, Role.FAULT, {Cause.FAULTY_GPU: 4.0}),
    ]
)


def world_with_a_step(kind=StepKind.STOP, state=StepState.DONE, mode=Mode.AUTO):
    step = Step("dec-1.0", "dec-1", 0, kind, "slurm", "job-1", {}, NOON + seconds(600), state, changed_at=NOON)
    decision = Decision("dec-1", "inc-1", 1, "job-1", mode, "it hangs", NOON, (step,))
    return World(watching_since=NOON, decisions={"inc-1": (decision,)})


def test_job_whose_processes_are_being_ended_was_ended_by_us():
    assert ended_by_us(world_with_a_step()) == {"job-1": NOON}


def test_step_that_only_a_person_may_begin_has_not_ended_anything():
    suggested = world_with_a_step(state=StepState.RECORDED, mode=Mode.SUGGEST)

    assert ended_by_us(suggested) == {}


def test_step_that_leaves_processes_alone_ends_none():
    assert ended_by_us(world_with_a_step(kind=StepKind.DRAIN)) == {}


@pytest.mark.parametrize(("after_seconds", "is_left_out"), [(-61, False), (-60, True), (120, True), (121, False)])
def test_what_a_job_says_of_its_end_is_left_out_around_the_time(after_seconds, is_left_out):
    told = event("process.exit.sigterm", at=NOON + seconds(after_seconds), job="job-1")

    assert (without_our_doing([told], {"job-1": NOON}, KNOWLEDGE) == []) is is_left_out


@pytest.mark.parametrize(
    ("off_by", "came_in_after", "is_left_out"),
    [(-100, 5, True), (100, 90, True), (-100, -5, False), (-100, 121, False), (-181, 5, False)],
)
def test_what_a_job_says_by_a_clock_that_is_off_is_known_by_when_it_came_in(off_by, came_in_after, is_left_out):
    told = event("process.exit.sigterm", at=NOON + seconds(off_by), job="job-1")
    told = replace(told, received_at=NOON + seconds(came_in_after))

    assert (without_our_doing([told], {"job-1": NOON}, KNOWLEDGE) == []) is is_left_out


def test_fault_that_shows_while_a_job_is_ended_is_no_doing_of_ours():
    lost = event("gpu.lost", at=NOON, job="job-1")

    assert without_our_doing([lost], {"job-1": NOON}, KNOWLEDGE) == [lost]


def test_end_of_another_job_is_no_doing_of_ours():
    told = event("process.exit.sigterm", at=NOON, job="job-2")

    assert without_our_doing([told], {"job-1": NOON}, KNOWLEDGE) == [told]
