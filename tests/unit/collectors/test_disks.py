"""The collector over stand-ins that print JSON as smartctl 7.3 and nvme-cli 1.x and 2.x do."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clusterwatch.model import Collected, Scalar
from clusterwatch.seams import Site
from collectors.disks import ARRAY, DISK, NO_DISKS, DiskCollector
from device_tree import DeviceTree

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

NVME_LOG = {
    "critical_warning": 0,
    "temperature": 311,
    "avail_spare": 100,
    "spare_thresh": 10,
    "percent_used": 4,
    "media_errors": 0,
    "num_err_log_entries": 17,
}
SATA = {
    "smartctl": {"version": [7, 3], "exit_status": 0},
    "device": {"name": "/dev/sda", "type": "sat", "protocol": "ATA"},
    "model_name": "SAMSUNG MZ7LH960",
    "serial_number": "S45NNA0N",
    "smart_status": {"passed": True},
    "temperature": {"current": 31},
    "ata_smart_attributes": {
        "table": [
            {"id": 5, "name": "Reallocated_Sector_Ct", "raw": {"value": 2, "string": "2"}},
            {"id": 197, "name": "Current_Pending_Sector", "raw": {"value": 0, "string": "0"}},
            {"id": 241, "name": "Total_LBAs_Written", "raw": {"value": 9, "string": "9"}},
        ]
    },
}
SAS = {
    "device": {"name": "/dev/bus/0", "type": "megaraid,3", "protocol": "SCSI"},
    "scsi_version": "SPC-4",
    "scsi_model_name": "SEAGATE ST2400",
    "serial_number": "WBM0",
    "smart_status": {"passed": True},
    "scsi_grown_defect_list": 1,
    "scsi_error_counter_log": {
        "read": {"total_uncorrected_errors": 3},
        "write": {"total_uncorrected_errors": 0},
    },
}


class Node:
    """A node whose disks a test changes while they are watched."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tree = DeviceTree(folder / "sys")
        self.collector = DiskCollector()
        self.position: dict[str, object] = {}
        self.now = NOON
        self.scans()
        self.program(
            "smartctl", f'#!/bin/sh\ncase "$1" in --scan-open) cat {folder}/scan;; *) cat {folder}/smart;; esac\n'
        )
        self.program("nvme", f"#!/bin/sh\ncat {folder}/nvme-log\n")

    def program(self, name: str, text: str) -> None:
        draft = self.folder / f"{name}.draft"
        draft.write_text(text)
        draft.chmod(0o755)
        draft.replace(self.folder / name)

    def scans(self, *devices: dict[str, str]) -> None:
        (self.folder / "scan").write_text(json.dumps({"devices": devices}))

    def has_disk(self, answer: dict[str, object]) -> None:
        device = answer["device"]
        assert isinstance(device, dict)
        self.scans(device)
        (self.folder / "smart").write_text(json.dumps(answer))

    def has_nvme(self, state: str = "live", **values: object) -> None:
        self.tree.write("class/nvme/nvme0", {"model": "PM9A3  ", "serial": "S64GNE0T", "state": state})
        (self.folder / "nvme-log").write_text(json.dumps({**NVME_LOG, **values}))

    def look(self, boot_id: str = "boot-1", **settings: object) -> Collected:
        self.now += timedelta(minutes=5)
        own = {
            "smartctl": str(self.folder / "smartctl"),
            "nvme": str(self.folder / "nvme"),
            "sysfs": str(self.tree.root),
            "procfs": str(self.folder),
        }
        collected = self.collector.collect(Site("node001", boot_id, {**own, **settings}), self.position, self.now)
        self.position = dict(collected.position)
        return collected

    def sample(self, **settings: object) -> dict[str, Scalar]:
        (reading,) = (reading for reading in self.look(**settings).readings if reading.subject == DISK)
        return dict(reading.fields)


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_nvme_disk_tells_its_health(node: Node):
    node.has_nvme()

    sample = node.sample()

    assert (sample["disk"], sample["model"], sample["serial"], sample["state"]) == (
        "nvme0",
        "PM9A3",
        "S64GNE0T",
        "live",
    )
    assert (sample["critical_warning"], sample["spare_percent"], sample["spare_threshold_percent"]) == (0, 100, 10)
    assert (sample["used_percent"], sample["temperature_celsius"], sample["health_passed"]) == (4, 38, None)


def test_critical_warning_spelled_out_by_newer_versions_is_the_same(node: Node):
    node.has_nvme(critical_warning={"value": 8, "ro": 1}, media_errors="12")

    sample = node.sample()

    assert (sample["critical_warning"], sample["media_errors"]) == (8, 12)


def test_media_errors_count_from_the_first_look(node: Node):
    node.has_nvme(media_errors=40)
    first = node.sample()

    node.has_nvme(media_errors=43)

    assert (first["media_errors_total"], node.sample()["media_errors_total"]) == (0, 3)


def test_disk_that_was_replaced_starts_anew(node: Node):
    node.has_nvme(media_errors=4)
    node.look()

    node.has_nvme(media_errors=9)
    node.tree.write("class/nvme/nvme0", {"serial": "ANOTHER"})

    assert node.sample()["media_errors_total"] == 0


def test_sata_disk_tells_its_sectors(node: Node):
    node.has_disk(SATA)

    sample = node.sample()

    assert (sample["disk"], sample["protocol"], sample["health_passed"]) == ("sda", "ATA", True)
    assert (sample["reallocated_sectors"], sample["pending_sectors"]) == (2, 0)
    assert (sample["media_errors"], sample["critical_warning"]) == (None, None)


