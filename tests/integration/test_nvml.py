"""The real pynvml in the real child, over a library of our own that stands in for the driver's."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from clusterwatch.errors import SourceError
from clusterwatch.model import Collected, Scalar
from clusterwatch.seams import Site
from collectors.nvml import FIELDS, NvmlCollector

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SOURCE = Path(__file__).parents[1] / "data" / "fake_nvml" / "fake_nvml.c"

pytestmark = pytest.mark.integration

Build = Callable[..., Path]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    def library_dir(*defines: str) -> Path:
        compiler = shutil.which("gcc") or pytest.fail("gcc is missing: apt-get install gcc libc6-dev")
        folder = tmp_path_factory.mktemp("nvml")
        library = folder / "libnvidia-ml.so.1"
        flags = ["-shared", "-fPIC", "-O1", "-Wl,-soname,libnvidia-ml.so.1", *(f"-D{name}" for name in defines)]
        subprocess.run([compiler, *flags, "-o", str(library), str(SOURCE)], check=True)
        return folder

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

    def look(self, deadline_seconds: float = 20, boot_id: str = "boot-1") -> Collected:
        settings = {"library_dir": str(self._library_dir), "deadline_seconds": deadline_seconds}
        collected = self.collector.collect(Site("node001", boot_id, settings), self._position, NOON)
        self._position = dict(collected.position)
        return collected

    def samples(self) -> list[dict[str, Scalar]]:
        return [dict(reading.fields) for reading in self.look().readings]


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


def test_each_gpu_gives_a_sample_with_every_field(machine: Machine):
    machine.becomes(
        "gpus 2",
        "gpu 1 temperature 83",
        "gpu 1 ecc_corrected 5",
        "gpu 1 ecc_uncorrected 2",
        "gpu 1 ecc_aggregate 9",
        "gpu 1 remapped_uncorrectable 1",
        "gpu 1 remap_pending 1",
        "gpu 1 throttle 0x40",
        "gpu 1 links_down 2",
        "gpu 1 link_errors 3",
    )

    first, second = machine.look().readings

    assert set(first.fields) == set(FIELDS)
    assert first.position == "2026-03-01T12:00:00+00:00/GPU-00000000-0000-0000-0000-000000000000"
    assert second.fields == {
        "index": 1,
        "uuid": "GPU-00000001-0000-0000-0000-000000000000",
        "serial": "1650000001",
        "pci": "0000:3c:00.0",
        "name": "NVIDIA H100 80GB HBM3",
        "temperature_celsius": 83,
        "power_watts": 350.5,
        "memory_used_bytes": 60 << 30,
        "memory_total_bytes": 80 << 30,
        "utilization_percent": 97,
        "sm_clock_mhz": 1980,
        "ecc_corrected_total": 5,
        "ecc_uncorrected_total": 2,
        "ecc_uncorrected_aggregate_total": 9,
        "remapped_correctable_rows": 0,
        "remapped_uncorrectable_rows": 1,
        "remap_pending": True,
        "remap_failed": False,
        "throttle_reasons": 0x40,
        "nvlinks_active": 16,
        "nvlinks_total": 18,
        "nvlink_errors_total": 48,
        "lost": False,
        "error": None,
    }


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
    after_a_reboot = machine.look(boot_id="boot-2").readings

    assert (staying["uuid"], staying["lost"]) == ("GPU-00000001-0000-0000-0000-000000000000", False)
    assert (gone["uuid"], gone["lost"]) == ("GPU-00000000-0000-0000-0000-000000000000", True)
    assert [reading.fields["lost"] for reading in after_a_reboot] == [False]


def test_unknown_error_of_a_gpu_never_seen_is_no_proof_of_loss(machine: Machine):
    machine.becomes("gpus 1", "gpu 0 error 999")

    (sample,) = machine.samples()

    assert (sample["lost"], sample["error"]) == (False, "Unknown Error")


def test_what_an_old_driver_lacks_has_no_value(machine_with_old_driver: Machine):
    machine_with_old_driver.becomes("gpus 1", "gpu 0 throttle 4")

    (sample,) = machine_with_old_driver.samples()

    assert sample["remapped_correctable_rows"] is None
    assert sample["remap_pending"] is None
    assert sample["throttle_reasons"] == 4
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

    assert len(machine.look().readings) == 1


def test_driver_that_does_not_match_its_library_is_an_error_with_its_words(machine: Machine):
    machine.becomes("init 18")

    with pytest.raises(SourceError, match="version mismatch"):
        machine.look()
