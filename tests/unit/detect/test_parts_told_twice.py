"""What two sources tell of one part is one error, and the more exact word decides."""

from dataclasses import replace

import pytest

from clusterwatch.classify import Circumstances, diagnose
from clusterwatch.correlate import Limits, add_events
from clusterwatch.model import BY_ACTOR, OF_INCIDENT, Cause, Component, ComponentKind, Diagnosis, Event, Topology, Trust
from clusterwatch.testing import NOON, event, seconds
from shipped import shipped_log_catalog

KNOWLEDGE = shipped_log_catalog().knowledge
GPU = Component(ComponentKind.GPU, "0000:db:00", "node001")
RANK3 = Component(ComponentKind.RANK, "3", "node001")


def diagnosis_of(*events: Event) -> Diagnosis:
    (incident,) = add_events({}, events, KNOWLEDGE, {}, Topology(), Limits(), NOON).incidents.values()
    return diagnose(incident, KNOWLEDGE, Circumstances(), 1, NOON)


@pytest.mark.parametrize("of_the_gpu", ["kernel.pcie.uncorrected.gpu", "gpu.xid.79", "gpu.lost"])
def test_bus_error_of_the_controller_beside_the_same_error_of_a_gpu_is_the_gpus(of_the_gpu: str):
    found = diagnosis_of(event(of_the_gpu, GPU), event("bmc.slot.error", "node001", NOON + seconds(2)))

    assert found.cause is Cause.FAULTY_GPU
    assert found.suspects[0].component.node == "node001"


def test_bus_error_of_the_controller_alone_is_the_boards():
    assert diagnosis_of(event("bmc.slot.error", "node001")).cause is Cause.IO_EXPANSION_BOARD


def test_address_that_firmware_gives_is_the_gpus_where_the_kernel_names_the_gpu_behind_it():
    slot = Component(ComponentKind.SLOT, "0000:db:00.0", "node001")

    found = diagnosis_of(
        event("kernel.ghes.pcie_device", slot),
        event("kernel.ghes.pcie", "node001"),
        event("kernel.pcie.uncorrected.gpu", GPU, NOON + seconds(1)),
    )

    assert found.cause is Cause.FAULTY_GPU


def test_fatal_error_that_a_port_passes_on_is_the_senders():
    sender = Component(ComponentKind.SLOT, "0000:db:00.0", "node001")
    other = Component(ComponentKind.SLOT, "0000:16:00.0", "node001")
    port = Component(ComponentKind.SLOT, "0000:15:01.0", "node001")
    of_gpu = event("kernel.pcie.uncorrected.gpu", GPU)
    unrecovered = event("kernel.pcie.unrecovered", port, NOON + seconds(1))

    def with_message_of(slot: Component) -> Diagnosis:
        return diagnosis_of(event("kernel.pcie.uncorrected.message", slot), of_gpu, unrecovered)

    assert with_message_of(sender).cause is Cause.FAULTY_GPU
    assert with_message_of(sender).suspects[0].component.node == "node001"
    assert with_message_of(other).cause is Cause.IO_EXPANSION_BOARD


@pytest.mark.parametrize("tested", ["node.check_failed", "slurm.node.drain_gpu"])
def test_gpu_that_computed_what_cannot_be_and_fails_a_test_corrupts_data(tested: str):
    computed = event("training.unexpected_result", RANK3, job="job1")

    found = diagnosis_of(computed, event(tested, "node001", NOON + seconds(200), job="job1"))

    assert found.cause is Cause.SILENT_DATA_CORRUPTION
    assert found.confidence > 0.6


@pytest.mark.parametrize(
    ("found", "cause"),
    [
        (("scan.wrong_answer",), Cause.SILENT_DATA_CORRUPTION),
        (("scan.computation_failed",), Cause.FAULTY_GPU),
        (("collector.failed.silent.nvml", "scan.computation_failed"), Cause.GPU_GSP),
        (("gpu.ecc.uncorrected.dram",), Cause.GPU_HBM),
        (("scan.processor_stuck",), Cause.CPU),
    ],
)
def test_check_that_says_what_failed_is_believed(found: tuple[str, ...], cause: Cause):
    failed = [
        event(kind, "node001", NOON + seconds(number)) for number, kind in enumerate(("node.check_failed", *found))
    ]

    assert diagnosis_of(*failed).cause is cause
    assert diagnosis_of(*failed).confidence > 0.7
    assert diagnosis_of(*failed).suspects[0].component.node == "node001"


