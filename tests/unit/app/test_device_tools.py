from pathlib import Path

import pytest

from clusterwatch.app import device_tools
from clusterwatch.app.findings import Finding, State, Surroundings
from clusterwatch.clock import SystemClock
from clusterwatch.config import CollectorSettings, Settings


def found(root: Path, **collectors: CollectorSettings) -> list[Finding]:
    return list(device_tools.findings(Surroundings(Settings(collectors=collectors), None, SystemClock(), root)))


@pytest.fixture
def without_programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


@pytest.mark.usefixtures("without_programs")
@pytest.mark.parametrize(
    ("device", "program", "package"),
    [
        ("dev/ipmi0", "ipmitool", "ipmitool"),
        ("sys/block/sda", "smartctl", "smartmontools"),
        ("sys/class/nvme/nvme0", "nvme", "nvme-cli"),
        ("sys/class/infiniband/mlx5_0", "ibqueryerrors", "infiniband-diags"),
    ],
)
def test_program_that_is_missing_for_a_device_is_named_with_its_package(
    tmp_path: Path, device: str, program: str, package: str
):
    (tmp_path / device).mkdir(parents=True)

    (finding,) = found(tmp_path)

    assert (finding.state, finding.next_step) == (State.NOTE, f"apt-get install {package}")
    assert finding.what.startswith(f"no {program}: ")


@pytest.mark.usefixtures("without_programs")
def test_nothing_is_missed_without_devices(tmp_path: Path):
    assert [finding.state for finding in found(tmp_path)] == [State.OK]


@pytest.mark.usefixtures("without_programs")
def test_collector_that_is_switched_off_misses_nothing(tmp_path: Path):
    (tmp_path / "dev/ipmi0").mkdir(parents=True)

    assert [finding.state for finding in found(tmp_path, bmc=CollectorSettings(enabled=False))] == [State.OK]


@pytest.mark.usefixtures("without_programs")
def test_program_where_services_do_not_look_is_there(tmp_path: Path):
    (tmp_path / "dev/ipmi0").mkdir(parents=True)
    (tmp_path / "usr/sbin").mkdir(parents=True)
    (tmp_path / "usr/sbin/ipmitool").touch()

    assert [finding.state for finding in found(tmp_path)] == [State.OK]


def test_bmc_without_its_driver_is_told_with_the_command_that_loads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "sys/firmware/dmi/entries/38-0").mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/ipmitool"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    (finding,) = found(tmp_path)

    assert (finding.state, finding.next_step) == (State.NOTE, "modprobe ipmi_si ipmi_devintf")
