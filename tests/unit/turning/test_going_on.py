"""Whether jobs go on after an incident."""

from dataclasses import replace

import pytest

from clusterwatch.correlate import Suspected
from clusterwatch.model import (
    Attempt,
    Cause,
    Changes,
    Decision,
    Diagnosis,
    Interruption,
    Knowledge,
    Mode,
    Suspect,
    World,
    node_component,
)
from clusterwatch.testing import NOON, seconds
from clusterwatch.turning import Limits, Turning
from clusterwatch.turning.going_on import gone_on, may_come_back_until, running_again_since, suspected

RESTARTED_AT, NEW_STEP_AT = NOON + seconds(60), NOON + seconds(120)


def diagnosis(confidence):
    return Diagnosis("inc-1", 1, Cause.UNKNOWN, confidence, (), (), (), (), "", "", NOON)


def turn_after_a_restart(now, confidence=0.5, interruptions=()):
    decision = Decision("dec-1", "inc-1", 1, "job-1", Mode.AUTO, "start it again", NOON, attempt=1)
    attempts = (Attempt("job-1", 1, NOON), Attempt("job-1", 2, RESTARTED_AT, first_new_step_at=NEW_STEP_AT))
    world = World(
        watching_since=NOON,
        decisions={"inc-1": (decision,)},
        attempts={"job-1": attempts},
        diagnoses={"inc-1": diagnosis(confidence)},
        interruptions={each.job_id: each for each in interruptions},
    )
    return Turning(world, Changes(), Knowledge([]), Limits(), now, jobs_before={})


def test_job_runs_again_a_minute_after_a_start_of_which_nothing_else_is_told():
    assert running_again_since(turn_after_a_restart(NOON + seconds(200))) == {"inc-1": RESTARTED_AT + seconds(60)}


@pytest.mark.parametrize(("after_seconds", "expected"), [(299, set()), (300, {"inc-1"})])
def test_stop_of_unclear_cause_may_come_back_for_five_minutes_of_new_steps(after_seconds, expected):
    assert gone_on(turn_after_a_restart(NEW_STEP_AT + seconds(after_seconds))) == expected


def test_stop_whose_cause_is_clear_does_not_come_back():
    turn = turn_after_a_restart(NEW_STEP_AT + seconds(1), confidence=0.8)

    assert may_come_back_until(turn, "inc-1") == turn.now
    assert gone_on(turn) == {"inc-1"}


def test_job_that_stands_has_not_gone_on():
    stands = Interruption("int-1", "job-1", 1, "inc-1", planned=False, highest_step=5)

    assert gone_on(turn_after_a_restart(NEW_STEP_AT + seconds(3600), interruptions=[stands])) == frozenset()


def suspects(*scores):
    return tuple(Suspect(node_component(node), score) for node, score in scores)


@pytest.mark.parametrize(
    ("cause", "confidence", "expected"),
    [
        (Cause.GPU_HBM, 0.5, Suspected({"node001", "node002"}, is_clear=False)),
        (Cause.GPU_HBM, 0.8, Suspected({"node001", "node002"}, is_clear=True)),
        (Cause.SOFTWARE_BUG, 0.6, Suspected({"node001", "node002"}, is_clear=True)),
        (Cause.UNKNOWN, 0.9, None),
    ],
)
def test_diagnosis_that_names_a_cause_says_where_it_was_and_whether_that_is_clear(cause, confidence, expected):
    turn = turn_after_a_restart(NOON + seconds(200))
    said = suspects(("node001", 0.6), ("node002", 0.3), ("node003", 0.1))
    turn.put_diagnosis(replace(diagnosis(confidence), cause=cause, suspects=said))

    assert suspected(turn, ["inc-1", "inc-2"]).get("inc-1") == expected
