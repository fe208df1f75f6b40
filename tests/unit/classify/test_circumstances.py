"""What is known beside the evidence."""

import pytest

from clusterwatch.classify import Circumstances, diagnose
from clusterwatch.correlate import Limits, add_events
from clusterwatch.model import (
    Cause,
    Component,
    ComponentKind,
    History,
    Knowledge,
    Role,
    Severity,
    Signal,
    Topology,
    Trust,
    node_component,
)
from clusterwatch.testing import NOON, event, seconds

GONE = Signal("node.gone", "the node is gone", Severity.FATAL, Role.FAULT, {Cause.HOST_MAINTENANCE: 2.5})
LINK = Signal(
    "link.down", "the link is down", Severity.ERROR, Role.FAULT, {Cause.NIC: 2.6, Cause.NETWORK_SWITCH_CABLE: 2.4}
)
ECC = Signal("gpu.ecc", "a memory error", Severity.ERROR, Role.FAULT, {Cause.FAULTY_GPU: 2.0, Cause.GPU_HBM: 1.8})
KNOWLEDGE = Knowledge([GONE, LINK, ECC])
RACK = Topology(
    {f"node{number:03d}": frozenset({"rack-7", "row-1"}) for number in range(8)} | {"node100": frozenset({"row-1"})}
)
GPU = Component(ComponentKind.GPU, "0000:3b:00", "node001")


def diagnosis_of(*events, **circumstances):
    topology = circumstances.get("topology", Topology())
    incidents = add_events({}, events, KNOWLEDGE, {}, topology, Limits(), NOON).incidents
    (incident,) = incidents.values()
    return diagnose(incident, KNOWLEDGE, Circumstances(**circumstances), 1, NOON)


def gone(*numbers, apart=1.0):
    return [event("node.gone", f"node{n:03d}", NOON + seconds(place * apart)) for place, n in enumerate(numbers)]


def test_node_that_stops_while_work_is_announced_on_it_is_no_fault():
    diagnosis = diagnosis_of(*gone(1), planned=frozenset({"node001"}))

    assert diagnosis.cause is Cause.PLANNED_MAINTENANCE
    assert "Work was announced on node001" in diagnosis.explanation


def test_work_on_another_node_excuses_nothing():
    assert diagnosis_of(*gone(1), planned=frozenset({"node002"})).cause is Cause.HOST_MAINTENANCE


def test_nodes_of_a_rack_that_stop_at_once_are_one_incident_in_the_rack():
    diagnosis = diagnosis_of(*gone(1, 2, 3, 4), topology=RACK)

    assert diagnosis.suspects[0].component == Component(ComponentKind.RACK, "rack-7")
    assert Cause.POWER_SUPPLY in {diagnosis.cause, *(each.cause for each in diagnosis.alternatives)}


def test_nodes_that_share_a_feed_and_are_silent_at_once_have_lost_it():
    silent = Signal(
        "node.silent", "silent", Severity.ERROR, Role.SUSPECT, {Cause.UNKNOWN: 2.2, Cause.POWER_SUPPLY: 0.5}
    )
    knowledge = Knowledge([silent])
    events = [event("node.silent", f"node{n:03d}") for n in range(1, 5)]
    (incident,) = add_events({}, events, knowledge, {}, RACK, Limits(), NOON).incidents.values()

    diagnosis = diagnose(incident, knowledge, Circumstances(topology=RACK), 1, NOON)

    assert Cause.POWER_SUPPLY in {diagnosis.cause, *(each.cause for each in diagnosis.alternatives)}
    assert diagnosis.suspects[0].component == Component(ComponentKind.RACK, "rack-7")


def test_links_of_a_switch_that_fail_at_once_are_the_switch():
    switch = Topology({f"node{number:03d}": frozenset({"leaf-2"}) for number in range(8)})
    links = [event("link.down", f"node{number:03d}", NOON + seconds(number)) for number in range(4)]

    diagnosis = diagnosis_of(*links, topology=switch)

    assert diagnosis.cause is Cause.NETWORK_SWITCH_CABLE
    assert diagnosis.suspects[0].component == Component(ComponentKind.SWITCH, "leaf-2")


