"""What a turn comes to."""

import pytest

from clusterwatch.model import (
    Cause,
    Changes,
    Component,
    ComponentKind,
    Decision,
    Diagnosis,
    History,
    Incident,
    IncidentState,
    Knowledge,
    Mode,
    Suspect,
    World,
)
from clusterwatch.testing import NOON
from clusterwatch.turning import Limits, Turning
from clusterwatch.turning.outcome import world_after

GPU = Component(ComponentKind.GPU, "0000:3b:00", "node001")
CLOSED = Incident("inc-1", IncidentState.CLOSED, NOON, NOON, NOON, ())
SURE = Diagnosis(
    "inc-1", 1, Cause.GPU_HBM, 0.9, (), (Suspect(GPU, 0.9),), (), (), "a row failed", "", NOON, node_confirmed=True
)


@pytest.mark.parametrize(("job_id", "causes"), [("job-1", {Cause.GPU_HBM: 1}), (None, {})], ids=["a job", "none"])
def test_closed_incident_counts_as_a_cause_if_it_concerned_a_job_and_blames_in_any_case(job_id, causes):
    decision = Decision("dec-1", "inc-1", 1, job_id, Mode.AUTO, "leave it out", NOON)
    world = World(
        watching_since=NOON,
        incidents={"inc-1": CLOSED},
        diagnoses={"inc-1": SURE},
        decisions={"inc-1": (decision,)},
    )

    after = world_after(Turning(world, Changes(), Knowledge([]), Limits(), NOON, jobs_before={}))

    assert after.incidents == {}
    assert after.history == History(causes, {GPU: {Cause.GPU_HBM: 1}})
