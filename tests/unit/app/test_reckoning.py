"""The records of a job to its account."""

from dataclasses import replace

from clusterwatch.app.reckoning import diagnosis_of, failures_of, present_of, reliability
from clusterwatch.model import Cause, Diagnosis, Edge, Incident, IncidentState, Interruption, Job, JobState
from clusterwatch.store import JobView
from clusterwatch.testing import NOON, seconds

JOB = Job("job-1", "llama", JobState.TRAINING, NOON, NOON + seconds(60), nodes=("node001",))
STOP = Interruption(
    "int-1", "job-1", 1, "inc-a", False, 3, {Edge.LAST_STEP: NOON, Edge.FIRST_NEW_STEP: NOON + seconds(9)}
)


def incident(name, merged_into=None):
    state = IncidentState.MERGED if merged_into else IncidentState.CLOSED
    return Incident(name, state, NOON, NOON, NOON, (), merged_into=merged_into)


def diagnosis(name, cause):
    return Diagnosis(name, 1, cause, 0.9, (), (), (), (), "", "", NOON)


def view(*explained, stops=(STOP,)):
    return JobView(JOB, (), (), (), stops, (), explained)


def test_simulated_job_has_a_clock_of_its_own():
    later = NOON + seconds(86_400)

    assert present_of(JOB, later) == later
    assert present_of(replace(JOB, simulated=True), later) == NOON + seconds(60)
    assert present_of(replace(JOB, ended_at=NOON + seconds(70)), later) == NOON + seconds(70)


def test_interruption_has_the_cause_of_the_incident_that_absorbed_its_own():
    known = view(
        (incident("inc-a", "inc-b"), diagnosis("inc-a", Cause.NCCL_TIMEOUT_UNKNOWN)),
        (incident("inc-b"), diagnosis("inc-b", Cause.FAULTY_GPU)),
    )

    assert [each.cause for each in failures_of(known)] == [Cause.FAULTY_GPU]


def test_incidents_that_were_merged_into_each_other_have_no_end_and_are_followed_once():
    circle = view((incident("inc-a", "inc-b"), None), (incident("inc-b", "inc-a"), None))

    assert diagnosis_of(circle, STOP) is None


def test_interruption_that_nobody_diagnosed_is_of_unknown_cause():
    assert [each.cause for each in failures_of(view())] == [Cause.UNKNOWN]


def test_planned_stops_are_in_no_rate():
    (unexpected,) = failures_of(view())
    planned = replace(unexpected, planned=True)

    found = reliability([unexpected, planned], elapsed_seconds=7200, node_days=10)

    assert (found.planned, found.unexpected) == (1, 1)
    assert found.mean_hours.value == 2.0
    assert found.rate.value == 100.0
