"""The real ipmitool asks a BMC that OpenIPMI's ipmi_sim plays over the network: a power supply fails and comes back."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from clusterwatch.clock import SystemClock
from clusterwatch.detect import ObserverState, compile_catalog, notice
from clusterwatch.errors import SourceError
from clusterwatch.model import LINE, Collected, Event
from clusterwatch.resources import catalog_texts
from clusterwatch.seams import Site
from collectors.bmc import SENSOR, BmcCollector
from mortal import mortal

pytestmark = pytest.mark.integration

USER = ("-U", "admin", "-P", "test")
POWER_SUPPLY, FAILURE = "0xc8", 1

# A compact sensor data record: sensor C8h of entity 10.1 (a power supply), type 08h, states 0 to 3, named "PS1 Status".
# IPMI v2.0 specification, revision 1.1, table 43-2.
PS1_STATUS = (
    "0x00 0x00 0x51 0x02 0x25 0x20 0x00 0xc8 0x0a 0x01 0x67 0x40 0x08 0x6f 0x0f 0x00 0x0f 0x00 0x0f 0x00 "
    "0x00 0x00 0x00 0x01 0x00 0x00 0x00 0x00 0x00 0x00 0x00 0xca " + " ".join(hex(letter) for letter in b"PS1 Status")
)
COMMANDS = f"""\
mc_setbmc 0x20
mc_add 0x20 0 has-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr
sel_enable 0x20 1000 0x0a
sensor_add 0x20 0 {POWER_SUPPLY} 0x08 0x6f
sensor_set_bit 0x20 0 {POWER_SUPPLY} 0 1 0
sensor_set_event_support 0x20 0 {POWER_SUPPLY} enable scanning per-state {" ".join(["000000000001111"] * 4)}
main_sdr_add 0x20 {PS1_STATUS}
mc_enable 0x20
"""


class Bmc:
    """A BMC in a process of its own, and the collector that watches it."""

    def __init__(self, folder: Path) -> None:
        self._port = _free_port()
        (folder / "state").mkdir()
        (folder / "lan.conf").write_text(_lan_conf(self._port))
        (folder / "bmc.emu").write_text(COMMANDS)
        command = mortal("ipmi_sim", "-c", "lan.conf", "-f", "bmc.emu", "-s", "state")
        self._process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True
        )
        self.collector = BmcCollector()
        self.position: Mapping[str, object] = {}
        self.pause = timedelta(0)

    @property
    def arguments(self) -> list[str]:
        # Cipher suite 3 is what the simulator speaks; one second and few retries, as it is on this machine.
        return ["-I", "lanplus", "-C", "3", "-N", "1", "-R", "3", "-H", "127.0.0.1", "-p", str(self._port), *USER]

    def asked(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["ipmitool", *self.arguments, *words], capture_output=True, text=True, timeout=60)

    def sensor_bit(self, bit: int, value: int) -> None:
        """Set one state of the power supply, and have the BMC log it."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"sensor_set_bit 0x20 0 {POWER_SUPPLY} {bit} {value} 1\n")
        self._process.stdin.flush()

    def look(self, answer_within_seconds: float = 20) -> Collected:
        # Looks are a second apart for the collector, without anybody waiting for them.
        self.pause += timedelta(seconds=1)
        site = Site("node001", "boot-1", {"arguments": self.arguments, "answer_within_seconds": answer_within_seconds})
        collected = self.collector.collect(site, self.position, SystemClock().now() + self.pause)
        self.position = collected.position
        return collected

    def close(self) -> None:
        self.collector.close()
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()


@pytest.fixture
def bmc(tmp_path: Path) -> Iterator[Bmc]:
    for program in ("ipmi_sim", "ipmitool"):
        assert shutil.which(program), f"{program} is missing: run tests/debian-packages"
    bmc = Bmc(tmp_path)
    yield bmc
    bmc.close()


def test_power_supply_that_fails_and_comes_back(bmc: Bmc):
    bmc.look()

    bmc.sensor_bit(FAILURE, 1)
    failed = _until_logged(bmc)
    bmc.sensor_bit(FAILURE, 0)
    back = _until_logged(bmc)

    (asserted,), (deasserted,) = _lines(failed), _lines(back)
    assert asserted.endswith("| Power Supply PS1 Status | Failure detected | Asserted")
    assert deasserted.endswith("| Power Supply PS1 Status | Failure detected | Deasserted")
    assert [_states(collected) for collected in (failed, back)] == [
        ["Presence detected, Failure detected"],
        ["Presence detected"],
    ]


def test_line_and_sensor_of_a_failed_power_supply_are_events_of_the_same_part(bmc: Bmc):
    before = bmc.look()
    bmc.sensor_bit(FAILURE, 1)

    events = _events(before, _until_logged(bmc), bmc.look())

    assert {event.kind for event in events} == {"bmc.psu.failed", "bmc.sensor.power_supply.failed"}
    assert {str(event.component) for event in events} == {"psu PS1 on node001"}


def test_clock_of_the_bmc_need_not_be_right(bmc: Bmc):
    bmc.look()
    bmc.asked("sel", "time", "set", "01/31/20 10:00:00")

    bmc.sensor_bit(FAILURE, 1)
    collected = _until_logged(bmc)

    (line,) = (reading for reading in collected.readings if reading.subject == LINE)
    assert "01/31/20" in line.text
    assert line.happened_at is not None
    assert timedelta(0) <= line.observed_at - line.happened_at < timedelta(seconds=30)


def test_log_that_was_cleared_is_followed_from_its_beginning(bmc: Bmc):
    bmc.look()
    bmc.sensor_bit(FAILURE, 1)
    _until_logged(bmc)

    bmc.asked("sel", "clear")
    bmc.sensor_bit(FAILURE, 0)

    assert [line.split("|")[-1].strip() for line in _lines(_until_logged(bmc))] == ["Deasserted"]


def test_bmc_that_is_gone_is_an_error(bmc: Bmc):
    bmc.look()
    bmc.close()

    with pytest.raises(SourceError, match="the BMC does not answer"):
        bmc.look(answer_within_seconds=1)


def _until_logged(bmc: Bmc) -> Collected:
    """Look until the log has something new."""
    for _ in _tries():
        collected = bmc.look()
        if _lines(collected):
            return collected
    pytest.fail("the BMC logged nothing")


def _tries() -> Iterator[int]:
    clock, never = SystemClock(), threading.Event()
    deadline = clock.monotonic() + 30
    while clock.monotonic() < deadline:
        yield 1
        clock.wait(never, 0.1)


def _lines(collected: Collected) -> list[str]:
    return [reading.text for reading in collected.readings if reading.subject == LINE]


def _states(collected: Collected) -> list[object]:
    return [reading.fields["states"] for reading in collected.readings if reading.subject == SENSOR]


def _events(*looks: Collected) -> list[Event]:
    readings = [reading for collected in looks for reading in collected.readings]
    return notice(ObserverState(), readings, compile_catalog(catalog_texts()), readings[-1].observed_at)[1]


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _lan_conf(port: int) -> str:
    methods = "none md2 md5 straight"
    allowed = "\n".join(f"    allowed_auths_{level} {methods}" for level in ("callback", "user", "operator", "admin"))
    return f"""\
name "bmc1"
set_working_mc 0x20
  startlan 1
    addr 127.0.0.1 {port}
    priv_limit admin
{allowed}
    guid a123456789abcdefa123456789abcdef
  endlan
  user 1 true "" "test" user 10 {methods}
  user 2 true "admin" "test" admin 10 {methods}
"""