def test_node_that_fails_a_check_and_told_of_a_stuck_processor_has_a_broken_processor():
    failed = event("node.check_failed", "node001", NOON + seconds(240), job="job1")

    assert diagnosis_of(event("kernel.lockup.hard", "node001", job="job1"), failed).cause is Cause.CPU
    assert diagnosis_of(event("kernel.lockup.hard", "node002", job="job1"), failed).cause is Cause.FAULTY_GPU


def test_node_that_fails_a_check_behind_a_bad_cable_has_a_bad_cable():
    cable = Component(ComponentKind.LINK, "tor0208/2", "node001")
    hang = event("training.hang", Component(ComponentKind.JOB, "job1"), NOON + seconds(60), job="job1")
    told = event("fabric.peer.symbol_errors", cable, job="job1")
    failed = event("node.check_failed", "node001", NOON + seconds(240), job="job1")

    assert diagnosis_of(hang, told, failed).cause is Cause.NETWORK_SWITCH_CABLE


def test_nodes_of_one_power_domain_that_do_not_answer_a_check_lost_their_power():
    nodes = [f"node{number:03d}" for number in range(1, 5)]
    silent = [event("node.check_failed.no_answer", name, NOON, job="job1") for name in nodes]
    topology = Topology({name: frozenset({"power-7"}) for name in nodes})
    hang = event("training.hang", Component(ComponentKind.JOB, "job1"), NOON - seconds(300), job="job1")

    (incident,) = add_events({}, [hang, *silent], KNOWLEDGE, {}, topology, Limits(), NOON).incidents.values()
    found = diagnose(incident, KNOWLEDGE, Circumstances(topology=topology), 1, NOON)

    assert found.cause is Cause.POWER_SUPPLY
    assert "4 nodes that share power-7" in found.explanation


def test_gpu_that_only_fails_a_test_is_a_faulty_one():
    assert diagnosis_of(event("node.check_failed", "node001")).cause is Cause.FAULTY_GPU


def test_driver_that_does_not_answer_on_one_node_of_a_job_that_hangs_waits_for_the_gpus_system_processor():
    hang = event("training.hang", Component(ComponentKind.JOB, "job1"), NOON, job="job1")
    silence = event("collector.failed.silent.nvml", Component(ComponentKind.SERVICE, "nvml", "node001"), job="job1")
    lost = event("gpu.xid.79", GPU, NOON - seconds(5), job="job1")

    assert diagnosis_of(hang, silence).cause is Cause.GPU_GSP
    assert diagnosis_of(hang, silence).suspects[0].component.node == "node001"
    assert diagnosis_of(hang, lost, silence).cause is Cause.FAULTY_GPU


def test_gpu_that_was_past_its_limit_before_it_was_lost_switched_itself_off():
    hot = event("gpu.too_hot", GPU)
    slowed = event("gpu.thermal_slowdown", GPU)
    lost = [event(kind, GPU, NOON + seconds(12)) for kind in ("gpu.xid.79", "gpu.lost")]

    assert diagnosis_of(hot, slowed, *lost).cause is Cause.GPU_THERMAL
    assert diagnosis_of(*lost, event("gpu.too_hot", GPU, NOON + seconds(30))).cause is Cause.FAULTY_GPU


def test_programs_word_of_a_bad_access_is_no_second_witness_beside_the_drivers():
    driver = event("gpu.xid.31", GPU)
    program = event("cuda.illegal_memory_access", RANK3, NOON + seconds(1))

    assert diagnosis_of(driver, program).confidence <= diagnosis_of(driver).confidence + 0.02


