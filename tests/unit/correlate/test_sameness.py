"""Whether an event is of the one fault that an incident is."""

from dataclasses import replace

import pytest

from clusterwatch.correlate import Limits, Suspected, add_events
from clusterwatch.model import (
    Cause,
    Component,
    ComponentKind,
    Job,
    JobState,
    Knowledge,
    Role,
    Severity,
    Signal,
    Topology,
    Trust,
)
from clusterwatch.testing import NOON, event, seconds

KNOWLEDGE = Knowledge(
    [
        Signal("gpu.lost", "lost", Severity.FATAL, Role.FAULT, {Cause.FAULTY_GPU: 4.0}),
        Signal("drained", "drained", Severity.ERROR, Role.FAULT, {Cause.HOST_MAINTENANCE: 4.0}),
        Signal("exiting", "told to exit", Severity.ERROR, Role.FAULT, {Cause.PREEMPTION_OR_OPERATOR: 4.0}),
        Signal("fault", "a bad access", Severity.ERROR, Role.SUSPECT, {Cause.SOFTWARE_BUG: 3.0}),
        Signal(
            "rebooted",
            "rebooted",
            Severity.ERROR,
            Role.SUSPECT,
            {Cause.HOST_MAINTENANCE: 2.0},
            looks_back=seconds(1200),
        ),
        Signal("hang", "no step", Severity.ERROR, Role.SYMPTOM, {Cause.UNKNOWN: 2.0}),
        Signal("worn", "worn", Severity.ERROR, Role.SUSPECT, {Cause.GPU_HBM: 2.0}),
        Signal("warm", "warm", Severity.WARNING, Role.SUSPECT, {Cause.GPU_THERMAL: 2.0}),
    ]
)
JOBS = {"job-1": Job("job-1", "llama", JobState.TRAINING, NOON, NOON, nodes=("node001", "node002"))}
WHOLE = Component(ComponentKind.JOB, "job-1")
AGAIN = NOON + seconds(100)
"""When the job runs again."""


def gpu(node: str) -> Component:
    return Component(ComponentKind.GPU, "0000:3b:00", node)


def incidents_after_restart(first, *later):
    """Return how many incidents there are when *first* stopped the job and *later* came once it ran again."""
    stopped = add_events({}, [first], KNOWLEDGE, JOBS, Topology(), Limits(), NOON).incidents
    (known,) = stopped
    after = add_events(
        stopped, later, KNOWLEDGE, JOBS, Topology(), Limits(), later[-1].happened_at, run_again={known: AGAIN}
    )
    return len({**stopped, **after.incidents})


@pytest.mark.parametrize("kind", ["fault", "gpu.lost", "drained"])
def test_what_strikes_another_node_once_the_job_runs_again_is_another_incident(kind):
    assert incidents_after_restart(event("gpu.lost", gpu("node001")), event(kind, gpu("node002"), AGAIN)) == 2


def test_job_that_runs_without_the_broken_node_is_not_stopped_by_it_again():
    first = event("gpu.lost", gpu("node009"))

    assert incidents_after_restart(first, event("hang", WHOLE, AGAIN, job="job-1")) == 2


def test_same_node_struck_again_is_the_same_incident():
    assert incidents_after_restart(event("gpu.lost", gpu("node001")), event("fault", gpu("node001"), AGAIN)) == 1


def test_suspect_told_before_the_job_runs_again_joins_the_fault_elsewhere():
    late = event("fault", gpu("node002"), AGAIN - seconds(1))

    assert incidents_after_restart(event("gpu.lost", gpu("node001")), late) == 1


def test_what_nothing_explained_may_be_explained_when_it_comes_back():
    first = event("hang", WHOLE, job="job-1")

    assert incidents_after_restart(first, event("gpu.lost", gpu("node002"), AGAIN, job="job-1")) == 1


@pytest.mark.parametrize("kind", ["exiting", "drained"])
def test_what_somebody_did_after_the_restart_does_not_explain_the_stop_before(kind):
    first = event("hang", WHOLE, job="job-1")

    assert incidents_after_restart(first, event(kind, "node002", AGAIN, job="job-1", trust=Trust.USER)) == 2


TAKEN = event("rebooted", "node001", job="job-1")


@pytest.mark.parametrize(("node", "incidents"), [("node001", 1), ("node002", 2)])
def test_what_strikes_elsewhere_later_did_not_take_a_node_from_the_job(node, incidents):
    assert incidents_after_restart(TAKEN, event("gpu.lost", gpu(node), AGAIN, job="job-1")) == incidents


def incidents_of_later(later, suspected):
    """Return how many incidents there are after *later*, where a job runs again that stopped as *suspected*."""
    stopped = add_events({}, [event("hang", WHOLE, job="job-1")], KNOWLEDGE, JOBS, Topology(), Limits(), NOON).incidents
    (known,) = stopped
    named = {} if suspected is None else {known: suspected}
    racks = Topology({"node001": frozenset({"rack1"}), **dict.fromkeys(("node002", "node003"), frozenset({"rack2"}))})
    after = add_events(
        stopped, [later], KNOWLEDGE, JOBS, racks, Limits(), AGAIN, run_again={known: AGAIN}, suspected=named
    )
    return len({**stopped, **after.incidents})


