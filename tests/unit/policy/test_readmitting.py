"""Nodes that were left out of a job to those that it may use again."""

from dataclasses import replace
from datetime import timedelta

import pytest

from clusterwatch.model import (
    Attempt,
    Cause,
    Component,
    ComponentKind,
    Decision,
    Diagnosis,
    Hold,
    Incident,
    IncidentState,
    Job,
    JobState,
    LeftOut,
    MaintenanceWindow,
    Mode,
    Node,
    NodeState,
    Step,
    StepKind,
    StepState,
    Suspect,
    Topology,
)
from clusterwatch.policy import Cluster, Limits, Situation, care, decide
from clusterwatch.testing import NOON, seconds

HOUR = timedelta(hours=1)
NOW = NOON + 12 * HOUR
LEFT = LeftOut("node002", NOON, 1, "inc-1", "unknown")
CLEARED = replace(LEFT, cleared_at=NOON + HOUR)
JOB = Job(
    "job-1",
    "llama",
    JobState.INTERRUPTED,
    NOON,
    NOON,
    nodes=("node001", "node003"),
    actuator="small_fleet",
    attempt=2,
    left_out=(CLEARED,),
)
FIRST = Attempt("job-1", 1, NOON, ended_at=NOON, first_new_step_at=NOON)
TRAINED = Attempt("job-1", 2, NOON, ended_at=NOW, first_new_step_at=NOON + HOUR, interrupted_at=NOW, fingerprint="Oops")
INCIDENT = Incident("inc-2", IncidentState.DIAGNOSED, NOW, NOW, NOW, ())
BUG = Diagnosis("inc-2", 1, Cause.SOFTWARE_BUG, 0.95, (), (), (), (), "", "", NOW)
CANNOT_CHECK = Limits(abilities={"small_fleet": frozenset(StepKind) - {StepKind.CHECK}})


def cluster(state=NodeState.IN_SERVICE, **rest):
    names = ("node001", "node002", "node003", "node004")
    nodes = {name: Node(name, NodeState.IN_SERVICE, NOON) for name in names}
    return Cluster(nodes={**nodes, "node002": Node("node002", state, NOON)}, **rest)


def readmitted(job=JOB, attempts=(FIRST, TRAINED), limits=None, around=None, diagnosis=BUG, now=NOW):
    situation = Situation(INCIDENT, diagnosis, job, attempts, (), around or cluster())
    decision = decide(situation, limits or Limits(), now)
    return [step.arguments["node"] for step in decision.steps if step.kind is StepKind.READMIT]


def test_node_that_passed_a_check_is_taken_back_before_the_job_starts_again():
    decision = decide(Situation(INCIDENT, BUG, JOB, (FIRST, TRAINED), (), cluster()), Limits(), NOW)

    assert [step.kind for step in decision.steps] == [
        StepKind.READMIT,
        StepKind.CHOOSE_CHECKPOINT,
        StepKind.REQUEUE,
    ]
    assert decision.reason.endswith("node002 may be used again.")


def test_node_of_which_no_check_passed_stays_out_where_nodes_can_be_checked():
    unchecked, failed = replace(JOB, left_out=(LEFT,)), replace(JOB, left_out=(replace(LEFT, failures=2),))

    assert readmitted(unchecked, now=NOON + 48 * HOUR) == []
    assert readmitted(failed, now=NOON + 48 * HOUR) == []


def test_where_nothing_can_check_it_returns_after_a_day_in_which_the_job_made_new_steps():
    unchecked = replace(JOB, left_out=(LEFT,))
    without_steps = (FIRST, replace(TRAINED, first_new_step_at=None))

    assert readmitted(unchecked, limits=CANNOT_CHECK, now=NOON + 23 * HOUR) == []
    assert readmitted(unchecked, limits=CANNOT_CHECK, now=NOON + 24 * HOUR) == ["node002"]
    assert readmitted(unchecked, without_steps, limits=CANNOT_CHECK, now=NOON + 24 * HOUR) == []


@pytest.mark.parametrize("state", [NodeState.DRAINED, NodeState.SILENT, NodeState.SUSPECT])
def test_node_that_is_out_or_suspect_stays_out_whatever_passed(state):
    assert readmitted(around=cluster(state)) == []
    assert readmitted(replace(JOB, left_out=(LEFT,)), limits=CANNOT_CHECK, around=cluster(state)) == []


