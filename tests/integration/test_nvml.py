"""The real pynvml in the real child, over a library of our own that stands in for the driver's."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pynvml
import pytest

import fake_nvml
from clusterwatch.errors import SourceError
from clusterwatch.model import Collected, Reading, Scalar
from clusterwatch.seams import Site
from collectors.nvml import COUNT, FIELDS, SAMPLE, XID, NvmlCollector

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
pytestmark = pytest.mark.integration

Build = Callable[..., Path]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    def library_dir(*defines: str) -> Path:
        return fake_nvml.built(tmp_path_factory.mktemp("nvml"), *defines)

    return library_dir


class Machine:
    """A machine whose driver a test changes while it is watched."""

    def __init__(self, state: Path, library_dir: Path, collector: NvmlCollector) -> None:
        self.collector = collector
        self._state = state
        self._library_dir = library_dir
        self._position: dict[str, object] = {}

    def becomes(self, *lines: str) -> None:
        draft = self._state.with_suffix(".draft")
        draft.write_text("".join(f"{line}\n" for line in lines))
        draft.replace(self._state)

    def look(self, deadline_seconds: float = 20, boot_id: str = "boot-1", **more: object) -> Collected:
        settings = {"library_dir": str(self._library_dir), "deadline_seconds": deadline_seconds, **more}
        collected = self.collector.collect(Site("node001", boot_id, settings), self._position, NOON)
        self._position = dict(collected.position)
        return collected

    def samples(self) -> list[dict[str, Scalar]]:
        return [dict(reading.fields) for reading in of(SAMPLE, self.look())]


def of(subject: str, collected: Collected) -> list[Reading]:
    return [reading for reading in collected.readings if reading.subject == subject]


@pytest.fixture
def machine(build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    yield from _machine(build(), tmp_path, monkeypatch)


@pytest.fixture
def machine_with_old_driver(build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    yield from _machine(build("OLD_DRIVER"), tmp_path, monkeypatch)


def _machine(library_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    state = tmp_path / "state"
    monkeypatch.setenv("FAKE_NVML_STATE", str(state))
    collector = NvmlCollector()
    yield Machine(state, library_dir, collector)
    collector.close()


def test_stand_in_has_the_signatures_of_nvidias_header(tmp_path: Path):
    wrong = tmp_path / "wrong.c"
    right = fake_nvml.SOURCE.read_text()
    wrong.write_text(
        right.replace(
            "nvmlDeviceGetRemappedRows(nvmlDevice_t gpu, unsigned int *",
            "nvmlDeviceGetRemappedRows(nvmlDevice_t gpu, int *",
        )
    )

    unknown = tmp_path / "unknown.c"
    unknown.write_text(right + "nvmlReturn_t nvmlDeviceGetHealth(nvmlDevice_t gpu) { return reach(gpu, NULL); }\n")

    assert (fake_nvml.built(tmp_path) / "libnvidia-ml.so.1").exists()
    with pytest.raises(subprocess.CalledProcessError):
        fake_nvml.built(tmp_path, source=unknown)
    with pytest.raises(subprocess.CalledProcessError) as refusal:
        fake_nvml.built(tmp_path, source=wrong)
    assert "conflicting types for" in refusal.value.stderr
    assert "nvmlDeviceGetRemappedRows" in refusal.value.stderr


def test_each_gpu_gives_a_sample_with_every_field(machine: Machine):
    machine.becomes(
        "gpus 2",
        "gpu 1 temperature 83",
        "gpu 1 margin 4",
        f"gpu 1 field {pynvml.NVML_FI_DEV_MEMORY_TEMP} 88",
        f"gpu 1 field {pynvml.NVML_FI_DEV_TEMPERATURE_SHUTDOWN_TLIMIT} -7",
        "gpu 1 ecc_corrected 5",
        "gpu 1 ecc_uncorrected 2",
        "gpu 1 ecc_uncorrected_aggregate 9",
        "gpu 1 ecc_dram_uncorrected 1",
        "gpu 1 ecc_dram_uncorrected_aggregate 6",
        "gpu 1 ecc_sram_uncorrected 1",
        "gpu 1 ecc_sram_corrected 5",
        "gpu 1 ecc_sram_uncorrected_aggregate 3",
        f"gpu 1 field {pynvml.NVML_FI_DEV_ECC_DBE_VOL_L2} 7",
        "gpu 1 sram_parity 1",
        "gpu 1 sram_secded_aggregate 2",
        "gpu 1 sram_sm 3",
        "gpu 1 sram_threshold 1",
        "gpu 1 remapped_uncorrectable 1",
        "gpu 1 remap_pending 1",
        "gpu 1 banks_none 2",
        "gpu 1 retired_dbe 3",
        "gpu 1 retired_pending 1",
        "gpu 1 throttle 0x44",
        "gpu 1 link 4 down",
        "gpu 1 link 11 down",
        f"gpu 1 field {pynvml.NVML_FI_DEV_GET_GPU_RECOVERY_ACTION} 4",
        "gpu 1 fabric_health 0x501",
        "gpu 1 fabric_clique 7",
        "gpu 1 pcie_width 8",
        "gpu 1 pcie_replays 12",
        "gpu 1 process 0 4321",
        "gpu 1 process 1 1234",
    )

    first, second = of(SAMPLE, machine.look())

    assert set(first.fields) == set(FIELDS)
    assert first.position == "2026-03-01T12:00:00+00:00/GPU-00000000-0000-0000-0000-000000000000"
    assert {name: value for name, value in second.fields.items() if value is not None} == {
        "index": 1,
        "uuid": "GPU-00000001-0000-0000-0000-000000000000",
        "serial": "1650000001",
        "pci": "0000:3c:00.0",
        "name": "NVIDIA H100 80GB HBM3",
        "driver_version": "580.95.05",
        "temperature_celsius": 83,
        "temperature_margin_celsius": 4,
        "temperature_margin_at_shutdown_celsius": -7,
        "temperature_max_celsius": 87,
        "temperature_slowdown_celsius": 90,
        "temperature_shutdown_celsius": 95,
        "memory_temperature_celsius": 88,
        "memory_temperature_max_celsius": 95,
        "power_watts": 350.5,
        "power_limit_watts": 700.0,
        "memory_used_bytes": 60 << 30,
        "memory_total_bytes": 80 << 30,
        "utilization_percent": 97,
        "sm_clock_mhz": 1980,
        "sm_clock_max_mhz": 1980,
        "memory_clock_mhz": 2619,
        "throttle_reasons": 0x44,
        "throttle": "software power cap, hardware thermal slowdown",
        "ecc_enabled": True,
        "ecc_corrected_total": 5,
        "ecc_corrected_aggregate_total": 0,
        "ecc_uncorrected_total": 2,
        "ecc_uncorrected_aggregate_total": 9,
        "ecc_dram_corrected_total": 0,
        "ecc_dram_corrected_aggregate_total": 0,
        "ecc_dram_uncorrected_total": 1,
        "ecc_dram_uncorrected_aggregate_total": 6,
        "ecc_sram_corrected_total": 5,
        "ecc_sram_corrected_aggregate_total": 0,
        "ecc_sram_uncorrected_total": 1,
        "ecc_sram_uncorrected_aggregate_total": 3,
        "ecc_l2_cache_uncorrected_total": 7,
        "sram_uncorrected_parity_total": 1,
        "sram_uncorrected_secded_total": 0,
        "sram_uncorrected_parity_aggregate_total": 0,
        "sram_uncorrected_secded_aggregate_total": 2,
        "sram_uncorrected_l2_aggregate_total": 0,
        "sram_uncorrected_sm_aggregate_total": 3,
        "sram_uncorrected_pcie_aggregate_total": 0,
        "sram_uncorrected_mcu_aggregate_total": 0,
        "sram_uncorrected_other_aggregate_total": 0,
        "sram_threshold_exceeded": True,
        "remapped_correctable_rows": 0,
        "remapped_uncorrectable_rows": 1,
        "remap_pending": True,
        "remap_failed": False,
        "remap_banks_max": 638,
        "remap_banks_high": 0,
        "remap_banks_partial": 0,
        "remap_banks_low": 0,
        "remap_banks_none": 2,
        "retired_pages_correctable": 0,
        "retired_pages_uncorrectable": 3,
        "retired_pages_pending": True,
        "nvlinks_active": 16,
        "nvlinks_total": 18,
        "nvlinks_down": "4,11",
        "nvlink_errors_total": 0,
        "nvlink_replays_total": 0,
        "nvlink_crc_errors_total": 0,
        "nvlink_recoveries_total": 0,
        "nvlink_errors_by_link": "",
        "fabric_state": "completed",
        "fabric_status": "ok",
        "fabric_health": "degraded bandwidth, too few NVLinks",
        "fabric_clique": 7,
        "pcie_generation": 5,
        "pcie_generation_max": 5,
        "pcie_width": 8,
        "pcie_width_max": 16,
        "pcie_replays_total": 12,
        "recovery_action": "drain_and_reset",
        "persistence_mode": True,
        "compute_mode": "default",
        "mig_enabled": False,
        "process_count": 2,
        "process_pids": "1234,4321",
        "reset_required": False,
        "lost": False,
    }


def test_errors_of_each_nvlink_are_told_with_their_link(machine: Machine):
    replays, crc = pynvml.NVML_FI_DEV_NVLINK_ERROR_DL_REPLAY, pynvml.NVML_FI_DEV_NVLINK_ERROR_DL_CRC
    recoveries = pynvml.NVML_FI_DEV_NVLINK_COUNT_LINK_RECOVERY_EVENTS
    links = [f"gpu 0 {link}field {crc} {count}" for link, count in [("", 2), ("link 4 ", 5)]]
    others = [f"gpu 0 link {link} field {crc} 0" for link in range(1, 18) if link != 4]
    machine.becomes("gpus 1", *links, *others, f"gpu 0 link 4 field {replays} 3", f"gpu 0 link 9 field {recoveries} 1")

    (sample,) = machine.samples()

    assert sample["nvlink_crc_errors_total"] == 7
    assert sample["nvlink_errors_by_link"] == "0:2 4:8 9:1"
    # Only one link counts these: a sum over links that come and go would rise by itself.
    assert (sample["nvlink_replays_total"], sample["nvlink_recoveries_total"]) == (None, None)


GROUPS = {
    "thresholds": "temperature_slowdown_celsius",
    "power": "power_watts",
    "memory": "memory_used_bytes",
    "utilization": "utilization_percent",
    "clocks": "sm_clock_mhz",
    "ecc": "ecc_uncorrected_total",
    "ecc_locations": "ecc_dram_uncorrected_total",
    "sram": "sram_threshold_exceeded",
    "retired_pages": "retired_pages_pending",
    "pcie": "pcie_width",
    "modes": "persistence_mode",
    "throttle": "throttle_reasons",
    "nvlink": "nvlinks_active",
    "remap": "remap_pending",
    "margin": "temperature_margin_celsius",
    "fabric": "fabric_state",
    "mig": "mig_enabled",
    "processes": "process_count",
    "fields": "recovery_action",
    "serial": "serial",
    "events": "index",
}


def test_group_of_values_that_a_gpu_lacks_takes_no_other_with_it(machine: Machine):
    for group, name in GROUPS.items():
        machine.becomes("gpus 1", f"gpu 0 field {pynvml.NVML_FI_DEV_GET_GPU_RECOVERY_ACTION} 0", f"gpu 0 no_{group} 3")

        (sample,) = machine.samples()

        assert (sample["error"], sample["lost"], sample["temperature_celsius"]) == (None, False, 40), group
        assert (sample[name] is None) == (group != "events"), group


def test_gpu_that_requires_a_reset_says_so_and_is_not_lost(machine: Machine):
    machine.becomes("gpus 2")
    machine.look()

    machine.becomes("gpus 2", "gpu 0 no_memory 16", "gpu 1 error 16")
    first, second = machine.samples()

    assert [(gpu["reset_required"], gpu["lost"]) for gpu in (first, second)] == [(True, False), (True, False)]
    assert (first["error"], first["temperature_celsius"]) == ("GPU requires restart", 40)
    assert (second["pci"], second["temperature_celsius"]) == ("0000:3c:00.0", None)


def test_xids_since_the_last_look_are_told_with_their_gpu(machine: Machine):
    machine.becomes("gpus 2", "xids 1", "xid 0 gpu 0", "xid 0 code 31")
    machine.look()

    machine.becomes("gpus 2", "xids 3", "xid 1 gpu 1", "xid 1 code 79", "xid 2 gpu 0", "xid 2 code 48")
    told = of(XID, machine.look())
    afterwards = of(XID, machine.look())

    assert [(xid.fields["xid"], xid.fields["pci"]) for xid in told] == [(79, "0000:3c:00.0"), (48, "0000:3b:00.0")]
    assert len({xid.position for xid in told}) == 2
    assert afterwards == []


def test_number_of_gpus_is_told_with_those_that_are_gone(machine: Machine):
    machine.becomes("gpus 3")
    machine.look()

    machine.becomes("gpus 2", "gpu 1 error 15")
    (count,) = of(COUNT, machine.look(gpus=3))

    assert count.fields == {"gpus_listed": 2, "gpus_answering": 1, "gpus_known": 3, "gpus_expected": 3}


def test_node_that_should_have_gpus_and_has_no_driver_counts_none(machine: Machine):
    machine.becomes("init 9")

    collected = machine.look(gpus=8)

    assert collected.condition == "no NVIDIA driver here"
    assert [(reading.subject, reading.fields["gpus_answering"]) for reading in collected.readings] == [(COUNT, 0)]


@pytest.mark.parametrize("code", [15, 999])
def test_gpu_that_fell_off_the_bus_is_lost_and_still_has_its_name(machine: Machine, code: int):
    machine.becomes("gpus 2")
    machine.look()

    machine.becomes("gpus 2", f"gpu 1 error {code}")
    healthy, lost = machine.samples()

    assert (healthy["lost"], lost["lost"]) == (False, True)
    assert (lost["uuid"], lost["pci"]) == ("GPU-00000001-0000-0000-0000-000000000000", "0000:3c:00.0")
    assert lost["error"] == {15: "GPU is lost", 999: "Unknown Error"}[code]
    assert lost["temperature_celsius"] is None


def test_gpu_that_is_listed_no_more_is_lost_until_the_node_boots_again(machine: Machine):
    machine.becomes("gpus 2")
    machine.look()

    machine.becomes("gpus 1", "gpu 0 id 1")
    staying, gone = machine.samples()
    after_a_reboot = of(SAMPLE, machine.look(boot_id="boot-2"))

    assert (staying["uuid"], staying["lost"]) == ("GPU-00000001-0000-0000-0000-000000000000", False)
    assert (gone["uuid"], gone["lost"]) == ("GPU-00000000-0000-0000-0000-000000000000", True)
    assert [reading.fields["lost"] for reading in after_a_reboot] == [False]


def test_unknown_error_of_a_gpu_never_seen_is_no_proof_of_loss(machine: Machine):
    machine.becomes("gpus 1", "gpu 0 error 999")

    (sample,) = machine.samples()

    assert (sample["lost"], sample["error"]) == (False, "Unknown Error")


def test_what_an_old_driver_lacks_has_no_value(machine_with_old_driver: Machine):
    machine_with_old_driver.becomes("gpus 1", "gpu 0 throttle 4", "gpu 0 link_replays 3")

    (sample,) = machine_with_old_driver.samples()

    assert sample["remapped_correctable_rows"] is None
    assert sample["remap_pending"] is None
    assert sample["throttle_reasons"] == 4
    assert (sample["nvlink_replays_total"], sample["nvlink_errors_total"]) == (54, 54)
    assert (sample["fabric_state"], sample["recovery_action"], sample["memory_temperature_celsius"]) == (None,) * 3
    assert (sample["temperature_celsius"], sample["lost"], sample["error"]) == (40, False, None)


def test_driver_that_hangs_is_given_up_and_asked_again(machine: Machine):
    machine.becomes("gpus 1")
    machine.look()

    machine.becomes("gpus 1", "hang")
    with pytest.raises(SourceError, match=r"did not answer in 0\.3 s"):
        machine.look(deadline_seconds=0.3)
    machine.becomes("gpus 1")

    assert [sample["lost"] for sample in machine.samples()] == [False]


def test_collector_that_is_closed_leaves_no_child(machine: Machine):
    machine.becomes("gpus 1")
    machine.look()
    before = _nvml_children()

    machine.collector.close()

    assert (len(before), _nvml_children()) == (1, [])


def _nvml_children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "collectors._nvml_child" in child.cmdline()]


def test_library_without_its_driver_is_a_stated_condition(machine: Machine):
    machine.becomes("init 9")

    assert machine.look() == Collected(condition="no NVIDIA driver here")
    assert machine.look() == Collected(condition="no NVIDIA driver here")


def test_driver_that_is_loaded_later_is_seen(machine: Machine):
    machine.becomes("init 9")
    machine.look()

    machine.becomes("gpus 1")

    assert len(of(SAMPLE, machine.look())) == 1


def test_driver_that_does_not_match_its_library_is_an_error_with_its_words(machine: Machine):
    machine.becomes("init 18")

    with pytest.raises(SourceError, match="version mismatch"):
        machine.look()
