"""Trees as Linux 6 shows them on servers with GPUs: files and links as in the kernel's ABI documents."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clusterwatch.errors import SourceError
from clusterwatch.model import Collected, Scalar
from clusterwatch.seams import Site
from collectors.pcie_edac import DEVICE, MACHINE_CHECKS, MEMORY, NOTHING_HERE, PcieEdacCollector
from device_tree import DeviceTree

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ROOT_PORT = "devices/pci0000:16/0000:16:01.0"
GPU = f"{ROOT_PORT}/0000:17:00.0"
NIC = "devices/pci0000:30/0000:30:01.0/0000:31:00.0"
DISK = "devices/pci0000:30/0000:30:02.0/0000:32:00.0"
MODULE = "devices/system/edac/mc/mc0/dimm3"

H100 = {"class": "0x030200", "vendor": "0x10de", "device": "0x2330", "subsystem_device": "0x16c1"}
CONNECTX7 = {"class": "0x020700", "vendor": "0x15b3", "device": "0x1021", "subsystem_device": "0x0041"}
NVME = {"class": "0x010802", "vendor": "0x144d", "device": "0xa80a", "subsystem_device": "0xa813"}
BRIDGE = {"class": "0x060400", "vendor": "0x8086", "device": "0x352a"}

CORRECTABLE = "RxErr 0\nBadTLP {bad_tlp}\nBadDLLP 0\nRollover 0\nTimeout 0\nNonFatalErr 0\nTOTAL_ERR_COR {bad_tlp}"
FATAL = "Undefined 0\nDLP {dlp}\nSDES 0\nTLP 0\nTOTAL_ERR_FATAL {dlp}"


def link(width: int, speed: str, most_width: int = 16, most_speed: str = "32.0") -> dict[str, str | int]:
    return {
        "current_link_width": width,
        "current_link_speed": f"{speed} GT/s PCIe",
        "max_link_width": most_width,
        "max_link_speed": f"{most_speed} GT/s PCIe",
    }


class Node:
    """A node whose parts a test changes while they are watched."""

    def __init__(self, folder: Path, collector: PcieEdacCollector) -> None:
        self.tree = DeviceTree(folder / "sys")
        self.proc = folder / "proc"
        self.proc.mkdir()
        self.collector = collector
        self.position: dict[str, object] = {}
        self.now = NOON

    def has(self, place: str, *values: dict[str, str | int] | dict[str, str]) -> None:
        entry = f"bus/pci/devices/{place.rpartition('/')[2]}"
        if not (self.tree.root / entry).is_symlink():
            self.tree.link(entry, place)
        for files in values:
            self.tree.write(place, files)

    def counts_interrupts(self, *rows: str) -> None:
        (self.proc / "interrupts").write_text("            CPU0       CPU1\n" + "".join(f"{row}\n" for row in rows))

    def look(self, boot_id: str = "boot-1", **settings: object) -> Collected:
        self.now += timedelta(seconds=30)
        folders = {"sysfs": str(self.tree.root), "procfs": str(self.proc)}
        collected = self.collector.collect(Site("node001", boot_id, {**folders, **settings}), self.position, self.now)
        self.position = dict(collected.position)
        return collected

    def sample(self, key: str, boot_id: str = "boot-1") -> dict[str, Scalar]:
        (found,) = (reading.fields for reading in self.look(boot_id).readings if reading.fields["key"] == key)
        return dict(found)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    collector = PcieEdacCollector()
    yield Node(tmp_path, collector)
    collector.close()


def test_gpu_tells_its_link_and_what_both_ends_could_do(node: Node):
    node.has(ROOT_PORT, BRIDGE, link(16, "2.5", most_speed="16.0"))
    node.has(GPU, H100, link(16, "2.5"))

    sample = node.sample("0000:17:00.0")

    assert (sample["part"], sample["pci"], sample["present"]) == ("gpu", "0000:17:00.0", True)
    assert (sample["width"], sample["speed_gts"]) == (16, 2.5)
    assert (sample["able_width"], sample["able_speed_gts"]) == (16, 16.0)


def test_bridge_names_what_hangs_on_it(node: Node):
    node.has(ROOT_PORT, BRIDGE)
    node.has(GPU, H100)

    sample = node.sample("0000:16:01.0")

    assert (sample["part"], sample["below"], sample["below_parts"]) == ("slot", "0000:17:00.0", "gpu")


def test_parts_have_the_names_that_everybody_uses(node: Node):
    node.has(DISK, NVME, {"nvme/nvme2/model": "PM9A3"})
    node.has(NIC, CONNECTX7, {"net/ibp49s0/flags": "0x1003", "infiniband/mlx5_3/fw_ver": "28.39"})

    names = {reading.fields["part"]: reading.fields["name"] for reading in node.look().readings}

    assert names == {"disk": "nvme2", "nic": "mlx5_3"}


def test_other_devices_and_virtual_functions_are_left_out(node: Node):
    node.has("devices/pci0000:00/0000:00:1f.0", {"class": "0x060100", "vendor": "0x8086"})
    virtual = "devices/pci0000:30/0000:30:01.0/0000:31:00.1"
    node.has(NIC, CONNECTX7)
    node.has(virtual, CONNECTX7)
    node.tree.link(f"{virtual}/physfn", NIC)

    assert [reading.fields["pci"] for reading in node.look().readings] == ["0000:31:00.0"]


def test_link_that_was_wider_before_a_reboot_is_remembered(node: Node):
    node.has(NIC, CONNECTX7, link(16, "32.0"))
    node.look()

    node.has(NIC, link(8, "16.0"))
    sample = node.sample("0000:31:00.0", boot_id="boot-2")

    assert (sample["width"], sample["best_width"]) == (8, 16)
    assert (sample["speed_gts"], sample["best_speed_gts"], sample["narrow_looks"]) == (16.0, 32.0, 1)


def test_another_card_in_the_slot_starts_anew(node: Node):
    node.has(NIC, CONNECTX7, link(16, "32.0"))
    node.look()

    node.has(NIC, {"device": "0x101b"}, link(8, "16.0"))

    assert node.sample("0000:31:00.0", boot_id="boot-2")["best_width"] == 8


@pytest.mark.parametrize(
    "unknown",
    [
        {"current_link_width": 63, "current_link_speed": "Unknown"},
        {"current_link_width": 0, "current_link_speed": "Unknown speed"},
        {"power/runtime_status": "suspended"},
    ],
)
def test_link_that_does_not_answer_or_sleeps_has_no_values(node: Node, unknown: dict[str, str | int]):
    node.has(NIC, CONNECTX7, link(16, "32.0"))
    node.look()

    node.has(NIC, unknown)
    sample = node.sample("0000:31:00.0")

    assert (sample["width"], sample["speed_gts"], sample["narrow_looks"]) == (None, None, 0)


def test_errors_count_from_the_first_look_after_the_boot_and_are_named(node: Node):
    node.has(GPU, H100, {"aer_dev_correctable": CORRECTABLE.format(bad_tlp=40), "aer_dev_fatal": FATAL.format(dlp=0)})
    first = node.sample("0000:17:00.0")

    node.has(GPU, {"aer_dev_correctable": CORRECTABLE.format(bad_tlp=43), "aer_dev_fatal": FATAL.format(dlp=1)})
    second = node.sample("0000:17:00.0")
    after_a_reboot = node.sample("0000:17:00.0", boot_id="boot-2")

    assert (first["correctable_total"], first["fatal_total"], first["new_errors"]) == (0, 0, None)
    assert (second["correctable_total"], second["fatal_total"]) == (3, 1)
    assert second["new_errors"] == "BadTLP, DLP"
    assert (after_a_reboot["correctable_total"], after_a_reboot["is_continuous"]) == (0, False)


def test_names_of_errors_may_hold_spaces_as_in_older_kernels(node: Node):
    node.has(GPU, H100, {"aer_dev_correctable": "Receiver Error 0\nBad TLP 0\nTOTAL_ERR_COR 0"})
    node.look()

    node.has(GPU, {"aer_dev_correctable": "Receiver Error 2\nBad TLP 0\nTOTAL_ERR_COR 2"})

    assert node.sample("0000:17:00.0")["new_errors"] == "Receiver Error"


def test_errors_of_a_device_without_counters_are_not_known(node: Node):
    node.has(GPU, H100)

    assert node.sample("0000:17:00.0")["fatal_total"] is None


def test_counters_that_are_all_zero_take_no_room(node: Node):
    node.has(GPU, H100, {"aer_dev_fatal": FATAL.format(dlp=0)})
    node.look()

    assert node.position["counters"] == {"0000:17:00.0": {"": [1, 0]}}


def test_part_that_left_the_bus_is_told_at_the_second_look(node: Node):
    node.has(GPU, H100)
    node.look()

    node.tree.remove("bus/pci/devices/0000:17:00.0")
    in_a_reset = node.look().readings
    (gone,) = node.look().readings

    assert in_a_reset == ()
    assert (gone.fields["part"], gone.fields["pci"], gone.fields["present"]) == ("gpu", "0000:17:00.0", False)


def test_part_taken_out_before_a_reboot_is_not_missed(node: Node):
    node.has(GPU, H100)
    node.look()
    node.tree.remove("bus/pci/devices/0000:17:00.0")

    assert node.look("boot-2").readings == node.look("boot-2").readings == ()


def test_memory_module_counts_with_its_label(node: Node):
    label = "CPU_SrcID#0_MC#1_Chan#0_DIMM#0"
    files = {"dimm_label": label, "dimm_location": "channel 0 slot 0", "dimm_ce_count": 7, "dimm_ue_count": 0}
    node.tree.write(MODULE, files)
    node.look()

    node.tree.write(MODULE, {"dimm_ce_count": 9, "dimm_ue_count": 1})
    sample = node.sample("mc0/dimm3")

    assert (sample["label"], sample["location"]) == (label, "channel 0 slot 0")
    assert (sample["corrected_total"], sample["uncorrected_total"]) == (2, 1)


def test_counter_of_memory_that_turned_over_counts_on(node: Node):
    node.tree.write(MODULE, {"dimm_label": "A1", "dimm_ce_count": (1 << 32) - 2})
    node.look()

    node.tree.write(MODULE, {"dimm_ce_count": 3})

    assert node.sample("mc0/dimm3")["corrected_total"] == 5


def test_counter_of_memory_that_was_cleared_counts_on(node: Node):
    node.tree.write(MODULE, {"dimm_label": "A1", "dimm_ce_count": 500})
    node.look()

    node.tree.write(MODULE, {"dimm_ce_count": 3})

    assert node.sample("mc0/dimm3")["corrected_total"] == 3


def test_rows_of_older_drivers_are_read_where_there_are_no_modules(node: Node):
    row = "devices/system/edac/mc/mc0/csrow1"
    node.tree.write(row, {"ch0_ce_count": 4, "ch0_dimm_label": "DIMM_B1", "ue_count": 0})

    labels = {reading.fields["key"]: reading.fields["label"] for reading in node.look().readings}

    assert labels == {"mc0/csrow1/ch0": "DIMM_B1", "mc0/csrow1": "mc0/csrow1"}


def test_caches_of_arm_servers_are_read(node: Node):
    node.tree.write("devices/system/edac/cpu_cache/L2_4", {"ce_count": 0, "ue_count": 2})

    (reading,) = node.look().readings

    assert (reading.subject, reading.fields["part"], reading.fields["label"]) == (MEMORY, "cache", "cpu_cache/L2_4")


def test_machine_checks_tell_which_cpu_took_them(node: Node):
    node.counts_interrupts(
        " MCE:          0          0   Machine check exceptions", " MCP:         12         12   Machine check polls"
    )
    node.look()

    node.counts_interrupts(" MCE:          0          1   Machine check exceptions")
    (reading,) = node.look().readings

    assert (reading.subject, reading.fields["exceptions_total"], reading.fields["cpus"]) == (MACHINE_CHECKS, 1, "1")
    assert "deferred_total" not in reading.fields


def test_single_look_tells_what_was_not_corrected_since_the_boot(node: Node):
    node.has(GPU, H100, {"aer_dev_correctable": CORRECTABLE.format(bad_tlp=40), "aer_dev_fatal": FATAL.format(dlp=2)})
    node.tree.write(MODULE, {"dimm_label": "A1", "dimm_ce_count": 500, "dimm_ue_count": 1})

    gpu, module = (reading.fields for reading in node.look(since_boot=True).readings)

    assert (gpu["fatal_total"], gpu["correctable_total"], gpu["new_errors"], gpu["is_new"]) == (2, 0, "DLP", True)
    assert (module["uncorrected_total"], module["corrected_total"]) == (1, 0)
    assert node.look(since_boot=True).readings[0].fields["fatal_total"] == 0


def test_machine_without_any_of_it_states_it(node: Node):
    collected = node.look()

    assert (collected.readings, collected.condition) == ((), NOTHING_HERE)


def test_tree_that_does_not_answer_is_an_error_in_time(tmp_path: Path):
    collector = PcieEdacCollector()

    node = Node(tmp_path, collector)
    node.has(GPU, H100)
    (node.tree.root / GPU / "class").unlink()
    _make_blocking(node.tree.root / GPU / "class")

    with pytest.raises(SourceError, match=r"no answer in 0\.3 s"):
        node.look(answer_within_seconds=0.3)
    collector.close()


def test_this_machine_can_be_looked_at():
    collector = PcieEdacCollector()

    collected = collector.collect(Site("here", "boot-1"), {}, NOON)
    collector.close()

    assert {reading.subject for reading in collected.readings} <= {DEVICE, MEMORY, MACHINE_CHECKS}


def _make_blocking(path: Path) -> None:
    """Make a file whose readers wait for ever: what a dead device does to them."""
    os.mkfifo(path)


def test_cpu_that_goes_offline_gives_its_machine_checks_to_no_other(node: Node):
    (node.proc / "interrupts").write_text("  CPU0 CPU1 CPU2\n MCE: 0 0 5   Machine check exceptions\n")
    node.look()

    (node.proc / "interrupts").write_text("  CPU0 CPU2\n MCE: 0 5   Machine check exceptions\n")
    (reading,) = node.look().readings

    assert (reading.fields["exceptions_total"], reading.fields["cpus"]) == (0, None)