@pytest.mark.parametrize(
    ("nodes", "incidents"),
    [(None, 1), ({"node001"}, 2), ({"node002"}, 1), (set(), 2)],
    ids=["not clear", "elsewhere", "there", "on no node"],
)
def test_what_strikes_elsewhere_later_does_not_explain_what_is_clear(nodes, incidents):
    later = event("gpu.lost", gpu("node002"), AGAIN, job="job-1", trust=Trust.USER)

    assert incidents_of_later(later, Suspected(nodes, is_clear=True) if nodes is not None else None) == incidents


@pytest.mark.parametrize(
    ("kind", "nodes", "incidents"),
    [
        ("gpu.lost", {"node001"}, 2),
        ("gpu.lost", {"node001", "node002"}, 1),
        ("gpu.lost", {"node003"}, 1),
        ("gpu.lost", set(), 1),
        ("worn", {"node001"}, 2),
    ],
    ids=["breaks", "is suspected too", "is near", "nothing is suspected", "may break"],
)
def test_part_that_breaks_later_does_not_explain_what_failed_elsewhere(kind, nodes, incidents):
    later = event(kind, gpu("node002"), AGAIN, job="job-1", trust=Trust.USER)

    assert incidents_of_later(later, Suspected(nodes, is_clear=False)) == incidents


@pytest.mark.parametrize(
    ("trust", "rule", "incidents"),
    [(Trust.USER, "exception", 2), (Trust.NODE, "exception", 1), (Trust.USER, "", 1)],
    ids=["its own word", "a driver's word", "its recorders' word"],
)
def test_what_a_program_prints_when_it_fails_does_not_explain_a_stop_at_which_it_printed_nothing(
    trust, rule, incidents
):
    later = replace(event("fault", gpu("node002"), AGAIN, job="job-1", trust=trust), rule=rule)

    assert incidents_of_later(later, None) == incidents


def test_mistake_in_a_program_comes_back_anywhere():
    first, again = (
        replace(event("fault", gpu(node), at, job="job-1", trust=Trust.USER), rule="exception")
        for node, at in (("node001", NOON), ("node002", AGAIN))
    )

    assert incidents_after_restart(first, again) == 1


@pytest.mark.parametrize(("node", "incidents"), [("node001", 1), ("node002", 2)])
def test_work_on_another_node_later_did_not_take_the_first_from_the_job(node, incidents):
    assert incidents_after_restart(TAKEN, event("drained", node, AGAIN, job="job-1")) == incidents


def test_job_that_stops_again_after_a_node_was_taken_from_it_may_be_the_same():
    assert incidents_after_restart(TAKEN, event("hang", WHOLE, AGAIN, job="job-1")) == 1


def test_job_that_stops_again_is_the_same_incident_however_long_its_restart_took():
    first, again = (event("hang", WHOLE, at, job="job-1") for at in (NOON, NOON + seconds(1200)))

    assert incidents_after_restart(first, again) == 1


def test_what_is_told_late_explains_the_stop_before_the_restart():
    first = event("hang", WHOLE, job="job-1")

    assert incidents_after_restart(first, event("rebooted", "node002", AGAIN, job="job-1")) == 1


def members_after_restart(*later):
    """Return the ids of what joined the incident of a stop that nothing explained, once the job ran again."""
    stopped = add_events({}, [event("hang", WHOLE, job="job-1")], KNOWLEDGE, JOBS, Topology(), Limits(), NOON).incidents
    (known,) = stopped
    after = add_events(
        stopped, later, KNOWLEDGE, JOBS, Topology(), Limits(), later[-1].happened_at, run_again={known: AGAIN}
    )
    joined = {event_id for _, event_id in after.memberships}
    return [each.id for each in later if each.id in joined]


def test_warning_of_a_node_on_which_the_job_runs_again_waits_for_its_next_stop():
    warm, again = event("warm", gpu("node002"), AGAIN), event("hang", WHOLE, AGAIN + seconds(60), job="job-1")

    assert members_after_restart(warm) == []
    assert members_after_restart(warm, again) == [warm.id, again.id]


def test_warning_of_a_node_that_the_job_left_tells_of_the_stop_before():
    first = event("warm", gpu("node009"), NOON)
    stopped = add_events({}, [event("gpu.lost", gpu("node009")), first], KNOWLEDGE, JOBS, Topology(), Limits(), NOON)
    (known,) = stopped.incidents
    late = event("warm", gpu("node009"), AGAIN)

    after = add_events(
        stopped.incidents, [late], KNOWLEDGE, JOBS, Topology(), Limits(), AGAIN, run_again={known: AGAIN}
    )

    assert [event_id for _, event_id in after.memberships] == [late.id]