def test_check_that_does_not_say_what_failed_confirms_what_its_node_told_before():
    adapter = Component(ComponentKind.NIC, "0000:2a:00.0", "node001")
    hot = event("kernel.network.hot", adapter, NOON - seconds(500), job="job1")
    hang = event("training.hang", Component(ComponentKind.JOB, "job1"), job="job1")
    failed = event("node.check_failed.out", "node001", NOON + seconds(180))

    assert diagnosis_of(hot, hang, failed).cause is Cause.NIC


def test_check_that_does_not_say_what_failed_leaves_open_which_of_two_parts_it_was():
    missing = event("kernel.pcie.link_down", Component(ComponentKind.SLOT, "101", "node001"), job="job1")
    removed = event("bmc.drive.removed", "node001", NOON + seconds(3), job="job1")
    lost_file = event("python.file_missing", Component(ComponentKind.RANK, "9714", "node001"), NOON, job="job1")

    found = diagnosis_of(missing, removed, lost_file, event("node.check_failed.out", "node001", NOON + seconds(180)))

    assert found.cause is Cause.SSD


@pytest.mark.parametrize(
    ("others", "cause"), [((), Cause.SERVER_CHASSIS), (("bmc.psu.failed",), Cause.POWER_SUPPLY)], ids=["none", "one"]
)
def test_rail_that_fails_while_no_supply_complains_fails_behind_them(others: tuple[str, ...], cause: Cause):
    told = [event(kind, "node001", NOON + seconds(at)) for at, kind in enumerate(("bmc.voltage.main", *others))]
    (incident,) = add_events({}, told, KNOWLEDGE, {}, Topology(), Limits(), NOON).incidents.values()

    assert diagnose(incident, KNOWLEDGE, Circumstances(watched=frozenset({"bmc"})), 1, NOON).cause is cause
    assert diagnose(incident, KNOWLEDGE, Circumstances(), 1, NOON).cause is Cause.POWER_SUPPLY


@pytest.mark.parametrize(
    ("fault", "beside", "cause"),
    [
        ("bmc.cpu.hot", ("bmc.host.off", "slurm.node.not_responding"), Cause.CPU),
        ("bmc.power.unit", ("slurm.node.not_responding",), Cause.POWER_SUPPLY),
        ("gpu.xid.120", ("gpu.xid.154.gpu_reset", "cuda.unknown_error"), Cause.GPU_GSP),
    ],
)
def test_check_that_does_not_say_what_failed_confirms_the_fault_and_not_what_follows_from_it(
    fault: str, beside: tuple[str, ...], cause: Cause
):
    told = [event(kind, "node001", NOON + seconds(at), job="job1") for at, kind in enumerate((fault, *beside))]
    failed = [
        event(kind, "node001", NOON + seconds(180)) for kind in ("node.check_failed.no_answer", "node.check_failed.out")
    ]

    assert diagnosis_of(*told, *failed).cause is cause


def test_check_confirms_also_what_a_clock_that_is_off_puts_long_before_the_stop():
    broken = event("gpu.xid.48.dram", GPU, NOON - seconds(90), job="job1")
    hang = event("training.hang", Component(ComponentKind.JOB, "job1"), NOON + seconds(15), job="job1")
    stopped = add_events({}, [broken, hang], KNOWLEDGE, {}, Topology(), Limits(), NOON).incidents
    failed = event("node.check_failed.out", "node001", NOON + seconds(180), **{OF_INCIDENT: next(iter(stopped))})
    found = add_events(stopped, [replace(failed, source=BY_ACTOR)], KNOWLEDGE, {}, Topology(), Limits(), NOON)
    (incident,) = found.incidents.values()

    assert len(incident.evidence) == 3
    assert diagnose(incident, KNOWLEDGE, Circumstances(outlived_at=NOON), 1, NOON).cause is Cause.GPU_HBM


def test_two_checks_that_do_not_say_what_failed_confirm_what_one_says_and_not_each_other():
    hang = event("training.hang", Component(ComponentKind.JOB, "job1"), job="job1")
    found = [
        event(kind, "node001", NOON + seconds(240), job="job1")
        for kind in ("node.check_failed", "scan.processor_stuck")
    ]
    again = event("node.check_failed.out", "node001", NOON + seconds(280), job="job1")

    assert diagnosis_of(hang, *found, again).cause is Cause.CPU
    assert diagnosis_of(hang, *found, again).confidence > 0.8


