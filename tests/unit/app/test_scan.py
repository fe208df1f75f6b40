"""A scan with sources of our own: what comes of each, and that none keeps the others from being heard."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from clusterwatch import detect, resources
from clusterwatch.app.scan import Probe, probes_of, scan
from clusterwatch.app.scan_report import Report, State
from clusterwatch.clock import SystemClock
from clusterwatch.config import Settings
from clusterwatch.detect import Catalog
from clusterwatch.errors import SourceError
from clusterwatch.model import Collected, Reading, Scalar
from clusterwatch.seams import Site
from collectors.kernel_log import KernelLogCollector

Reported = Callable[..., Report]
States = Callable[..., dict[str, State]]

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path / "state", node="node001")


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return detect.compile_catalog(resources.catalog_texts())


@pytest.fixture
def report_of(catalog: Catalog, settings: Settings) -> Callable[..., Report]:
    def report(*probes: Probe, seconds: float = 30, **more: Any) -> Report:
        return scan(settings, SystemClock(), seconds, probes, catalog=catalog, **more)

    return report


@pytest.fixture
def states(report_of: Callable[..., Report]) -> Callable[..., dict[str, State]]:
    return lambda *probes: {check.name: check.state for check in report_of(*probes).checks}


def reading(subject: str, text: str = "", **values: Scalar) -> Reading:
    return Reading(
        source="nvml", node="node001", position=subject, observed_at=NOON, subject=subject, text=text, fields=values
    )


def sees(name: str, *readings: Reading, condition: str = "") -> Probe:
    return Probe(name, 10, lambda now, seconds: Collected(readings, condition=condition))


def raises(name: str, error: Exception) -> Probe:
    def look(now: datetime, seconds: float) -> Collected:
        raise error

    return Probe(name, 10, look)


def test_each_source_is_judged_by_what_its_events_mean(states: States):
    healthy = {"index": 0, "pci": "0000:3b:00.0", "lost": False}

    found = states(
        sees("well", reading("gpu.sample", **healthy)),
        sees("lost", reading("gpu.sample", **{**healthy, "lost": True})),
        sees("waiting", reading("gpu.sample", **{**healthy, "remap_pending": True})),
        sees("elsewhere", condition="no NVIDIA driver here"),
        sees("wrong", reading("scan.wrong_answer", "GPU 0: wrong result of float32", pci="0000:3b:00.0")),
    )

    assert found == {
        "well": State.OK,
        "lost": State.FAILED,
        "waiting": State.WARNING,
        "elsewhere": State.NOT_HERE,
        "wrong": State.FAILED,
    }


def test_one_look_tells_what_was_counted_since_the_driver_started(report_of: Reported):
    sample = {"index": 0, "pci": "0000:3b:00.0", "ecc_dram_uncorrected_total": 2, "nvlink_replays_total": 5000}

    (check,) = report_of(sees("nvml", reading("gpu.sample", **sample))).checks

    assert (check.state, check.kind) == (State.FAILED, "gpu.ecc.uncorrected.dram")
    assert "0 -> 2" in check.what


def test_what_was_seen_can_be_recorded_with_the_part_that_it_speaks_of(report_of: Reported):
    wrong = reading("scan.wrong_answer", "GPU 0: wrong result of float32", pci="0000:3b:00.0")

    (event,) = report_of(sees("known_answers", wrong)).events

    assert (event.kind, str(event.component)) == ("scan.wrong_answer", "gpu 0000:3b:00 on node001")


def test_number_of_gpus_stands_where_all_is_well(report_of: Reported):
    count = reading("gpu.count", "8 of 8 GPUs answer", gpus_answering=8, gpus_expected=8)

    (check,) = report_of(sees("nvml", count)).checks

    assert (check.state, check.what) == (State.OK, "8 of 8 GPUs answer")


def test_missing_driver_is_a_fault_where_gpus_should_be(states: States):
    count = reading("gpu.count", "", gpus_answering=0, gpus_expected=8)

    assert states(sees("nvml", count, condition="no NVIDIA driver here")) == {"nvml": State.FAILED}


def test_source_that_refuses_has_failed_and_stops_no_other(states: States):
    found = states(raises("nvml", SourceError("the driver did not answer")), sees("host"))

    assert found == {"nvml": State.FAILED, "host": State.OK}


def test_source_that_only_root_may_read_is_a_warning(report_of: Reported):
    refusal = SourceError("/dev/kmsg cannot be read")
    refusal.__cause__ = PermissionError()

    (check,) = report_of(raises("kernel_log", refusal)).checks

    assert (check.state, check.next_step) == (State.WARNING, "run the scan as root")


def test_source_that_hangs_has_failed_at_the_deadline_and_the_others_are_heard(report_of: Reported):
    never = threading.Event()
    hanging = Probe("nvml", 10, lambda now, seconds: Collected(condition=str(never.wait(60))))
    told: list[tuple[str, State, int, int]] = []

    report = report_of(hanging, sees("host"), seconds=0.3, tell=lambda *each: told.append(each))
    never.set()

    assert [(check.name, check.state) for check in report.checks] == [("host", State.OK), ("nvml", State.FAILED)]
    assert "no answer within 0.3 s" in report.checks[1].what
    assert told == [("host", State.OK, 1, 2), ("nvml", State.FAILED, 2, 2)]
    assert report.seconds < 10


def test_check_that_is_to_be_left_out_is(settings: Settings, catalog: Catalog):
    without = settings.model_copy(update={"scan": settings.scan.model_copy(update={"skip": ("nvml",)})})
    probes = [raises("nvml", SourceError("no")), sees("host")]

    report = scan(without, SystemClock(), 30, probes, catalog=catalog)

    assert [(check.name, check.state) for check in report.checks] == [("host", State.OK)]


def test_collectors_that_declare_it_are_looked_at_and_others_are_not(settings: Settings):
    names = {probe.name for probe in probes_of(settings)[0]}

    assert {"nvml", "host", "kernel_log", "known_answers", "dcgm"} <= names
    assert names.isdisjoint({"job_log", "process", "checkpoints"})


def test_what_is_switched_off_is_not_looked_at(tmp_path: Path):
    off = {"enabled": False}
    settings = Settings(state_dir=tmp_path, collectors={"nvml": off}, scan={"compute": "off", "dcgmi": ""})

    assert {probe.name for probe in probes_of(settings)[0]}.isdisjoint({"nvml", "known_answers", "dcgm"})


def test_kernel_log_is_read_as_far_back_as_the_scan_is_told(tmp_path: Path, catalog: Catalog):
    log = tmp_path / "kmsg"
    log.write_text(
        "".join(f"2,{n},{n},-;NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.\n" for n in range(3))
    )
    collectors = {"kernel_log": {"path": str(log), "mode": "file"}}
    settings = Settings(state_dir=tmp_path, node="node001", collectors=collectors, scan={"kernel_log_seconds": 10**9})
    probes = [probe for probe in probes_of(settings)[0] if probe.name == KernelLogCollector.name]

    (check,) = scan(settings, SystemClock(), 30, probes, catalog=catalog).checks

    assert (check.state, check.kind, check.count) == (State.FAILED, "gpu.xid.79", 3)
    assert Site("node001").node in check.component


def test_what_could_not_be_looked_at_stands_beside_what_is_well(report_of: Reported):
    (check,) = report_of(
        sees("disks", reading("disk.sample", key="nvme0"), condition="nvme0: Permission denied")
    ).checks

    assert (check.state, check.what) == (State.OK, "nothing wrong in 1 readings, but nvme0: Permission denied")


def test_source_that_hangs_is_closed_at_the_deadline(report_of: Reported):
    closed = threading.Event()
    hanging = Probe("bmc", 10, lambda now, seconds: Collected(condition=str(closed.wait(60))), closed.set)

    report_of(hanging, seconds=0.3)

    assert closed.is_set()


def test_source_that_cannot_be_closed_stops_no_other(states: States):
    def refuse() -> None:
        raise OSError("busy")

    stubborn = Probe("nvml", 10, lambda now, seconds: Collected((reading("gpu.count"),)), refuse)

    assert states(stubborn, sees("host")) == {"nvml": State.OK, "host": State.OK}
