"""When a diagnosis is made anew."""

import pytest

from clusterwatch.correlate import Limits as CorrelateLimits
from clusterwatch.correlate import add_events
from clusterwatch.model import (
    Attempt,
    Cause,
    Changes,
    Edge,
    Interruption,
    Job,
    JobState,
    Knowledge,
    Role,
    Severity,
    Signal,
    Topology,
    World,
)
from clusterwatch.model.making import replace
from clusterwatch.testing import NOON, event, seconds
from clusterwatch.turning import Limits, Turning
from clusterwatch.turning.diagnosing import diagnose

KNOWLEDGE = Knowledge(
    [
        Signal("link.flap", "a link flapped", Severity.WARNING, Role.SUSPECT, {Cause.NETWORK_SWITCH_CABLE: 2.5}),
        Signal("told.to.end", "a launcher was told to end", Severity.ERROR, Role.SYMPTOM, {Cause.UNKNOWN: 1.0}),
    ]
)
JOB = Job("job-1", "llama", JobState.INTERRUPTED, NOON, NOON, attempt=1, nodes=("node001",))
STOP_AT = NOON + seconds(300)


def incident():
    told = [
        event("link.flap", "node001", STOP_AT - seconds(120)),
        event("told.to.end", "node001", STOP_AT, job="job-1"),
    ]
    (made,) = add_events({}, told, KNOWLEDGE, {"job-1": JOB}, Topology(), CorrelateLimits(), STOP_AT).incidents.values()
    return made


def turn(of, **more):
    attempt = Attempt("job-1", 1, NOON, last_step_at=STOP_AT, interrupted_at=STOP_AT)
    world = World(
        watching_since=NOON,
        jobs={"job-1": JOB},
        attempts={"job-1": (attempt,)},
        incidents={of.id: of},
        murmurs={"link.flap": 100.0},
        **more,
    )
    return Turning(world, Changes(), KNOWLEDGE, Limits(), STOP_AT, jobs_before={})


def test_incident_that_nothing_joined_keeps_its_diagnosis():
    known = incident()
    first = diagnose(turn(known), known)

    assert diagnose(turn(known, diagnoses={known.id: first}), known) is first


def test_incident_that_turns_out_to_have_stopped_a_job_is_weighed_by_how_near_its_evidence_is_to_the_stop():
    known = incident()
    first = diagnose(turn(known), known)
    stopped = turn(known, diagnoses={known.id: first})
    stopped.put_interruption(Interruption("int-1", "job-1", 1, known.id, planned=False, highest_step=5))

    again = diagnose(stopped, known)

    assert first.cause is Cause.NETWORK_SWITCH_CABLE
    assert again.cause is Cause.UNKNOWN


@pytest.mark.parametrize(
    ("passed", "is_weighed"), [(Edge.ACCEPTED, False), (Edge.RUNNING, True), (Edge.FIRST_NEW_STEP, True)]
)
def test_restart_is_weighed_where_it_tells_since_when_the_job_runs_again_and_not_how_far_it_has_come(
    passed, is_weighed
):
    known = incident()
    first = replace(diagnose(turn(known), known), advice="as it was")
    stop = Interruption("int-1", "job-1", 1, known.id, planned=False, highest_step=5)
    restarted = turn(known, diagnoses={known.id: first}, interruptions={"job-1": stop})
    restarted.interruptions_before = {"job-1": stop}
    restarted.put_interruption(replace(stop, edges={passed: STOP_AT + seconds(30)}))

    again = diagnose(restarted, known)

    assert (again is not first) == is_weighed