def test_error_that_was_corrected_on_one_node_says_nothing_of_another():
    stuck = event("scan.processor_stuck", "node001", NOON + seconds(240), job="job1")
    hang = event("training.hang", Component(ComponentKind.JOB, "job1"), job="job1")
    elsewhere = event("kernel.ghes.corrected", "node002", job="job1")

    assert diagnosis_of(hang, elsewhere, stuck).cause is Cause.CPU


def test_drive_behind_a_cable_that_is_loose_is_not_broken():
    cable = event("bmc.cable", "node001")
    drive = event("bmc.drive.failed", Component(ComponentKind.DISK, "Drive 0", "node001"), NOON + seconds(2))

    assert diagnosis_of(cable, drive).cause is Cause.SERVER_CHASSIS
    assert diagnosis_of(cable, drive).suspects[0].component.kind is not ComponentKind.DISK


def test_fatal_error_that_a_port_passes_on_is_of_the_adapter_that_is_listed_no_more():
    message = event("kernel.pcie.uncorrected.message", Component(ComponentKind.SLOT, "0000:4a:00.0", "node001"))
    unrecovered = event("kernel.pcie.unrecovered", Component(ComponentKind.SLOT, "0000:19:00.0", "node001"))
    lost = event("fabric.device.lost", Component(ComponentKind.NIC, "0000:4a:00.0", "node001"), NOON + seconds(20))

    assert diagnosis_of(message, unrecovered, lost).cause is Cause.NIC
    assert diagnosis_of(message, unrecovered).cause is Cause.IO_EXPANSION_BOARD


def test_port_of_an_adapter_that_died_is_down_because_of_it():
    died = event("nccl.ib_fatal_event", Component(ComponentKind.NIC, "mlx5_7", "node001"), trust=Trust.USER)
    down = event("fabric.port.down", Component(ComponentKind.NIC, "0000:8a:00.0", "node001"), NOON + seconds(10))
    failed = event("node.check_failed.out", "node001", NOON + seconds(180))

    assert diagnosis_of(died, down, failed).cause is Cause.NIC
    assert diagnosis_of(down, failed).cause is Cause.NETWORK_SWITCH_CABLE


@pytest.mark.parametrize("told", ["kernel.oom_kill", "kernel.oom_kill.detail", "host.memory_pressure"])
def test_process_that_was_killed_while_the_kernel_ran_out_of_memory_died_of_that(told: str):
    killed = event("process.exit.sigkill", RANK3, NOON + seconds(2), job="job1")
    watched = Circumstances(watched=frozenset({"kernel_log"}))
    (incident,) = add_events(
        {}, [event(told, "node001"), killed], KNOWLEDGE, {}, Topology(), Limits(), NOON
    ).incidents.values()

    found = diagnose(incident, KNOWLEDGE, watched, 1, NOON)

    assert found.cause is Cause.OOM_HOST
    assert found.confidence > 0.6
    assert not found.absent


def test_link_that_flapped_once_when_the_job_became_slow_kept_nobody_waiting():
    flapped = event("fabric.link.flapped", Component(ComponentKind.NIC, "0000:1a:00.0", "node001"), job="job1")
    damaged = event(
        "pcie.aer.many_corrected.slot", Component(ComponentKind.SLOT, "0000:16:00.0", "node002"), job="job1"
    )
    hang = event("training.hang", Component(ComponentKind.JOB, "job1"), NOON + seconds(200), job="job1")
    (incident,) = add_events({}, [flapped, damaged, hang], KNOWLEDGE, {}, Topology(), Limits(), NOON).incidents.values()

    found = diagnose(incident, KNOWLEDGE, Circumstances(slowed=(NOON,)), 1, NOON)

    assert "node002 told of themselves when the job became slow" in found.explanation
    assert "node001 told of themselves" not in found.explanation
