"""What is put into a turn changes its world and what it writes, together."""

import pytest

from clusterwatch.model import (
    Attempt,
    Changes,
    Decision,
    Hold,
    Incident,
    IncidentState,
    Interruption,
    Knowledge,
    Mode,
    Step,
    StepKind,
    World,
)
from clusterwatch.model.making import replace
from clusterwatch.testing import NOON, seconds
from clusterwatch.turning import Limits, Turning, changes_of

NOW = NOON + seconds(60)
INCIDENT = Incident("inc-1", IncidentState.SETTLING, NOON, NOON, NOON, ())
DECISION = Decision("dec-1", "inc-1", 1, None, Mode.AUTO, "a person looks", NOON)


@pytest.fixture
def turn():
    return Turning(World(watching_since=NOON), Changes(), Knowledge([]), Limits(), NOW, jobs_before={})


def test_incident_that_is_moved_is_written_as_it_is_then(turn):
    turn.move(INCIDENT, IncidentState.DIAGNOSED)

    (written,) = changes_of(turn).incidents
    assert (written.state, written.updated_at) == (IncidentState.DIAGNOSED, NOW)
    assert turn.world.incidents == {"inc-1": written}


def test_incident_that_is_there_already_is_not_written(turn):
    turn.move(INCIDENT, IncidentState.SETTLING)

    assert changes_of(turn).incidents == ()


def test_decision_replaces_the_one_with_its_id_wherever_it_is_kept(turn):
    ask = Step("dec-1.1", "dec-1", 1, StepKind.ASK, "slurm", "job-1", {}, NOW)
    turn.put_decision(replace(DECISION, steps=(ask,)))
    turn.put_decision(replace(DECISION, steps=(ask,), reason="somebody else looks"))

    assert [each.reason for each in turn.world.decisions["inc-1"]] == ["somebody else looks"]
    assert [each.reason for each in turn.world.recent] == ["somebody else looks"]
    assert [each.reason for each in changes_of(turn).decisions] == ["somebody else looks"]


def test_decision_by_which_nothing_is_done_is_none_that_the_brakes_count(turn):
    turn.put_decision(DECISION)

    assert turn.world.decisions["inc-1"] == (DECISION,)
    assert turn.world.recent == ()


def test_attempt_takes_the_place_of_the_one_with_its_number(turn):
    first, second = Attempt("job-1", 1, NOON), Attempt("job-1", 2, NOON)
    turn.world = replace(turn.world, attempts={"job-1": (first, second)})
    resumed = replace(first, resumed_step=4)

    turn.put_attempt(resumed)

    assert turn.world.attempts["job-1"] == (resumed, second)
    assert changes_of(turn).attempts == (resumed,)


def test_interruption_is_kept_by_its_job_and_written_by_its_id(turn):
    interruption = Interruption("int-1", "job-1", 1, "inc-1", planned=False, highest_step=5)

    turn.put_interruption(interruption)

    assert turn.world.interruptions == {"job-1": interruption}
    assert changes_of(turn).interruptions == (interruption,)


def test_hold_is_kept_by_what_it_holds(turn):
    hold = Hold("cluster", "too much at once", "breaker", NOW)

    turn.put_hold(hold)

    assert turn.world.holds == {"cluster": hold}
    assert changes_of(turn).holds == (hold,)