def test_disk_behind_a_raid_controller_is_known_by_its_place(node: Node):
    node.has_disk(SAS)

    sample = node.sample()

    assert (sample["disk"], sample["model"]) == ("bus/0 megaraid,3", "SEAGATE ST2400")
    assert (sample["reallocated_sectors"], sample["reported_uncorrectable"]) == (1, 3)


def test_nvme_disk_is_asked_by_smartctl_where_nvme_cli_is_missing(node: Node):
    node.has_nvme()
    log = {"critical_warning": 4, "available_spare": 90, "available_spare_threshold": 5, "percentage_used": 1}
    node.has_disk(
        {
            "device": {"name": "/dev/nvme0", "type": "nvme", "protocol": "NVMe"},
            "smart_status": {"passed": False},
            "nvme_smart_health_information_log": log,
        }
    )

    sample = node.sample(nvme="/no/such/nvme")

    assert (sample["disk"], sample["critical_warning"], sample["health_passed"]) == ("nvme0", 4, None)


def test_nvme_disk_that_nvme_cli_told_of_is_not_asked_again(node: Node):
    node.has_nvme()
    node.scans({"name": "/dev/nvme0", "type": "nvme"}, {"name": "/dev/nvme0n1", "type": "nvme"})

    assert len(node.look().readings) == 1


def test_disk_that_sleeps_is_not_woken_and_says_nothing(node: Node):
    asleep = {"messages": [{"string": "Device is in STANDBY mode, exit(2)", "severity": "information"}]}
    node.has_disk({"device": {"name": "/dev/sda", "type": "sat", "protocol": "ATA"}, "smartctl": asleep})

    collected = node.look()

    assert collected.condition == ""
    assert [reading.fields["health_passed"] for reading in collected.readings] == [None]


def test_disk_that_may_not_be_asked_says_why(node: Node):
    words = "Smartctl open device: /dev/sda failed: Permission denied"
    refused = {"messages": [{"string": words, "severity": "error"}]}
    node.has_disk({"device": {"name": "/dev/sda", "type": "sat"}, "smartctl": refused})

    assert node.look().condition == f"sda: {words}"


def test_disk_that_does_not_answer_is_told_and_hides_no_other(node: Node):
    node.has_nvme()
    node.has_disk(SATA)
    node.program("nvme", "#!/bin/sh\nexec sleep 600\n")

    collected = node.look(answer_within_seconds=0.5)

    assert {reading.fields["disk"]: reading.fields["answers"] for reading in collected.readings} == {
        "nvme0": False,
        "sda": True,
    }
    assert collected.condition.startswith("nvme0 does not answer")


def test_controller_that_hangs_with_all_its_disks_costs_three_waits(node: Node):
    for number in range(5):
        node.tree.write(f"class/nvme/nvme{number}", {"model": "PM9A3", "serial": f"S{number}", "state": "live"})
    node.program("nvme", "#!/bin/sh\nexec sleep 600\n")

    collected = node.look(answer_within_seconds=0.2)

    assert [reading.fields["disk"] for reading in collected.readings] == ["nvme0", "nvme1", "nvme2"]
    assert collected.condition.endswith("nvme4 was not asked: 3 others do not answer")


def test_output_that_is_no_json_gives_no_values(node: Node):
    node.has_nvme()
    (node.folder / "nvme-log").write_text("NVMe status: Invalid Field in Command(0x2)\n")

    assert node.sample()["critical_warning"] is None


def test_arrays_tell_their_members(node: Node):
    (node.folder / "mdstat").write_text(
        "Personalities : [raid1] [raid0]\n"
        "md1 : active raid0 nvme1n1[1] nvme0n1[0]\n"
        "      1953257472 blocks super 1.2 512k chunks\n"
        "\n"
        "md0 : active raid1 sdb1[1](F) sda1[0]\n"
        "      976630464 blocks super 1.2 [2/1] [U_]\n"
        "      [==>..................]  recovery = 12.6% (123/976) finish=70.1min speed=200K/sec\n"
        "\n"
        "unused devices: <none>\n"
    )

    striped, mirrored = (reading.fields for reading in node.look().readings if reading.subject == ARRAY)

    assert (striped["array"], striped["level"], striped["members"], striped["failed"]) == ("md1", "raid0", None, "")
    assert (mirrored["members"], mirrored["members_active"], mirrored["failed"]) == (2, 1, "sdb1")
    assert mirrored["rebuilt_percent"] == 12.6


def test_machine_without_disks_states_it(node: Node):
    assert node.look().condition == NO_DISKS


def test_missing_smartctl_is_stated(node: Node):
    assert node.look(smartctl="/no/such/smartctl").condition == (
        "no /no/such/smartctl here: install smartmontools to watch disks"
    )


def test_disks_that_may_not_be_listed_are_not_said_to_be_missing(node: Node):
    node.program("smartctl", "#!/bin/sh\necho 'sudo: a password is required' >&2; exit 1\n")

    assert node.look().condition == "disks cannot be listed: sudo: a password is required"


def test_disk_that_was_not_asked_is_told_once(node: Node):
    for number in range(4):
        node.tree.write(f"class/nvme/nvme{number}", {"model": "PM9A3"})
    node.scans({"name": "/dev/nvme3n1", "type": "nvme"})
    node.program("nvme", "#!/bin/sh\nexec sleep 600\n")

    condition = node.look(answer_within_seconds=0.2).condition

    assert condition.count("was not asked") == 1
