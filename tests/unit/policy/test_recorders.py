"""A job that hangs, to the question that is put to its ranks."""

from dataclasses import replace

import pytest

from clusterwatch.model import Component, ComponentKind, Job, JobState, Mode, StepKind, StepState, kinds
from clusterwatch.policy import RECORDERS, Limits, asked_ranks, awaited_until
from clusterwatch.policy.recorders import ANSWERED_WITHIN
from clusterwatch.testing import NOON, event, seconds

JOB = Job("job-1", "tiny", JobState.INTERRUPTED, NOON, NOON, attempt=3, actuator="fleet")
HANG = event(kinds.HANG, Component(ComponentKind.JOB, "job-1"), NOON, job="job-1", attempt=3)
ALL = frozenset(StepKind)
LIMITS = Limits(modes={"fleet": Mode.AUTO}, abilities={"fleet": ALL})


def test_ranks_of_a_job_that_hangs_are_asked_once():
    decision = asked_ranks(HANG, JOB, "inc-1", LIMITS, NOON)

    assert decision is not None
    assert (decision.rule, decision.incident_id, decision.job_id) == (RECORDERS, "inc-1", None)
    assert [(step.kind, step.target, step.arguments["attempt"]) for step in decision.steps] == [
        (StepKind.DUMP, "job-1", 3)
    ]
    assert decision.id == asked_ranks(HANG, JOB, "inc-1", LIMITS, NOON + seconds(5)).id


@pytest.mark.parametrize(
    ("hang", "job", "limits"),
    [
        (replace(HANG, kind=f"{kinds.HANG}.startup"), JOB, LIMITS),
        (replace(HANG, attempt=2), JOB, LIMITS),
        (HANG, replace(JOB, rank_lost_at=NOON), LIMITS),
        (HANG, JOB, Limits(modes={"fleet": Mode.AUTO})),
        (HANG, JOB, Limits(modes={"fleet": Mode.OBSERVE}, abilities={"fleet": ALL})),
    ],
    ids=["no step yet", "an earlier attempt", "a rank has ended", "nobody can be asked", "only observed"],
)
def test_nobody_is_asked_where_it_would_tell_nothing_or_may_not_be_done(hang, job, limits):
    assert asked_ranks(hang, job, "inc-1", limits, NOON) is None


def test_answer_is_awaited_for_seconds_and_no_longer_once_it_came():
    decision = asked_ranks(HANG, JOB, "inc-1", LIMITS, NOON)
    answered = replace(decision, steps=(replace(decision.steps[0], state=StepState.DONE),))

    assert awaited_until([decision]) == NOON + ANSWERED_WITHIN
    assert awaited_until([answered]) is None
    assert ANSWERED_WITHIN.total_seconds() < 10
