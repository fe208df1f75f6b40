"""One chosen fault at a time, on a fleet of one job."""

from datetime import UTC, datetime, timedelta

import pytest

from clusterwatch.model import Reading, kinds
from simulators.fleet import REPAIR_SECONDS, Fleet
from simulators.schedule import FAULT_KINDS, Fault, FaultKind, Harm
from simulators.spec import JobSpec

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
NODES = ("node001", "node002", "node003")
SPEC = JobSpec("job", "pretrain", "ada", 2, 5000, "megatron", 3.0, "iter_{step:07d}", "megatron")
BY_NAME = {kind.name: kind for kind in FAULT_KINDS}
ON_NODE001 = 0.1


def fleet_with(kind: FaultKind, seed: int = 3, after_seconds: float = 120.0) -> Fleet:
    quiet = Fault("never", BY_NAME["corrected_memory"], 1e9, 0.0, 0)
    fleet = Fleet(NODES, (SPEC,), iter((Fault("fault-1", kind, after_seconds, ON_NODE001, seed), quiet)), seed=1)
    fleet.begin(NOON)
    return fleet


def readings_until(fleet: Fleet, seconds: float) -> list[Reading]:
    now = NOON + timedelta(seconds=seconds)
    fleet.advance(now)
    return list(fleet.readings(now))


def lines(readings: list[Reading], source: str) -> list[str]:
    return [reading.text for reading in readings if reading.source == source and reading.subject == "line"]


def of(readings: list[Reading], subject: str) -> list[Reading]:
    return [reading for reading in readings if reading.subject == subject]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gpu_fell_off_bus", ["): 79,"]),
        ("hbm_uncorrectable", ["): 48,", "): 63,", "): 94,"]),
        ("nvlink_error", ["): 74,"]),
        ("gsp_timeout", ["): 119,"]),
        ("link_down", ["Link down"]),
        ("host_oom", ["oom-kill:", "Killed process"]),
        ("crash_with_xid43", ["): 43,"]),
        ("corrected_memory", ["EDAC MC"]),
        ("link_flap", ["Link down", "Link up"]),
        ("foreign_xid13", ["): 13,"]),
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_fault_puts_its_lines_into_the_kernel_log_of_its_node(name: str, words: list[str], seed: int):
    fleet = fleet_with(BY_NAME[name], seed)

    readings = readings_until(fleet, 180)

    kernel_log = "\n".join(lines(readings, "kernel_log"))
    assert [word for word in words if word not in kernel_log] == []
    assert {reading.node for reading in readings if reading.source == "kernel_log"} == {"node001"}


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("gpu_fell_off_bus", "Watchdog caught collective operation timeout"),
        ("link_down", "NCCL WARN NET/IB"),
        ("host_oom", "traceback : Signal 9 (SIGKILL) received by PID"),
        ("python_exception", "Traceback (most recent call last):"),
        ("crash_with_xid43", "device-side assert triggered"),
        ("preemption", "DUE TO PREEMPTION"),
    ],
)
def test_fault_puts_its_lines_into_the_log_of_the_job(name: str, word: str):
    fleet = fleet_with(BY_NAME[name])

    readings = readings_until(fleet, 180)

    assert word in "\n".join(lines(readings, "job_log"))


@pytest.mark.parametrize("kind", [kind for kind in FAULT_KINDS if kind.harm is Harm.CRASH], ids=lambda kind: kind.name)
def test_crash_ends_the_attempt_and_the_job_waits(kind: FaultKind):
    fleet = fleet_with(kind)

    before, after = readings_until(fleet, 180), readings_until(fleet, 600)

    assert [reading.fields["exit_code"] for reading in of(before, kinds.PROCESS_EXITED)] == [kind.exit_code]
    assert len(of(before, kinds.ATTEMPT_ENDED)) == 1
    assert after == []


def test_silent_hang_says_nothing_and_ends_nothing():
    fleet = fleet_with(BY_NAME["silent_hang"])
    readings_until(fleet, 121)

    assert readings_until(fleet, 900) == []
    assert fleet.jobs["job"].is_alive


@pytest.mark.parametrize("kind", [kind for kind in FAULT_KINDS if kind.harm is Harm.NONE], ids=lambda kind: kind.name)
def test_harmless_fault_stops_nobody(kind: FaultKind):
    fleet = fleet_with(kind)

    readings = readings_until(fleet, 300)

    assert of(readings, kinds.ATTEMPT_ENDED) == []
    assert fleet.jobs["job"].step > 80


def test_no_reading_says_what_is_the_matter():
    fleet = fleet_with(BY_NAME["gpu_fell_off_bus"])

    readings = readings_until(fleet, 180)

    said = "\n".join(f"{reading.text} {dict(reading.fields)}" for reading in readings)
    assert "gpu_fell_off_bus" not in said
    assert "faulty_gpu" not in said
    assert fleet.truth == {"fault-1": "faulty_gpu"}


def test_broken_part_strikes_again_when_its_node_is_kept():
    fleet = fleet_with(BY_NAME["gpu_fell_off_bus"])
    readings_until(fleet, 180)

    fleet.requeue(fleet.jobs["job"], 20, NOON + timedelta(seconds=180))
    readings = readings_until(fleet, 300)

    assert fleet.truth == {"fault-1": "faulty_gpu", "fault-1.2": "faulty_gpu"}
    assert len(of(readings, kinds.ATTEMPT_ENDED)) == 1


def test_broken_part_does_not_strike_again_when_its_node_is_excluded():
    fleet = fleet_with(BY_NAME["gpu_fell_off_bus"])
    readings_until(fleet, 180)

    fleet.withdraw("node001", NOON + timedelta(seconds=180))
    fleet.requeue(fleet.jobs["job"], 20, NOON + timedelta(seconds=180))
    readings = readings_until(fleet, 1800)

    assert fleet.truth == {"fault-1": "faulty_gpu"}
    assert of(readings, kinds.ATTEMPT_ENDED) == []
    assert of(readings, kinds.ATTEMPT_STARTED)[0].fields["nodes"] == "node002,node003"


def test_node_out_of_service_is_repaired_and_becomes_a_spare():
    fleet = fleet_with(BY_NAME["gpu_fell_off_bus"])
    readings_until(fleet, 180)
    fleet.withdraw("node001", NOON + timedelta(seconds=180))
    fleet.requeue(fleet.jobs["job"], 20, NOON + timedelta(seconds=180))
    was_healthy = fleet.is_healthy("node001")

    readings_until(fleet, 180 + REPAIR_SECONDS)
    fleet.withdraw("node002", NOON + timedelta(seconds=800))
    fleet.requeue(fleet.jobs["job"], 20, NOON + timedelta(seconds=800))

    assert not was_healthy
    assert fleet.is_healthy("node001")
    assert fleet.jobs["job"].nodes == ["node003", "node001"]


def test_fault_that_comes_while_the_job_starts_strikes_once_it_trains():
    fleet = fleet_with(BY_NAME["nvlink_error"], after_seconds=6.0)

    readings = readings_until(fleet, 120)

    assert len(of(readings, kinds.ATTEMPT_ENDED)) == 1
    assert fleet.truth == {"fault-1": "gpu_nvlink", "fault-1.2": "gpu_nvlink"}
