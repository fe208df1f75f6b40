from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from clusterwatch.cli.views.resume import VARIABLES, resume_values, shell_lines
from clusterwatch.errors import ClusterWatchError
from clusterwatch.model import Decision, Mode, Step, StepKind, StepState

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def decided(checkpoint: str = "/ckpt/step_120", step: object = 120, state: StepState = StepState.DONE) -> Decision:
    """A plan for attempt 1: leave node2 out, go on from *checkpoint*."""

    def part(order: int, kind: StepKind, is_in: StepState, **more: object) -> Step:
        return Step(f"dec-1.{order}", "dec-1", order, kind, "slurm", "slurm-7", more, NOON, is_in)  # type: ignore[arg-type] # the values of one test

    steps = (
        part(1, StepKind.EXCLUDE, StepState.DONE, node="node2"),
        part(2, StepKind.EXCLUDE, StepState.CANCELLED, node="node3"),
        part(3, StepKind.CHOOSE_CHECKPOINT, state, checkpoint=checkpoint, step=step),
        part(4, StepKind.REQUEUE, StepState.BEGUN),
    )
    return Decision("dec-1", "inc-1", 1, "slurm-7", Mode.AUTO, "restart", NOON, steps, attempt=1)


def test_newest_decision_about_the_attempt_before_counts():
    values = resume_values("slurm-7", 2, [replace(decided("/later"), attempt=2), decided(), decided("/older")])

    assert values is not None
    assert list(values) == list(VARIABLES)
    assert list(values.values()) == ["slurm-7", "2", "/ckpt/step_120", "120", "node2"]


def test_job_that_begins_anew_is_told_so():
    values = resume_values("slurm-7", 2, [decided("", 0)])

    assert values is not None
    assert (values["CLUSTERWATCH_RESUME_CHECKPOINT"], values["CLUSTERWATCH_RESUME_STEP"]) == ("", "0")


@pytest.mark.parametrize(
    "decision",
    [
        decided(state=StepState.RECORDED),
        decided(state=StepState.FAILED),
        replace(decided(), attempt=2),
        replace(decided(), attempt=None),
        replace(decided(), steps=()),
    ],
)
def test_what_was_not_chosen_for_this_attempt_is_nothing(decision: Decision):
    assert resume_values("slurm-7", 2, [decision]) is None


@pytest.mark.parametrize(
    "decision",
    [
        *(decided(f"/ckpt{letter}x") for letter in "\n\r\t\x00\x07\x1b\x7f\x9b\u202e\u2028\ud800"),
        decided("/" + "c" * 5000),
        decided(step="7; touch pwned"),
        decided(step=-1),
        decided(step=True),
    ],
)
def test_value_that_no_script_should_see_is_refused(decision: Decision):
    with pytest.raises(ClusterWatchError):
        resume_values("slurm-7", 2, [decision])


def test_lines_are_assignments_of_quoted_values():
    values = resume_values("slurm-7", 2, [decided("/a b'c$(id)")])

    assert values is not None
    assert shell_lines(values).splitlines()[2] == """export CLUSTERWATCH_RESUME_CHECKPOINT='/a b'"'"'c$(id)'"""
