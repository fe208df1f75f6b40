"""Steps that have ended to the nodes that are left out of a job."""

from dataclasses import replace

from clusterwatch.model import Component, ComponentKind, StepKind, StepState, World, kinds
from clusterwatch.testing import NOON, event, seconds, training_job
from clusterwatch.track import follow

JOB = Component(ComponentKind.JOB, "job-1", "node001")


def step(kind, state=StepState.DONE, at=60.0, job="job-1", **fields):
    told = event(kinds.STEP_CHANGED, JOB, NOON + seconds(at), job=job)
    return replace(told, fields={"step_id": "x.1", "step_kind": kind.value, "state": state.value, **fields})


def excluded(at=60.0, **fields):
    about = {"node": "node002", "attempt": 1, "incident": "inc-1", "cause": "unknown", **fields}
    return step(StepKind.EXCLUDE, at=at, **about)


def left_out(*events):
    return follow(World(watching_since=NOON), [*training_job(), *events]).world.jobs["job-1"].left_out


def test_node_is_left_out_once_the_step_is_done():
    (left,) = left_out(excluded())

    assert (left.node, left.since, left.attempt) == ("node002", NOON + seconds(60), 1)
    assert (left.incident_id, left.cause, left.cleared_at) == ("inc-1", "unknown", None)
    assert left_out(step(StepKind.EXCLUDE, StepState.FAILED, node="node002", attempt=1)) == ()


def test_node_that_an_operator_had_excluded_before_stays_theirs():
    assert left_out(excluded(was_excluded=True)) == ()


FAILED_CHECK = step(StepKind.CHECK, StepState.FAILED, 120.0, node="node002")


def passed_check(at):
    return step(StepKind.CHECK, at=at, job="node002", node="node002")


def test_two_checks_in_a_row_that_passed_clear_it_and_one_does_not():
    (once,) = left_out(excluded(), passed_check(240.0))
    (twice,) = left_out(excluded(), passed_check(240.0), passed_check(2040.0))

    assert (once.cleared_at, once.checked_at, once.passes) == (None, NOON + seconds(240), 1)
    assert (twice.cleared_at, twice.failures) == (NOON + seconds(2040), 0)


def test_check_that_failed_takes_back_what_passed_before():
    (failed,) = left_out(excluded(), passed_check(60.0), FAILED_CHECK)
    (again,) = left_out(excluded(), passed_check(60.0), FAILED_CHECK, passed_check(240.0))

    assert (failed.cleared_at, failed.checked_at, failed.failures) == (None, NOON + seconds(120), 1)
    assert (again.cleared_at, again.passes) == (None, 1)


def test_node_that_is_given_back_to_service_is_cleared():
    (left,) = left_out(excluded(), step(StepKind.RELEASE, at=120.0, node="node002"))

    assert left.cleared_at == NOON + seconds(120)


def test_node_that_is_left_out_anew_has_to_be_cleared_anew():
    (left,) = left_out(excluded(), step(StepKind.CHECK, at=120.0, node="node002"), excluded(180.0, attempt=2))

    assert (left.attempt, left.cleared_at) == (2, None)


def test_node_that_was_taken_back_is_left_out_no_more():
    assert left_out(excluded(), step(StepKind.READMIT, at=120.0, node="node002", attempt=2)) == ()
    assert len(left_out(excluded(), step(StepKind.READMIT, StepState.FAILED, node="node002", attempt=2))) == 1


def started(attempt, nodes):
    return event(kinds.ATTEMPT_STARTED, JOB, NOON + seconds(90.0 + attempt), job="job-1", attempt=attempt, nodes=nodes)


def test_node_on_which_a_later_attempt_runs_all_the_same_is_left_out_no_more():
    assert left_out(excluded(), started(2, "node001,node002")) == ()
    assert len(left_out(excluded(), started(2, "node001,node003"))) == 1
    assert len(left_out(excluded(), started(1, "node001,node002"))) == 1


def test_node_that_failed_checks_has_to_pass_as_many_more():
    passed = [passed_check(at) for at in (240.0, 840.0, 1440.0)]

    (twice,) = left_out(excluded(), FAILED_CHECK, *passed[:2])
    (thrice,) = left_out(excluded(), FAILED_CHECK, *passed)

    assert (twice.cleared_at, twice.passes, twice.failures) == (None, 2, 1)
    assert thrice.cleared_at == NOON + seconds(1440)
