"""How long an incident waits that its job goes on after."""

from dataclasses import replace

import pytest

from clusterwatch.correlate.pieces import evidence_of
from clusterwatch.model import (
    Cause,
    Changes,
    Diagnosis,
    Incident,
    IncidentState,
    Job,
    JobState,
    Knowledge,
    LeftOut,
    Severity,
    World,
)
from clusterwatch.testing import NOON, event, seconds
from clusterwatch.turning import Limits, Turning, close_if_over

LEFT = LeftOut("node002", NOON + seconds(1000), 1, "inc-1", "software_bug")
EVIDENCE = evidence_of(event("cuda.kernel_bug", "node002"), Severity.ERROR)
INCIDENT = Incident(
    "inc-1", IncidentState.RECOVERING, NOON, NOON, NOON, (EVIDENCE,), jobs=("job-1",), nodes=("node002",)
)


def state_at(now, left_out=LEFT, confidence=0.7):
    """Return the state of an incident whose job goes on at *now*, after the turn that looks whether it is over."""
    job = Job("job-1", "llama", JobState.TRAINING, NOON, NOON, actuator="small_fleet", left_out=(left_out,))
    world = World(
        watching_since=NOON,
        jobs={"job-1": job},
        incidents={"inc-1": INCIDENT},
        diagnoses={"inc-1": Diagnosis("inc-1", 1, Cause.SOFTWARE_BUG, confidence, (), (), (), (), "", "", NOON)},
    )
    turn = Turning(world, Changes(), Knowledge([]), Limits(), now, jobs_before={})
    close_if_over(turn, INCIDENT)
    return turn.world.incidents["inc-1"].state


@pytest.mark.parametrize("passes", [0, 1])
def test_incident_whose_cause_is_not_clear_waits_for_the_check_of_the_node_that_was_left_out(passes):
    assert state_at(NOON + seconds(2199), replace(LEFT, passes=passes)) is IncidentState.RECOVERING
    assert state_at(NOON + seconds(2200), replace(LEFT, passes=passes)) is IncidentState.CLOSED


@pytest.mark.parametrize(
    ("left_out", "confidence"),
    [
        (replace(LEFT, failures=1), 0.7),
        (replace(LEFT, cleared_at=NOON + seconds(1800)), 0.7),
        (replace(LEFT, incident_id="inc-0"), 0.7),
        (LEFT, 0.8),
    ],
    ids=["it failed", "it is cleared", "it was left out before", "the cause is clear"],
)
def test_incident_waits_for_no_check_that_tells_nothing_more(left_out, confidence):
    assert state_at(NOON + seconds(2000), left_out, confidence) is IncidentState.CLOSED
