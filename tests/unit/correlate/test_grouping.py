"""Events to incidents."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwatch.correlate import Limits, add_events
from clusterwatch.model import (
    Cause,
    Component,
    ComponentKind,
    IncidentState,
    Job,
    JobState,
    Knowledge,
    Role,
    Severity,
    Signal,
    Topology,
)
from clusterwatch.testing import NOON, event, seconds

KNOWLEDGE = Knowledge(
    [
        Signal("gpu.lost", "lost", Severity.FATAL, Role.FAULT, {Cause.FAULTY_GPU: 4.0}),
        Signal("oom", "oom", Severity.ERROR, Role.FAULT, {Cause.OOM_HOST: 4.0}),
        Signal("switch.down", "down", Severity.ERROR, Role.FAULT, {Cause.NETWORK_SWITCH_CABLE: 3.0}),
        Signal("exception", "raised", Severity.ERROR, Role.SUSPECT, {Cause.SOFTWARE_BUG: 3.0}),
        Signal("nccl.timeout", "timed out", Severity.ERROR, Role.SYMPTOM, {Cause.NCCL_TIMEOUT_UNKNOWN: 2.0}),
        Signal("corrected", "corrected", Severity.WARNING, Role.SYMPTOM, {Cause.GPU_HBM: 0.2}),
        Signal("back", "back", Severity.WARNING, Role.SUSPECT, {Cause.HOST_MAINTENANCE: 1.0}, looks_back=seconds(1200)),
        Signal("info", "info", Severity.INFO, Role.CONTEXT),
    ]
)
JOBS = {"job-1": Job("job-1", "llama", JobState.TRAINING, NOON, NOON, nodes=("node001", "node002"))}


LATER = NOON + seconds(60)


def gpu(number, node="node001"):
    return Component(ComponentKind.GPU, str(number), node)


def grouped(*events, open_incidents=None, topology=None, now=LATER, limits=None):
    return add_events(
        open_incidents or {}, events, KNOWLEDGE, JOBS, topology or Topology(), limits or Limits(), now
    ).incidents.values()


def kinds_of(incident):
    return [evidence.kind for evidence in incident.evidence]


def test_symptoms_of_all_ranks_join_the_fault_that_caused_them():
    lost = event("gpu.lost", gpu(3), NOON)
    timeouts = [
        event("nccl.timeout", Component(ComponentKind.RANK, str(rank), "node002"), NOON + seconds(40), job="job-1")
        for rank in range(16)
    ]

    (incident,) = grouped(lost, *timeouts)

    assert kinds_of(incident) == ["gpu.lost", "nccl.timeout"]
    assert incident.evidence[1].count == 16
    assert incident.jobs == ("job-1",)


def test_two_faults_of_different_kinds_on_one_node_are_two_incidents_unless_they_come_together():
    assert len(grouped(event("gpu.lost", gpu(3)), event("oom", "node001", NOON + seconds(90)))) == 2
    assert len(grouped(event("gpu.lost", gpu(3)), event("oom", "node001", NOON + seconds(20)))) == 1


def test_same_fault_on_two_gpus_of_one_node_is_one_incident():
    assert len(grouped(event("gpu.lost", gpu(3)), event("gpu.lost", gpu(4)))) == 1


def test_same_fault_on_unrelated_nodes_is_two_incidents():
    assert len(grouped(event("gpu.lost", gpu(0, "node008")), event("gpu.lost", gpu(0, "node009")))) == 2


def test_neighbours_under_one_switch_share_an_incident():
    topology = Topology({"node008": frozenset({"leaf2"}), "node009": frozenset({"leaf2"})})

    incidents = grouped(event("switch.down", "node008"), event("switch.down", "node009"), topology=topology)

    assert [incident.nodes for incident in incidents] == [("node008", "node009")]


def test_event_long_after_an_incident_opens_another():
    first, second = event("oom", "node001"), event("oom", "node001", NOON + seconds(3600))

    assert len(grouped(first, second, now=NOON + seconds(3600))) == 2


def test_warning_joins_but_opens_nothing():
    assert not grouped(event("corrected", gpu(3)))
    (incident,) = grouped(event("gpu.lost", gpu(3)), event("corrected", gpu(3)))
    assert sorted(kinds_of(incident)) == ["corrected", "gpu.lost"]


def test_offline_a_warning_may_open():
    assert grouped(event("corrected", gpu(3)), limits=Limits(opens_at=Severity.WARNING))


def test_context_never_joins():
    (incident,) = grouped(event("gpu.lost", gpu(3)), event("info", gpu(3)))

    assert kinds_of(incident) == ["gpu.lost"]


def test_incident_of_old_events_is_stale():
    (incident,) = grouped(event("oom", "node001"), now=NOON + seconds(3600))

    assert incident.stale


def test_incident_id_is_the_same_after_a_crash_and_a_second_reading():
    first = event("oom", "node001")

    assert [each.id for each in grouped(first)] == [each.id for each in grouped(first)]


def test_closed_incident_takes_no_evidence():
    (incident,) = grouped(event("oom", "node001"))
    closed = replace(incident, state=IncidentState.CLOSED)

    (other,) = grouped(event("oom", "node001", NOON + seconds(5)), open_incidents={closed.id: closed})

    assert other.id != closed.id


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["gpu.lost", "oom", "exception", "nccl.timeout", "switch.down"]),
        st.sampled_from(["node001", "node002", "node008"]),
        st.integers(0, 900),
        st.sampled_from([None, "job-1"]),
    ),
    max_size=30,
)


@given(EVENTS)
def test_each_event_is_in_exactly_one_incident(drawn):
    events = {
        made.id: made
        for kind, node, after, job in drawn
        for made in [event(kind, node, NOON + seconds(after), job=job)]
    }

    correlated = add_events({}, events.values(), KNOWLEDGE, JOBS, Topology(), Limits(), NOON + seconds(900))

    assert sorted(event_id for _, event_id in correlated.memberships) == sorted(events)
    total = sum(evidence.count for incident in correlated.incidents.values() for evidence in incident.evidence)
    assert total == len(events)


@given(EVENTS, st.randoms(use_true_random=False))
def test_order_of_arrival_within_a_turn_does_not_matter(drawn, shuffler):
    events = [event(kind, node, NOON + seconds(after), job=job) for kind, node, after, job in drawn]
    mixed = list(events)
    shuffler.shuffle(mixed)

    assert {each.id: each for each in grouped(*events)} == {each.id: each for each in grouped(*mixed)}


@pytest.mark.parametrize(("kind", "after", "joins"), [("back", 700, True), ("nccl.timeout", 200, False)])
def test_only_what_tells_late_of_a_node_joins_an_incident_whose_job_goes_on(kind, after, joins):
    (incident,) = grouped(event("exception", "node001"))
    told = event(kind, "node001", NOON + seconds(after))

    joined = add_events({incident.id: incident}, [told], KNOWLEDGE, JOBS, Topology(), Limits(), LATER, {incident.id})

    assert (incident.id in joined.incidents) is joins


def found(number, source="actor", at=3600):
    told = event("gpu.lost", gpu(number, "node002"), NOON + seconds(at))
    return replace(told, source=source, fields={"incident": "inc-1"})


@pytest.mark.parametrize(("source", "incidents"), [("actor", {"inc-1"}), ("kernel_log", {"inc-1", "another"})])
def test_what_clusterwatch_looked_for_because_of_an_incident_joins_that_one_however_late(source, incidents):
    (first,) = grouped(event("exception", Component(ComponentKind.RANK, "7", "node001"), NOON, job="job-1"))
    known = {"inc-1": replace(first, id="inc-1")}

    joined = grouped(found(1, source), open_incidents=known, now=NOON + seconds(3600))

    assert len({**known, **{each.id: each for each in joined}}) == len(incidents)


def test_what_was_looked_for_because_of_an_incident_that_is_over_is_an_incident_of_its_own():
    (opened,) = grouped(found(1))

    assert opened.id != "inc-1"
