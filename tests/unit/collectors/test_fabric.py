from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clusterwatch.model import Collected, Scalar
from clusterwatch.seams import Site
from collectors.fabric import NO_DEVICES, PEER, PORT, FabricCollector
from device_tree import DeviceTree

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
PCI = "devices/pci0000:c0/0000:c0:01.1/0000:c1:00.0"
PEERS = """\
#!/bin/sh
case "$*" in
"ibqueryerrors -C mlx5_0"*) echo "no answer of the port" >&2; exit 1;;
ibqueryerrors*) echo "## Summary: 1 nodes checked";;
*nodeinfo*) printf 'NodeType:.........Switch\\nGuid:......0x1\\nLocalPort:.......9\\n';;
*nodedesc*) echo "Node Description:....leaf07";;
esac
"""


class Node:
    """A node whose ports a test changes while they are watched."""

    def __init__(self, tree: DeviceTree, collector: FabricCollector) -> None:
        self.tree = tree
        self.collector = collector
        self.now = NOON
        self.position: dict[str, object] = {}

    def has_port(self, device: str = "mlx5_0", pci: str = PCI, **counters: int) -> None:
        port = f"{pci}/infiniband/{device}/ports/1"
        link = self.tree.root / f"class/infiniband/{device}"
        if not link.is_symlink():
            self.tree.link(f"class/infiniband/{device}", f"{pci}/infiniband/{device}")
        values = {
            "state": "4: ACTIVE",
            "phys_state": "5: LinkUp",
            "rate": "400 Gb/sec (4X NDR)",
            "link_layer": "InfiniBand",
            "counters/symbol_error": counters.get("symbol_error", 0),
            "counters/link_downed": counters.get("link_downed", 0),
            "hw_counters/packet_seq_err": counters.get("packet_seq_err", 0),
        }
        self.tree.write(port, values)

    def port_says(self, device: str = "mlx5_0", pci: str = PCI, **values: str) -> None:
        self.tree.write(f"{pci}/infiniband/{device}/ports/1", values)

    def look(self, boot_id: str = "boot-1", seconds: float = 10, **settings: object) -> Collected:
        self.now += timedelta(seconds=seconds)
        site = Site("node001", boot_id, {"sysfs": str(self.tree.root), "peers": False, **settings})
        collected = self.collector.collect(site, self.position, self.now)
        self.position = dict(collected.position)
        return collected

    def sample(self, **settings: object) -> dict[str, Scalar]:
        (reading,) = self.look(**settings).readings
        assert reading.subject == PORT
        return dict(reading.fields)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    collector = FabricCollector()
    yield Node(DeviceTree(tmp_path / "sys"), collector)
    collector.close()


def test_port_tells_state_rate_and_where_it_is(node: Node):
    node.has_port()

    sample = node.sample()

    assert (sample["device"], sample["port"], sample["pci"]) == ("mlx5_0", 1, "0000:c1:00.0")
    assert (sample["link_layer"], sample["state"], sample["phys_state"]) == ("InfiniBand", "ACTIVE", "LinkUp")
    assert (sample["rate_gbps"], sample["best_rate_gbps"], sample["present"]) == (400.0, 400.0, True)


def test_node_without_rdma_devices_states_it(node: Node):
    assert node.look() == Collected(condition=NO_DEVICES)


def test_counters_count_from_the_first_look_after_the_boot(node: Node):
    node.has_port(symbol_error=500, link_downed=3)

    first = node.sample()
    node.has_port(symbol_error=507, link_downed=4)
    second = node.sample()
    after_a_reboot = node.sample(boot_id="boot-2")

    assert (first["symbol_error_total"], first["link_downed_total"]) == (0, 0)
    assert (second["symbol_error_total"], second["link_downed_total"]) == (7, 1)
    assert (after_a_reboot["symbol_error_total"], after_a_reboot["is_continuous"]) == (0, False)


def test_counter_that_was_cleared_counts_on(node: Node):
    node.has_port(symbol_error=500)
    node.look()

    node.has_port(symbol_error=3)

    assert node.sample()["symbol_error_total"] == 3


def test_counter_at_its_end_says_nothing_and_is_named(node: Node):
    node.has_port(link_downed=254)
    node.look()

    node.has_port(link_downed=255)
    sample = node.sample()

    assert "link_downed_total" not in sample
    assert sample["full_counters"] == "link_downed"


def test_counters_survive_a_restart_of_the_collector_within_one_boot(node: Node):
    node.has_port(packet_seq_err=5)
    node.look()
    node.collector.close()
    node.collector = FabricCollector()

    node.has_port(packet_seq_err=9)
    sample = node.sample()

    assert (sample["packet_seq_err_total"], sample["is_continuous"]) == (4, True)


def test_pause_too_long_to_say_when_is_told(node: Node):
    node.has_port()
    node.look()

    assert node.sample(seconds=3600)["is_continuous"] is False


def test_rate_of_the_past_is_remembered_over_a_reboot(node: Node):
    node.has_port()
    node.look()

    node.port_says(rate="100 Gb/sec (4X EDR)")
    sample = node.sample(boot_id="boot-2")

    assert (sample["rate_gbps"], sample["best_rate_gbps"]) == (100.0, 400.0)


def test_port_that_goes_down_remembers_that_it_was_up(node: Node):
    node.has_port()
    node.look()

    node.port_says(state="1: DOWN", phys_state="2: Polling")
    sample = node.sample()

    assert (sample["state"], sample["phys_state"], sample["seen_active"]) == ("DOWN", "Polling", True)


