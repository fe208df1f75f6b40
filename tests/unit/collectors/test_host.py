from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from clusterwatch.model import Collected, Reading
from clusterwatch.seams import Site
from collectors.host import CLOCK_STEP, MOUNT, REBOOTED, SAMPLE, HostCollector

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
BOOTED_AT = 1772359200  # 2026-03-01 10:00 UTC


@pytest.fixture
def collector() -> Iterator[HostCollector]:
    collector = HostCollector()
    yield collector
    collector.close()


@pytest.fixture
def procfs(tmp_path: Path) -> Path:
    root = tmp_path / "proc"
    (root / "self").mkdir(parents=True)
    (root / "pressure").mkdir()
    (root / "loadavg").write_text("3.50 2.00 1.00 2/345 6789\n")
    (root / "uptime").write_text("7200.50 14000.00\n")
    (root / "stat").write_text(f"cpu  1 2 3 4\ncpu0 1 2 3 4\ncpu1 1 2 3 4\nbtime {BOOTED_AT}\n")
    (root / "meminfo").write_text(
        "MemTotal:       1000 kB\nMemAvailable:    250 kB\nSwapTotal:       200 kB\nSwapFree:        150 kB\n"
    )
    (root / "pressure" / "memory").write_text("some avg10=2.00 total=1\nfull avg10=1.50 avg60=0.10 total=1\n")
    (root / "self" / "mounts").write_text("")
    return root


def look(
    collector: HostCollector,
    procfs: Path,
    position: Mapping[str, object] | None = None,
    boot_id: str = "boot-1",
    **settings: object,
) -> Collected:
    return collector.collect(Site("node001", boot_id, {"procfs": str(procfs), **settings}), position or {}, NOON)


def of(subject: str, collected: Collected) -> list[Reading]:
    return [reading for reading in collected.readings if reading.subject == subject]


def test_sample_of_a_node(collector: HostCollector, procfs: Path):
    (sample,) = of(SAMPLE, look(collector, procfs))

    assert sample.position == "2026-03-01T12:00:00+00:00"
    assert sample.fields == {
        "load1": 3.5,
        "cpu_count": 2,
        "memory_available_percent": 25.0,
        "memory_total_bytes": 1024000,
        "swap_used_percent": 25.0,
        "psi_memory_full_avg10": 1.5,
        "uptime_seconds": 7200.5,
    }


def test_kernel_without_pressure_figures_has_no_value_for_them(collector: HostCollector, procfs: Path):
    (procfs / "pressure" / "memory").unlink()

    (sample,) = of(SAMPLE, look(collector, procfs))

    assert sample.fields["psi_memory_full_avg10"] is None


def test_local_mount_tells_how_full_it_is_and_whether_it_can_be_written(
    collector: HostCollector, procfs: Path, tmp_path: Path
):
    (procfs / "self" / "mounts").write_text(f"proc /proc proc rw 0 0\n/dev/sda1 {tmp_path} ext4 ro,relatime 0 0\n")

    (mount,) = of(MOUNT, look(collector, procfs))

    assert (mount.fields["mount"], mount.fields["device"]) == (str(tmp_path), "/dev/sda1")
    assert (mount.fields["fstype"], mount.fields["read_only"]) == ("ext4", True)
    assert isinstance(mount.fields["used_percent"], float)
    assert 0 <= mount.fields["used_percent"] <= 100
    assert mount.fields["timed_out"] is False


def test_file_server_that_answers_is_asked_in_a_child(collector: HostCollector, procfs: Path, tmp_path: Path):
    (procfs / "self" / "mounts").write_text(f"files:/export {tmp_path} nfs4 rw 0 0\n")

    (mount,) = of(MOUNT, look(collector, procfs, mount_deadline_seconds=30))

    assert (mount.fields["timed_out"], mount.fields["error"]) == (False, None)
    assert isinstance(mount.fields["inodes_used_percent"], float)


def test_file_server_that_does_not_answer_hides_no_other_mount(procfs: Path, tmp_path: Path):
    never_answers = tmp_path / "probe"
    never_answers.write_text("#!/bin/sh\nexec sleep 600\n")
    never_answers.chmod(0o755)
    (procfs / "self" / "mounts").write_text(f"files:/export /data nfs4 rw 0 0\n/dev/sda1 {tmp_path} ext4 rw 0 0\n")
    collector = HostCollector([str(never_answers)])

    dead, alive = of(MOUNT, look(collector, procfs, mount_deadline_seconds=0.2))
    collector.close()

    assert (dead.fields["mount"], dead.fields["timed_out"], dead.fields["used_percent"]) == ("/data", True, None)
    assert dead.text == "/data (nfs4, files:/export) does not answer"
    assert alive.fields["timed_out"] is False


def test_mount_that_cannot_be_asked_says_why(collector: HostCollector, procfs: Path, tmp_path: Path):
    (procfs / "self" / "mounts").write_text(f"/dev/sda1 {tmp_path}/gone ext4 rw 0 0\n")

    (mount,) = of(MOUNT, look(collector, procfs))

    assert (mount.fields["error"], mount.fields["used_percent"]) == ("No such file or directory", None)


@pytest.mark.parametrize("step_seconds", [3600, -7])
def test_clock_that_was_set_is_told_with_the_step(collector: HostCollector, procfs: Path, step_seconds: int):
    before = look(collector, procfs)

    (procfs / "stat").write_text(f"btime {BOOTED_AT + step_seconds}\n")
    (step,) = of(CLOCK_STEP, look(collector, procfs, before.position))

    assert step.fields == {"step_seconds": step_seconds}


def test_rounding_of_the_boot_time_is_no_clock_step(collector: HostCollector, procfs: Path):
    before = look(collector, procfs)

    (procfs / "stat").write_text(f"btime {BOOTED_AT + 1}\n")

    assert of(CLOCK_STEP, look(collector, procfs, before.position)) == []


def test_reboot_is_told_once_and_is_no_clock_step(collector: HostCollector, procfs: Path):
    before = look(collector, procfs, boot_id="boot-1")

    (procfs / "stat").write_text(f"btime {BOOTED_AT + 600}\n")
    after = look(collector, procfs, before.position, boot_id="boot-2")
    later = look(collector, procfs, after.position, boot_id="boot-2")

    (rebooted,) = of(REBOOTED, after)
    assert rebooted.position == "boot:boot-2"
    assert rebooted.fields == {"previous_boot_id": "boot-1", "booted_at": "2026-03-01T10:10:00+00:00"}
    assert of(CLOCK_STEP, after) == of(REBOOTED, later) == []


def test_missing_procfs_is_a_stated_condition(collector: HostCollector, tmp_path: Path):
    assert look(collector, tmp_path / "none").condition == f"no /proc at {tmp_path / 'none'}"


def test_this_machine_has_a_root_file_system(collector: HostCollector):
    readings = of(MOUNT, look(collector, Path("/proc")))

    assert "/" in {reading.fields["mount"] for reading in readings}


def test_node_is_introduced_by_its_addresses_once(procfs: Path) -> None:
    collector = HostCollector(addresses=lambda: ("10.0.0.7", "10.1.0.7"))
    site = Site("node001", "boot-1", {"procfs": str(procfs)})

    first = collector.collect(site, {}, NOON)
    second = collector.collect(site, first.position, NOON)

    introduced = [reading for reading in first.readings if reading.subject == "host.addresses"]
    assert [reading.fields for reading in introduced] == [{"addresses": "10.0.0.7,10.1.0.7"}]
    assert not [reading for reading in second.readings if reading.subject == "host.addresses"]
    collector.close()