def test_node_that_is_held_or_worked_on_stays_out():
    hold = Hold("node:node002", "for the vendor", "ada", NOON)
    window = MaintenanceWindow("m", ("node002",), NOON, NOON + 24 * HOUR, "firmware", "ada")

    assert readmitted(around=cluster(holds={hold.subject: hold})) == []
    assert readmitted(around=cluster(maintenance=(window,))) == []


def test_node_behind_a_switch_that_is_suspect_now_stays_out():
    switch = Suspect(Component(ComponentKind.SWITCH, "leaf1"), 1.0)
    near = Topology({"node002": frozenset({"leaf1"}), "node003": frozenset({"leaf1"})})
    blamed = replace(BUG, cause=Cause.NETWORK_SWITCH_CABLE, suspects=(switch,))

    assert readmitted(around=cluster(topology=near), diagnosis=blamed) == []
    assert readmitted(around=cluster(topology=near)) == ["node002"]


def test_plan_that_failed_is_made_again_without_taking_a_node_back():
    step = Step("dec-1.1", "dec-1", 1, StepKind.REQUEUE, "small_fleet", "job-1", {}, NOW, StepState.FAILED, NOW)
    failed = Decision("dec-1", "inc-2", 1, "job-1", Mode.AUTO, "because", NOW, (step,), attempt=2)

    assert readmitted(around=cluster(recent=(failed,))) == []


# --- checks ---------------------------------------------------------------------------------------------------------


WAITING = replace(JOB, state=JobState.TRAINING, left_out=(LEFT,))


def checks(job=WAITING, now=NOON + HOUR, limits=None, **rest):
    return care(cluster(jobs={job.id: job, **rest.pop("others", {})}, **rest), limits or Limits(), now)


def test_node_that_was_left_out_is_checked_as_soon_as_nothing_of_the_job_is_left_there():
    (decision,), _ = checks()

    assert [(step.kind, step.arguments["node"]) for step in decision.steps] == [(StepKind.CHECK, "node002")]
    assert (decision.job_id, decision.incident_id) == (None, "inc-1")
    assert checks(now=NOON + seconds(179)) == ([], NOON + seconds(180))


def test_check_that_failed_is_made_again_after_half_an_hour_and_then_twice_as_long():
    failed = replace(JOB, left_out=(replace(LEFT, checked_at=NOON + HOUR, failures=1),))
    again = replace(JOB, left_out=(replace(LEFT, checked_at=NOON + HOUR, failures=2),))

    assert checks(failed, now=NOON + HOUR) == ([], NOON + 1.5 * HOUR)
    assert checks(again, now=NOON + 1.5 * HOUR) == ([], NOON + 2 * HOUR)
    assert len(checks(again, now=NOON + 2 * HOUR)[0]) == 1


def test_check_that_is_under_way_is_not_asked_for_twice():
    (decision,), _ = checks()

    assert checks(now=NOON + 2 * HOUR, recent=(decision,)) == ([], None)


def test_node_on_which_another_job_runs_is_not_checked():
    other = replace(JOB, id="job-2", nodes=("node002",), left_out=())

    assert checks(others={"job-2": other}) == ([], None)


@pytest.mark.parametrize("limits", [CANNOT_CHECK, Limits(modes={}), Limits(modes={"small_fleet": Mode.APPROVE})])
def test_nothing_is_checked_where_nobody_can_or_may_of_its_own_accord(limits):
    assert checks(limits=limits) == ([], None)


def test_node_that_was_cleared_or_is_drained_is_not_checked_for_the_job():
    assert checks(replace(JOB, left_out=(CLEARED,))) == ([], None)
    job = replace(JOB, left_out=(LEFT,))
    assert care(replace(cluster(NodeState.DRAINED), jobs={"job-1": job}), Limits(), NOON + HOUR) == ([], None)


def test_checks_that_nodes_do_not_pass_open_no_breaker():
    failed = [
        Step(f"dec-{n}.1", f"dec-{n}", 1, StepKind.CHECK, "small_fleet", "job-1", {}, NOW, StepState.FAILED, NOW)
        for n in range(30)
    ]
    made = tuple(
        Decision(step.decision_id, "inc-1", 0, None, Mode.AUTO, "because", NOON + HOUR, (step,)) for step in failed
    )

    assert len(checks(recent=made)[0]) == 1