def test_device_that_is_listed_no_more_is_gone_at_the_second_look(node: Node):
    node.has_port()
    node.look()

    node.tree.remove("class/infiniband/mlx5_0")
    reloading = node.look().readings
    (gone,) = node.look().readings

    assert reloading == ()
    assert (gone.fields["device"], gone.fields["pci"], gone.fields["present"]) == ("mlx5_0", "0000:c1:00.0", False)


def test_device_taken_out_before_a_reboot_is_not_missed(node: Node):
    node.has_port()
    node.look()
    node.tree.remove("class/infiniband/mlx5_0")

    assert node.look(boot_id="boot-2").readings == ()


def test_roce_port_tells_carrier_and_speed_of_its_interface(node: Node):
    node.has_port()
    node.port_says(link_layer="Ethernet")
    node.tree.write(f"{PCI}/infiniband/mlx5_0/ports/1", {"gid_attrs/ndevs/0": "eth2"})
    node.tree.write(
        "class/net/eth2", {"carrier": 1, "speed": 400000, "carrier_changes": (1 << 32) - 1, "flags": "0x1003"}
    )
    node.look()

    node.tree.write("class/net/eth2", {"carrier_changes": 1})
    sample = node.sample()

    assert (sample["netdev"], sample["carrier"], sample["admin_up"]) == ("eth2", True, True)
    assert sample["carrier_changes_total"] == 2


def test_interface_without_rdma_is_watched_where_it_is_asked_for(node: Node):
    node.tree.write("class/net/eth0", {"carrier": 1, "speed": 100000, "carrier_changes": 1, "flags": "0x1003"})

    sample = node.sample(interfaces=["eth0", "missing0"])

    assert (sample["device"], sample["state"], sample["rate_gbps"]) == ("eth0", "ACTIVE", 100.0)


def test_interface_that_does_not_know_its_carrier_has_no_state(node: Node):
    node.tree.write("class/net/eth0", {"speed": -1, "carrier_changes": 1, "flags": "0x1002"})

    sample = node.sample(interfaces=["eth0"])

    assert (sample["state"], sample["carrier"], sample["rate_gbps"]) == (None, None, None)


def test_device_that_hangs_is_told_and_hides_no_other(node: Node):
    node.has_port("mlx5_0")
    node.has_port("mlx5_1", PCI.replace("c1:00", "c2:00"))
    node.look()

    blocking = node.tree.root / f"{PCI}/infiniband/mlx5_0/ports/1/state"
    blocking.unlink()
    _make_blocking(blocking)
    collected = node.look(answer_within_seconds=0.5)

    answers = {reading.fields["device"]: reading.fields["answers"] for reading in collected.readings}
    assert answers == {"mlx5_0": False, "mlx5_1": True}
    assert collected.condition.startswith("mlx5_0 does not answer: no answer in 0.5 s")


def test_device_that_hung_answers_again(node: Node):
    node.has_port()
    node.look()
    blocking = node.tree.root / f"{PCI}/infiniband/mlx5_0/ports/1/state"
    blocking.unlink()
    _make_blocking(blocking)
    node.look(answer_within_seconds=0.5)

    blocking.unlink()
    node.port_says(state="4: ACTIVE")

    assert node.sample()["answers"] is True


def test_missing_diagnostics_are_a_condition_and_no_error(node: Node):
    node.has_port()

    collected = node.look(peers=True, tool_prefix="/no/such/folder/run")

    assert collected.condition == "no /no/such/folder/run here: install infiniband-diags to see the other end of links"
    assert len(collected.readings) == 1


def _make_blocking(path: Path) -> None:
    """Make a file whose readers wait for ever: what a device with dead firmware does to them."""
    os.mkfifo(path)


def test_interface_that_hangs_is_told_and_hides_no_other(node: Node):
    node.has_port()
    for name in ("eth0", "eth1"):
        node.tree.write(f"class/net/{name}", {"carrier": 1, "speed": 100000, "flags": "0x1003"})
    node.look(interfaces=["eth0", "eth1"])

    blocking = node.tree.root / "class/net/eth0/speed"
    blocking.unlink()
    _make_blocking(blocking)
    collected = node.look(interfaces=["eth0", "eth1"], answer_within_seconds=0.5)

    answers = {reading.fields["device"]: reading.fields["answers"] for reading in collected.readings}
    assert answers == {"mlx5_0": True, "eth0": False, "eth1": True}


def test_other_end_that_is_silent_hides_no_other(node: Node, tmp_path: Path):
    node.has_port("mlx5_0")
    node.has_port("mlx5_1", PCI.replace("c1:00", "c2:00"))
    tools = tmp_path / "tools"
    tools.write_text(PEERS)
    tools.chmod(0o755)

    collected = node.look(peers=True, tool_prefix=str(tools))

    assert [reading.text for reading in collected.readings if reading.subject == PEER] == [
        "leaf07 port 9, cable to mlx5_1/1"
    ]
    assert collected.condition == "the fabric was not asked: mlx5_0 port 1: ibqueryerrors: no answer of the port"


def test_far_end_that_was_silent_for_long_gives_no_time_to_what_it_counted(node: Node, tmp_path: Path):
    node.has_port("mlx5_1")
    tools = tmp_path / "tools"

    def is_watched(script: str) -> list[Scalar]:
        tools.write_text(script)
        tools.chmod(0o755)
        readings = node.look(seconds=60, peers=True, tool_prefix=str(tools)).readings
        return [reading.fields["is_continuous"] for reading in readings if reading.subject == PEER]

    answering = [is_watched(PEERS), is_watched(PEERS)]
    silent = [is_watched("#!/bin/sh\nexit 1\n") for _ in range(12)]
    again = [is_watched(PEERS), is_watched(PEERS)]

    assert (answering, silent, again) == ([[False], [True]], [[]] * 12, [[False], [True]])