@pytest.mark.parametrize(("numbers", "apart"), [((1, 2), 1.0), ((1, 2, 3, 4), 100.0)])
def test_two_nodes_or_nodes_that_stop_one_after_another_say_nothing_of_their_rack(numbers, apart):
    diagnosis = diagnosis_of(*gone(*numbers, apart=apart), topology=RACK)

    assert diagnosis.suspects[0].component.kind is ComponentKind.NODE


def test_part_that_was_to_blame_before_is_so_again_more_likely():
    once = History()
    thrice = History(blamed={GPU: {Cause.GPU_HBM: 3}})

    fresh = diagnosis_of(event("gpu.ecc", GPU), history=once)
    again = diagnosis_of(event("gpu.ecc", GPU), history=thrice)

    assert (fresh.cause, again.cause) == (Cause.FAULTY_GPU, Cause.GPU_HBM)
    assert "was to blame for gpu_hbm 3 times before" in again.explanation


def test_clusters_own_history_outvotes_table_5_as_it_grows():
    fresh = diagnosis_of(event("link.down", "node001"))
    learned = diagnosis_of(
        event("link.down", "node001"), history=History(causes={Cause.NETWORK_SWITCH_CABLE: 400, Cause.NIC: 1})
    )

    assert learned.cause is Cause.NETWORK_SWITCH_CABLE
    assert learned.confidence > fresh.confidence


def test_history_learns_only_from_what_was_sure_and_blames_only_parts():
    sure = diagnosis_of(event("gpu.ecc", GPU), history=History(blamed={GPU: {Cause.GPU_HBM: 9}}))
    unsure = diagnosis_of(event("link.down", "node001"))

    history = History().after([sure, unsure], {sure.incident_id, unsure.incident_id})

    assert history.causes == {Cause.GPU_HBM: 1}
    assert history.blamed == {GPU: {Cause.GPU_HBM: 1}}


def test_history_learns_how_often_a_cause_is_from_what_concerned_a_job_and_whom_to_blame_from_all():
    elsewhere = diagnosis_of(event("gpu.ecc", GPU), history=History(blamed={GPU: {Cause.GPU_HBM: 9}}))

    assert History().after([elsewhere], of_jobs=()) == History(blamed={GPU: {Cause.GPU_HBM: 1}})


def test_history_learns_no_fault_of_hardware_that_only_a_job_told():
    told = diagnosis_of(event("gpu.ecc", GPU, trust=Trust.USER), history=History(blamed={GPU: {Cause.GPU_HBM: 9}}))

    history = History().after([told] * 5, {told.incident_id})

    assert told.cause is Cause.GPU_HBM
    assert history == History()


def test_node_that_was_to_blame_speaks_for_its_parts():
    history = History(blamed={node_component("node001"): {Cause.NIC: 2}})

    assert diagnosis_of(event("link.down", "node001"), history=history).cause is Cause.NIC


WORK = Signal(
    "drain", "work", Severity.ERROR, Role.FAULT, {Cause.PLANNED_MAINTENANCE: 4.0, Cause.HOST_MAINTENANCE: 2.0}
)
CUT_OFF = Signal("slurm.node_failure", "cut off", Severity.ERROR, Role.SUSPECT, {Cause.HOST_MAINTENANCE: 1.0})


@pytest.mark.parametrize(
    ("planned", "cause"),
    [(frozenset(), Cause.HOST_MAINTENANCE), (frozenset({"node001"}), Cause.PLANNED_MAINTENANCE)],
)
def test_work_that_takes_a_node_from_a_running_job_is_planned_only_if_it_was_announced(planned, cause):
    knowledge = Knowledge([WORK, CUT_OFF])
    events = [event("drain", "node001"), event("slurm.node_failure", "node001", NOON + seconds(2))]
    (incident,) = add_events({}, events, knowledge, {}, Topology(), Limits(), NOON).incidents.values()

    assert diagnose(incident, knowledge, Circumstances(planned=planned), 1, NOON).cause is cause


def test_adapter_and_gpu_that_go_together_point_to_the_board_between_them():
    lost = {
        kind: Signal(f"lost.{kind}", "lost", Severity.ERROR, Role.FAULT, {cause: 3.2, Cause.IO_EXPANSION_BOARD: 2.0})
        for kind, cause in (("gpu", Cause.FAULTY_GPU), ("nic", Cause.NIC))
    }
    knowledge = Knowledge(lost.values())
    nic = Component(ComponentKind.NIC, "0000:3a:00.0", "node001")
    events = [event("lost.gpu", GPU), event("lost.nic", nic, NOON + seconds(1))]
    (incident,) = add_events({}, events, knowledge, {}, Topology(), Limits(), NOON).incidents.values()

    assert diagnose(incident, knowledge, Circumstances(), 1, NOON).cause is Cause.IO_EXPANSION_BOARD


