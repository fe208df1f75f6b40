"""The real infiniband-diags ask a fabric that ibsim plays: two hosts, two switches, a real subnet manager."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clusterwatch.clock import SystemClock
from clusterwatch.detect import ObserverState, compile_catalog, notice
from clusterwatch.model import Collected, Event
from clusterwatch.resources import catalog_texts
from clusterwatch.seams import Site
from collectors.fabric import PEER, FabricCollector
from device_tree import DeviceTree
from mortal import mortal

pytestmark = pytest.mark.integration

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
FABRIC = """\
Hca 1 "node1-mlx5_0"
[1] "leaf1"[1]

Hca 1 "node2-mlx5_0"
[1] "leaf1"[2]

Switch 8 "leaf1"
[1] "node1-mlx5_0"[1]
[2] "node2-mlx5_0"[1]
[3] "leaf2"[3]

Switch 8 "leaf2"
[3] "leaf1"[3]
"""
# The name that ibsim gives the adapter of whichever host asks.
DEVICE = "ibsim0"
PORT = f"devices/pci0000:c0/0000:c0:01.1/0000:c1:00.0/infiniband/{DEVICE}/ports/1"


class Fabric:
    """Processes that are a fabric, and a node on it whose collector asks them."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = environment
        self._processes: list[subprocess.Popen[str]] = []
        self.collector = FabricCollector()
        self.position: Mapping[str, object] = {}
        self.now = NOON
        self.tree = DeviceTree(folder / "sys")
        self.tree.link(f"class/infiniband/{DEVICE}", PORT.removesuffix("/ports/1"))
        state = {"state": "4: ACTIVE", "phys_state": "5: LinkUp", "rate": "10 Gb/sec (4X SDR)"}
        self.tree.write(PORT, {**state, "link_layer": "InfiniBand", "counters/symbol_error": 0})

    def start(self) -> None:
        """Return once the port of the node is up."""
        (self._folder / "net").write_text(FABRIC)
        self._start("ibsim", "-s", "net")
        self._until(lambda: "CA type" in self._asked("ibstat"))
        self._start("ibsim-run", "opensm", "-f", str(self._folder / "opensm.log"), "--guid", "0")
        self._until(lambda: "State: Active" in self._asked("ibstat"))

    def port_counts(self, node: str, port: int, symbol_errors: int) -> None:
        """Set a counter of a port and wait until the fabric shows it."""
        self._console(f'PerformanceSet "{node}"[{port}] PortCounters.SymbolErrorCounter={symbol_errors}')
        self._until(lambda: f"SymbolErrorCounter == {symbol_errors}]" in self._asked("ibqueryerrors"))

    def unplug(self, node: str, port: int) -> None:
        self._console(f'Unlink "{node}"[{port}]')
        self._until(lambda: "State: Down" in self._asked("ibstat"))

    def look(self, **settings: object) -> Collected:
        self.now += timedelta(minutes=1)
        told = {"sysfs": str(self.tree.root), "tool_prefix": "ibsim-run", **settings}
        collected = self.collector.collect(Site("node001", "boot-1", told), self.position, self.now)
        self.position = collected.position
        return collected

    def close(self) -> None:
        self.collector.close()
        for process in reversed(self._processes):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if process.stdin is not None:
                process.stdin.close()

    def _start(self, *command: str) -> None:
        nothing = subprocess.DEVNULL
        process = subprocess.Popen(
            mortal(*command),
            cwd=self._folder,
            env=dict(self._environment),
            stdin=subprocess.PIPE,
            stdout=nothing,
            stderr=nothing,
            text=True,
            start_new_session=True,
        )
        self._processes.append(process)

    def _console(self, line: str) -> None:
        console = self._processes[0].stdin
        assert console is not None
        console.write(f"{line}\n")
        console.flush()

    def _asked(self, *words: str) -> str:
        command = ["ibsim-run", *words]
        return subprocess.run(command, env=dict(self._environment), capture_output=True, text=True, timeout=60).stdout

    def _until(self, holds: Callable[[], bool]) -> None:
        clock, never = SystemClock(), threading.Event()
        deadline = clock.monotonic() + 60
        while not holds():
            assert clock.monotonic() < deadline, "the fabric did not come so far in a minute"
            clock.wait(never, 0.1)


@pytest.fixture
def fabric(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fabric]:
    for program in ("ibsim", "ibsim-run", "opensm", "ibqueryerrors"):
        assert shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin"), f"{program}: run tests/debian-packages"
    folders = {name: str(tmp_path) for name in ("OSM_TMP_DIR", "OSM_CACHE_DIR")}
    own = {"IBSIM_SOCKNAME": f"cw{os.getpid()}-{tmp_path.name}", "SIM_HOST": "node1-mlx5_0", **folders}
    for name, value in {**own, "PATH": f"{os.environ['PATH']}:/usr/sbin"}.items():
        monkeypatch.setenv(name, value)
    fabric = Fabric(tmp_path, os.environ)
    try:
        fabric.start()
        yield fabric
    finally:
        fabric.close()


def test_other_end_of_the_link_is_known_with_what_it_counted(fabric: Fabric):
    fabric.port_counts("leaf1", 1, 7)
    fabric.look()

    fabric.port_counts("leaf1", 1, 150)
    peer = _peer(fabric.look())

    assert (peer.fields["peer"], peer.fields["peer_port"], peer.fields["other_end"]) == ("leaf1", 1, f"{DEVICE}/1")
    assert (peer.fields["symbol_error_total"], peer.fields["link_downed_total"]) == (143, 0)


def test_link_with_errors_at_both_ends_gives_an_event_for_each(fabric: Fabric):
    before = fabric.look()
    fabric.port_counts("leaf1", 1, 300)
    fabric.tree.write(PORT, {"counters/symbol_error": 200})

    events = _events(before, fabric.look())

    assert sorted((event.kind, event.component.id) for event in events) == [
        ("fabric.link.symbol_errors", "0000:c1:00.0"),
        ("fabric.peer.symbol_errors", "leaf1/1"),
    ]


def test_sweep_finds_the_bad_link_between_two_switches(fabric: Fabric):
    before = fabric.look(sweep=True)
    fabric.port_counts("leaf2", 3, 500)

    (event,) = _events(before, fabric.look(sweep=True))

    assert (event.kind, event.component.id) == ("fabric.peer.symbol_errors", "leaf2/3")
    assert event.text == "leaf2 port 3, cable to leaf1/3: 500 symbol errors within an hour"


def test_cable_that_was_pulled_leaves_nobody_to_ask(fabric: Fabric):
    before = fabric.look()
    fabric.unplug("node1-mlx5_0", 1)
    unplugged = fabric.look()
    fabric.tree.write(PORT, {"state": "1: DOWN", "phys_state": "2: Polling"})

    events = _events(before, unplugged, fabric.look())

    assert [reading for reading in unplugged.readings if reading.subject == PEER] == []
    assert [event.kind for event in events] == ["fabric.port.down"]


def _peer(collected: Collected):
    (reading,) = (reading for reading in collected.readings if reading.subject == PEER)
    return reading


def _events(*looks: Collected) -> list[Event]:
    readings = [reading for collected in looks for reading in collected.readings]
    return notice(ObserverState(), readings, compile_catalog(catalog_texts()), readings[-1].observed_at)[1]
