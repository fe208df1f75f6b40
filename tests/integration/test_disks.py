"""The real smartctl and the real nvme on whatever this machine has."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from clusterwatch.seams import Site
from collectors.disks import ARRAY, DISK, DiskCollector
from device_tree import DeviceTree

pytestmark = pytest.mark.integration

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _tools_are_installed() -> None:
    for program in ("smartctl", "nvme"):
        assert shutil.which(program, path="/usr/sbin:/usr/bin"), f"{program} is missing: run tests/debian-packages"


def test_disks_of_this_machine_are_asked_or_their_absence_is_stated():
    collected = DiskCollector().collect(Site("node001"), {}, NOON)

    assert {reading.subject for reading in collected.readings} <= {DISK, ARRAY}
    assert collected.readings or collected.condition


def test_real_nvme_that_finds_no_such_disk_gives_its_words_and_no_values(tmp_path: Path):
    DeviceTree(tmp_path).write("class/nvme/nvme99", {"model": "PM9A3", "serial": "S64GNE0T", "state": "live"})

    collected = DiskCollector().collect(Site("node001", "boot-1", {"sysfs": str(tmp_path)}), {}, NOON)

    (sample,) = (reading.fields for reading in collected.readings if reading.fields["key"] == "nvme99")
    assert (sample["critical_warning"], sample["media_errors_total"]) == (None, None)
    assert "nvme99: /dev/nvme99: No such file or directory" in collected.condition
