"""From when on decisions differ from those that were recorded."""

from datetime import UTC, datetime, timedelta

from clusterwatch.app.diverging import diverged_at
from clusterwatch.model import Decision, Mode, Step, StepKind

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


def decision(minute, *steps, job="job-1", attempt=1, rule="restart", node="node001"):
    at = NOON + timedelta(minutes=minute)
    made = tuple(
        Step(f"d{minute}.{order}", f"d{minute}", order, kind, "slurm", job or node, {"node": node}, at)
        for order, kind in enumerate(steps, 1)
    )
    return Decision(f"d{minute}", "inc-1", 1, job, Mode.AUTO, "", at, made, attempt, rule=rule)


OUT = decision(1, StepKind.EXCLUDE, StepKind.REQUEUE)


def test_same_plans_some_seconds_apart_do_not_differ():
    later = decision(2, StepKind.EXCLUDE, StepKind.REQUEUE)

    assert diverged_at([OUT], [later]) is None


def test_another_step_or_another_node_differs_from_the_earlier_of_the_two():
    assert diverged_at([OUT], [decision(3, StepKind.REQUEUE)]) == OUT.made_at
    assert diverged_at([OUT], [decision(0, *_kinds(OUT), node="node002")]) == NOON


def test_decision_that_only_one_of_them_made_differs():
    more = decision(9, StepKind.ASK, attempt=2)

    assert diverged_at([OUT, more], [OUT]) == more.made_at
    assert diverged_at([OUT], [OUT, more]) == more.made_at


def test_jobs_are_compared_one_by_one():
    other = decision(1, StepKind.REQUEUE, job="job-2")

    assert diverged_at([OUT, other], [other, OUT]) is None


def test_what_a_person_asked_for_or_is_no_jobs_is_passed_over():
    asked = decision(0, StepKind.DRAIN, rule="asked by a person")
    care = decision(5, StepKind.VERIFY, StepKind.RELEASE, job=None)

    assert diverged_at([OUT, asked], [OUT, care]) is None


def _kinds(made):
    return [step.kind for step in made.steps]