def test_board_is_to_blame_though_several_lines_tell_of_the_gpu_that_hangs_on_it():
    signals = [
        Signal("nic.lost", "lost", Severity.ERROR, Role.FAULT, {Cause.NIC: 3.2, Cause.IO_EXPANSION_BOARD: 2.0}),
        Signal("gpu.gone", "gone", Severity.FATAL, Role.FAULT, {Cause.FAULTY_GPU: 4.5, Cause.IO_EXPANSION_BOARD: 2.2}),
        Signal("gpu.bus", "left", Severity.FATAL, Role.FAULT, {Cause.FAULTY_GPU: 3.4, Cause.IO_EXPANSION_BOARD: 2.0}),
    ]
    nic = Component(ComponentKind.NIC, "0000:3a:00.0", "node001")
    events = [
        event("gpu.gone", GPU),
        event("nic.lost", nic, NOON + seconds(9)),
        event("gpu.bus", GPU, NOON + seconds(40)),
    ]
    (incident,) = add_events({}, events, Knowledge(signals), {}, Topology(), Limits(), NOON).incidents.values()

    assert diagnose(incident, Knowledge(signals), Circumstances(), 1, NOON).cause is Cause.IO_EXPANSION_BOARD


@pytest.mark.parametrize(
    ("ended_first", "cause"), [("node001", Cause.DEPENDENCY), ("node009", Cause.NCCL_TIMEOUT_UNKNOWN)]
)
def test_store_that_is_gone_before_any_process_of_the_job_ended_is_a_service_outside_it(ended_first, cause):
    lost = {Cause.NCCL_TIMEOUT_UNKNOWN: 1.3, Cause.DEPENDENCY: 0.8}
    knowledge = Knowledge(
        [
            Signal("torch.store_lost", "the store is gone", Severity.ERROR, Role.SUSPECT, lost),
            Signal("process.exit.error", "ended", Severity.ERROR, Role.SYMPTOM, {Cause.UNKNOWN: 0.3}),
        ]
    )
    rank = Component(ComponentKind.RANK, "3", "node001")
    other = Component(ComponentKind.RANK, "70", ended_first)
    events = [
        event("torch.store_lost", rank, job="llm", trust=Trust.USER),
        event("process.exit.error", other, NOON + seconds(2), job="llm"),
    ]
    (incident,) = add_events({}, events, knowledge, {}, Topology(), Limits(), NOON).incidents.values()

    assert diagnose(incident, knowledge, Circumstances(), 1, NOON).cause is cause


@pytest.mark.parametrize("tested", ["slurm.node.drain_gpu", "node.check_failed"])
def test_gpu_that_fails_a_test_after_the_loss_went_wrong_computed_wrongly(tested: str):
    knowledge = Knowledge([Signal(tested, "a test failed", Severity.ERROR, Role.FAULT, {Cause.FAULTY_GPU: 3.2})])
    (incident,) = add_events(
        {}, [event(tested, "node001")], knowledge, {}, Topology(), Limits(), NOON
    ).incidents.values()

    before, after = (
        diagnose(incident, knowledge, Circumstances(went_wrong=times), 1, NOON)
        for times in ((), (NOON - seconds(4000),))
    )

    assert (before.cause, after.cause) == (Cause.FAULTY_GPU, Cause.SILENT_DATA_CORRUPTION)
    assert after.suspects[0].component == node_component("node001")
    assert "The loss of the job had gone wrong at 10:53:20 UTC" in after.explanation


def test_loss_that_went_wrong_outvotes_no_fault_of_another_part():
    lost = event("gpu.ecc", GPU)

    assert diagnosis_of(lost, went_wrong=(NOON - seconds(4000),)).cause is not Cause.SOFTWARE_BUG
    assert diagnosis_of(event("node.gone", "node001"), went_wrong=(NOON,)).cause is Cause.HOST_MAINTENANCE
