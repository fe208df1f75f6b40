from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clusterwatch.model import Collected, Reading, Trust
from clusterwatch.seams import Site
from collectors.kernel_log import KernelLogCollector

KMSG = Path("/dev/kmsg")

# No test here overruns the ring: that would wipe the log of the machine and starve whoever else follows it. How gaps
# are told stands in tests/unit/collectors/test_kernel_log.py.
pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def writable_kmsg() -> None:
    try:
        os.close(os.open(KMSG, os.O_RDWR | os.O_NONBLOCK))
    except OSError as refusal:
        missing = f"{KMSG} cannot be written here ({refusal.strerror}): run as root on a kernel of your own"
        pytest.fail(missing) if os.environ.get("CI") == "true" else pytest.skip(missing)


@pytest.fixture
def collector() -> Iterator[KernelLogCollector]:
    collector = KernelLogCollector()
    yield collector
    collector.close()


def say(*lines: str) -> None:
    # Opened anew for each line: the kernel limits the lines per open file.
    for line in lines:
        with KMSG.open("wb", buffering=0) as kernel:
            kernel.write(f"<4>{line}\n".encode())


def everything(
    collector: KernelLogCollector, position: Mapping[str, object], boot_id: str = "boot-1", user_records: bool = True
) -> tuple[list[Reading], Collected]:
    site = Site("node001", boot_id, {"user_records": user_records, "lookback_seconds": 60})
    readings: list[Reading] = []
    while True:
        collected = collector.collect(site, position, datetime.now(UTC))  # noqa: TID251 - held against the kernel's clock
        readings += collected.readings
        position = collected.position
        if not collected.more:
            return readings, collected


def of(marker: str, readings: list[Reading]) -> list[Reading]:
    return [reading for reading in readings if marker in reading.text]


def test_lines_written_to_the_kernel_come_back_once_and_in_order(collector: KernelLogCollector):
    marker = uuid.uuid4().hex
    say(f"NVRM: Xid (PCI:0000:3b:00): 79, {marker} 1", f"NVRM: Xid (PCI:0000:3b:00): 94, {marker} 2")

    first, collected = everything(collector, {})
    say(f"{marker} 3")
    second, _ = everything(collector, collected.position)

    seen = of(marker, first)
    assert [reading.text[-1] for reading in seen] == ["1", "2"]
    assert [reading.text[-1] for reading in of(marker, second)] == ["3"]
    assert [reading.trust for reading in seen] == [Trust.USER, Trust.USER]
    assert int(seen[0].position) < int(seen[1].position)
    assert seen[0].fields["origin"] == f"/dev/kmsg:{seen[0].position}"
    assert seen[0].happened_at is not None
    assert seen[0].observed_at - seen[0].happened_at < timedelta(seconds=30)


def test_restart_goes_on_exactly_behind_the_saved_position(collector: KernelLogCollector):
    marker = uuid.uuid4().hex
    say(f"{marker} before")
    before, collected = everything(collector, {})
    collector.close()

    say(f"{marker} between")
    successor = KernelLogCollector()
    after, _ = everything(successor, collected.position)
    successor.close()

    assert [reading.text for reading in of(marker, before)] == [f"{marker} before"]
    assert [reading.text for reading in of(marker, after)] == [f"{marker} between"]


def test_records_of_users_are_off_by_default(collector: KernelLogCollector):
    marker = uuid.uuid4().hex
    say(f"NVRM: Xid (PCI:0000:3b:00): 79, {marker}")

    readings, collected = everything(collector, {}, user_records=False)

    assert of(marker, readings) == []
    assert isinstance(collected.position["seq"], int)


def test_another_boot_reads_the_ring_from_its_beginning(collector: KernelLogCollector):
    marker = uuid.uuid4().hex
    say(marker)
    _, collected = everything(collector, {}, boot_id="boot-1")

    readings, _ = everything(collector, collected.position, boot_id="boot-2")

    assert [reading.boot_id for reading in of(marker, readings)] == ["boot-2"]
