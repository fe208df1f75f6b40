"""Drained nodes to what brings them back."""

from dataclasses import replace

from clusterwatch.model import (
    Decision,
    Hold,
    Job,
    JobState,
    LeftOut,
    Mode,
    Node,
    NodeState,
    Step,
    StepKind,
    StepState,
)
from clusterwatch.policy import Cluster, Limits, care
from clusterwatch.testing import NOON, seconds

DRAINED = Node("node002", NodeState.DRAINED, NOON, drained_by="dec-1")
STEP = Step(
    "dec-1.4",
    "dec-1",
    4,
    StepKind.DRAIN,
    "small_fleet",
    "job-1",
    {"node": "node002", "check_after_seconds": 600.0},
    NOON + seconds(600),
    StepState.DONE,
    NOON,
)
DECISION = Decision("dec-1", "inc-1", 1, "job-1", Mode.AUTO, "because", NOON, (STEP,), cause="faulty_gpu")


def cluster(*decisions, **rest):
    return Cluster(nodes={"node002": DRAINED}, recent=(DECISION, *decisions), **rest)


def checked(state, at):
    step = replace(STEP, id=f"dec-return-{at}.1", kind=StepKind.CHECK, state=state, changed_at=at)
    return replace(DECISION, id=f"dec-return-{at}", job_id=None, made_at=at, steps=(step,))


def test_drained_node_is_checked_after_a_while_and_released_behind_the_check():
    (decision,), _ = care(cluster(), Limits(), NOON + seconds(600))

    assert [step.kind for step in decision.steps] == [StepKind.CHECK, StepKind.RELEASE]
    assert {step.arguments["node"] for step in decision.steps} == {"node002"}
    assert decision.incident_id == "inc-1"


def test_before_that_nothing_is_done_and_it_says_when_to_look_again():
    assert care(cluster(), Limits(), NOON + seconds(599)) == ([], NOON + seconds(600))


def test_check_that_is_under_way_is_not_asked_for_twice():
    under_way = checked(StepState.BEGUN, NOON + seconds(600))

    assert care(cluster(under_way), Limits(), NOON + seconds(9000)) == ([], None)


def test_check_that_failed_is_made_again_after_a_pause_that_doubles():
    failed = checked(StepState.FAILED, NOON + seconds(600))

    assert care(cluster(failed), Limits(), NOON + seconds(1200)) == ([], NOON + seconds(1800))
    assert len(care(cluster(failed), Limits(), NOON + seconds(1800))[0]) == 1


def test_node_that_somebody_else_drained_is_not_touched():
    theirs = Cluster(nodes={"node002": replace(DRAINED, drained_by="")}, recent=(DECISION,))

    assert care(theirs, Limits(), NOON + seconds(9000)) == ([], None)


def test_held_node_is_not_brought_back():
    held = {"node:node002": Hold("node:node002", "for the vendor", "ada", NOON)}

    assert care(cluster(holds=held), Limits(), NOON + seconds(9000)) == ([], None)


def test_where_nobody_can_check_a_person_brings_it_back():
    limits = Limits(abilities={"small_fleet": frozenset({StepKind.DRAIN})})

    assert care(cluster(), limits, NOON + seconds(9000)) == ([], None)


def test_actuator_that_only_observes_is_asked_for_nothing():
    assert care(cluster(), Limits(modes={}), NOON + seconds(9000)) == ([], None)


LEFT = LeftOut("node002", NOON, 1, "inc-1", "faulty_gpu")
JOB = Job("job-1", "llama", JobState.TRAINING, NOON, NOON, nodes=("node001",), actuator="small_fleet", left_out=(LEFT,))


def test_node_that_is_drained_and_left_out_is_asked_once_what_failed():
    asked = replace(JOB, left_out=(replace(LEFT, checked_at=NOON + seconds(180), failures=1),))

    (decision,), _ = care(cluster(jobs={"job-1": JOB}), Limits(), NOON + seconds(180))

    assert [step.kind for step in decision.steps] == [StepKind.CHECK]
    assert care(cluster(jobs={"job-1": asked}), Limits(), NOON + seconds(599)) == ([], NOON + seconds(600))


def test_check_that_asks_what_failed_does_not_put_off_the_return():
    (asking,), _ = care(cluster(jobs={"job-1": JOB}), Limits(), NOON + seconds(180))
    failed = replace(asking.steps[0], state=StepState.FAILED, changed_at=NOON + seconds(200))

    (decision,), _ = care(cluster(replace(asking, steps=(failed,))), Limits(), NOON + seconds(600))

    assert [step.kind for step in decision.steps] == [StepKind.CHECK, StepKind.RELEASE]
