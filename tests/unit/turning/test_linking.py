"""Which incident explains which interruption."""

import pytest

from clusterwatch.correlate.pieces import evidence_of
from clusterwatch.model import (
    Attempt,
    Cause,
    Changes,
    Component,
    ComponentKind,
    Edge,
    Incident,
    IncidentState,
    Interruption,
    Job,
    JobState,
    Knowledge,
    LeftOut,
    Role,
    Severity,
    Signal,
    World,
)
from clusterwatch.testing import NOON, event, seconds
from clusterwatch.turning import Limits, Turning, link_interruptions

KNOWLEDGE = Knowledge(
    [
        Signal("gpu.lost", "lost", Severity.FATAL, Role.FAULT, {Cause.FAULTY_GPU: 4.0}),
        Signal("signalled", "ended", Severity.ERROR, Role.SYMPTOM, {Cause.PREEMPTION_OR_OPERATOR: 2.0}),
    ]
)
STOPPED_AT = NOON + seconds(900)
"""When the second attempt stopped, which ran without node002."""


def incident(name, told):
    evidence = evidence_of(told, KNOWLEDGE[told.kind].severity)
    return Incident(name, IncidentState.DIAGNOSED, NOON, NOON, NOON, (evidence,), jobs=("job-1",))


@pytest.mark.parametrize(("node", "explaining"), [("node001", "inc-found"), ("node002", "inc-ended")])
def test_what_is_found_on_a_node_that_was_left_out_before_is_no_reason_of_a_stop(node, explaining):
    found = event("gpu.lost", node, STOPPED_AT - seconds(90))
    ended = event("signalled", Component(ComponentKind.JOB, "job-1"), STOPPED_AT, job="job-1")
    # The job had made no new step since its first stop: both are one interruption.
    stop = Interruption("int-1", "job-1", 1, None, planned=False, highest_step=5, edges={Edge.FIRST_EVENT: STOPPED_AT})
    left = LeftOut("node002", NOON, 1, "inc-found")
    world = World(
        watching_since=NOON,
        jobs={"job-1": Job("job-1", "llama", JobState.INTERRUPTED, NOON, NOON, attempt=2, left_out=(left,))},
        attempts={"job-1": (Attempt("job-1", 1, NOON), Attempt("job-1", 2, NOON + seconds(60)))},
        incidents={each.id: each for each in (incident("inc-found", found), incident("inc-ended", ended))},
        interruptions={"int-1": stop},
    )
    turn = Turning(world, Changes(), KNOWLEDGE, Limits(), STOPPED_AT, jobs_before={})

    link_interruptions(turn, [])

    assert [each.incident_id for each in turn.interruptions.values()] == [explaining]
