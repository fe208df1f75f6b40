"""From a driver that changes its mind to a diagnosis: collector, detection, incident and cause, in one line."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pynvml
import pytest

import fake_nvml
from clusterwatch import detect, pipeline, resources
from clusterwatch.model import Cause, Diagnosis, World
from clusterwatch.seams import Site
from collectors.nvml import NvmlCollector

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TEN_SECONDS = timedelta(seconds=10)
LIMITS = pipeline.Limits()
HEALTHY = ("gpus 2",)

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def library_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fake_nvml.built(tmp_path_factory.mktemp("nvml"))


@pytest.fixture(scope="module")
def catalog() -> detect.Catalog:
    return detect.compile_catalog(resources.catalog_texts())


class Node:
    """A node whose driver a test lets say something, look by look, and what is concluded from it."""

    def __init__(self, state: Path, library_dir: Path, catalog: detect.Catalog) -> None:
        self.collector = NvmlCollector()
        self._state, self._catalog = state, catalog
        self._settings = {"library_dir": str(library_dir), "deadline_seconds": 20}
        self._position: dict[str, object] = {}
        self._observer = detect.ObserverState()
        self._world = World(watching_since=NOON)
        self._now = NOON
        self.diagnoses: list[Diagnosis] = []

    def says(self, *lines: str, boot_id: str = "boot-1") -> None:
        self._state.write_text("".join(f"{line}\n" for line in lines))
        site = Site("node001", boot_id, self._settings)
        self._now += TEN_SECONDS
        collected = self.collector.collect(site, self._position, self._now)
        self._position = dict(collected.position)
        self._observer, events, _ = pipeline.observe(self._observer, collected.readings, self._catalog, self._now)
        for later in (timedelta(), timedelta(minutes=2)):
            turn = pipeline.respond(self._world, events, self._catalog.knowledge, LIMITS, self._now + later)
            self._world, events = turn.world, []
            self.diagnoses += turn.changes.diagnoses


@pytest.fixture
def node(tmp_path: Path, library_dir: Path, catalog: detect.Catalog, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    monkeypatch.setenv("FAKE_NVML_STATE", str(tmp_path / "state"))
    watched = Node(tmp_path / "state", library_dir, catalog)
    yield watched
    watched.collector.close()


@pytest.mark.parametrize(
    ("lines", "cause"),
    [
        (("gpu 1 ecc_dram_uncorrected 1", "gpu 1 ecc_uncorrected 1"), Cause.GPU_HBM),
        (("gpu 1 ecc_sram_uncorrected 1", "gpu 1 ecc_uncorrected 1"), Cause.GPU_SRAM),
        (("gpu 1 sram_threshold 1",), Cause.GPU_SRAM),
        (("gpu 1 remap_failed 1",), Cause.GPU_HBM),
        (("gpu 1 error 15",), Cause.FAULTY_GPU),
        (("gpu 1 link 4 down",), Cause.GPU_NVLINK),
        (("gpu 1 fabric_health 1",), Cause.GPU_NVLINK),
        (("xids 1", "xid 0 gpu 1", "xid 0 code 79"), Cause.FAULTY_GPU),
        (
            (
                f"gpu 1 field {pynvml.NVML_FI_DEV_GET_GPU_RECOVERY_ACTION} 1",
                "gpu 1 ecc_dram_uncorrected 1",
                "gpu 1 ecc_uncorrected 1",
                "gpu 1 remap_pending 1",
            ),
            Cause.GPU_HBM,
        ),
    ],
)
def test_fault_that_nvml_shows_is_diagnosed_on_its_gpu(node: Node, lines: tuple[str, ...], cause: Cause):
    node.says(*HEALTHY)

    node.says(*HEALTHY, *lines)

    diagnosis = node.diagnoses[-1]
    assert diagnosis.cause is cause
    assert str(diagnosis.suspects[0].component) == "gpu 0000:3c:00 on node001"


def test_gpu_that_a_reboot_did_not_bring_back_is_a_fault_of_its_node(node: Node):
    node.says("gpus 2")

    node.says("gpus 1", boot_id="boot-2")

    assert node.diagnoses[-1].cause is Cause.FAULTY_GPU
    assert str(node.diagnoses[-1].suspects[0].component) == "node node001"


@pytest.mark.parametrize(
    "lines",
    [
        (),
        ("gpu 1 throttle 0x4",),
        ("gpu 1 ecc_corrected 3",),
        ("gpu 1 link_replays 2", "gpu 1 pcie_replays 7"),
        ("gpu 1 no_remap 3", "gpu 1 no_sram 4", "gpu 1 no_nvlink 3", "gpu 1 no_fabric 13", "gpu 1 no_fields 3"),
        ("gpu 1 remapped_correctable 1",),
    ],
)
def test_gpu_that_works_as_gpus_do_gives_no_diagnosis(node: Node, lines: tuple[str, ...]):
    node.says(*HEALTHY)

    node.says(*HEALTHY, *lines)
    node.says(*HEALTHY)

    assert node.diagnoses == []


def test_driver_that_was_loaded_anew_with_the_boot_counts_from_zero(node: Node):
    node.says(*HEALTHY, "gpu 0 ecc_corrected 90000", "gpu 0 pcie_replays 5000", "gpu 0 link_replays 900")

    node.says(*HEALTHY, boot_id="boot-2")
    node.says(*HEALTHY, "gpu 0 ecc_corrected 10", "gpu 0 pcie_replays 10", boot_id="boot-2")

    assert node.diagnoses == []
