from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clusterwatch.errors import ConfigError, SourceError
from clusterwatch.model import Collected, Trust
from clusterwatch.seams import Site
from collectors.kernel_log import BATCH_RECORDS, LOST, KernelLogCollector

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def collector() -> Iterator[KernelLogCollector]:
    collector = KernelLogCollector()
    yield collector
    collector.close()


def site(path: Path, **settings: object) -> Site:
    return Site("node001", "boot-1", {"path": str(path), **settings})


def look(
    collector: KernelLogCollector, path: Path, position: Mapping[str, object] | None = None, **settings: object
) -> Collected:
    stored = json.loads(json.dumps(position or {}))
    return collector.collect(site(path, **settings), stored, NOON)


def texts(collected: Collected) -> list[str]:
    return [reading.text for reading in collected.readings]


def append(path: Path, text: str) -> None:
    with path.open("a") as log:
        log.write(text)


def test_lines_of_both_formats_become_readings_with_their_origin(collector: KernelLogCollector, tmp_path: Path):
    log = tmp_path / "kern.log"
    log.write_text(
        "4,17,1000,-;NVRM: Xid (PCI:0000:3b:00): 79, fell off\n"
        " SUBSYSTEM=pci\n"
        "[  123.456] NVRM: Xid (PCI:0000:86:00): 94, contained\n"
    )

    first, second = look(collector, log).readings

    assert first.text == "NVRM: Xid (PCI:0000:3b:00): 79, fell off"
    assert first.fields == {"origin": f"{log}:1", "seq": 17, "facility": 0, "level": 4}
    assert second.text == "[  123.456] NVRM: Xid (PCI:0000:86:00): 94, contained"
    assert second.fields["origin"] == f"{log}:3"


def test_only_what_is_new_comes_after_a_restart(collector: KernelLogCollector, tmp_path: Path):
    log = tmp_path / "kern.log"
    log.write_text("one\ntwo\n")
    saved = look(collector, log).position

    append(log, "three\n")
    successor = KernelLogCollector()
    again = look(successor, log, saved)
    successor.close()

    assert texts(again) == ["three"]
    assert again.readings[0].fields["origin"] == f"{log}:3"


def test_a_position_that_was_not_saved_is_read_again_under_the_same_name(collector: KernelLogCollector, tmp_path: Path):
    log = tmp_path / "kern.log"
    log.write_text("one\n")
    saved = look(collector, log).position
    append(log, "two\n")

    lost_in_a_crash = look(collector, log, saved)
    repeated = look(collector, log, saved)

    assert repeated.readings == lost_in_a_crash.readings


def test_a_line_without_its_end_waits_for_it(collector: KernelLogCollector, tmp_path: Path):
    log = tmp_path / "kern.log"
    log.write_text("whole\nhal")

    before = look(collector, log)
    append(log, "f\n")
    after = look(collector, log, before.position)

    assert (texts(before), texts(after)) == (["whole"], ["half"])


def test_rotation_gives_the_end_of_the_old_file_and_then_the_new_one(collector: KernelLogCollector, tmp_path: Path):
    log = tmp_path / "kern.log"
    log.write_text("one\n")
    saved = look(collector, log).position

    append(log, "last of the old\n")
    log.rename(tmp_path / "kern.log.1")
    log.write_text("first of the new\n")
    rotated = look(collector, log, saved)

    assert texts(rotated) == ["last of the old", "first of the new"]
    assert rotated.readings[1].fields["origin"] == f"{log}:1"


def test_rotation_while_nobody_watched_loses_nothing(collector: KernelLogCollector, tmp_path: Path):
    log = tmp_path / "kern.log"
    log.write_text("one\n")
    saved = look(collector, log).position
    collector.close()

    append(log, "last of the old\n")
    log.rename(tmp_path / "kern.log.1")
    log.write_text("first of the new\n")
    successor = KernelLogCollector()
    rotated = look(successor, log, saved)
    successor.close()

    assert texts(rotated) == ["last of the old", "first of the new"]


def test_truncated_file_is_read_from_its_beginning_under_new_names(collector: KernelLogCollector, tmp_path: Path):
    log = tmp_path / "kern.log"
    log.write_text("one\ntwo\n")
    before = look(collector, log)

    log.write_text("new\n")
    after = look(collector, log, before.position)

    assert texts(after) == ["new"]
    assert not {reading.position for reading in before.readings} & {reading.position for reading in after.readings}


def test_fifo_stands_in_for_the_device(collector: KernelLogCollector, tmp_path: Path):
    fifo = tmp_path / "kmsg"
    os.mkfifo(fifo)
    nothing_yet = look(collector, fifo)

    writer = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    os.write(writer, b"4,1,1000,-;NVRM: one\n4,2,1000,-;NVRM: tw")
    first = look(collector, fifo, nothing_yet.position)
    os.write(writer, b"o\n")
    second = look(collector, fifo, first.position)
    os.close(writer)

    assert (texts(first), texts(second)) == (["NVRM: one"], ["NVRM: two"])


def test_fifo_keeps_what_did_not_fit_into_a_batch(collector: KernelLogCollector, tmp_path: Path):
    fifo = tmp_path / "kmsg"
    os.mkfifo(fifo)
    nothing_yet = look(collector, fifo)
    writer = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    os.write(writer, b"x\n" * (BATCH_RECORDS + 3))
    os.close(writer)

    first = look(collector, fifo, nothing_yet.position)
    second = look(collector, fifo, first.position)

    assert (len(first.readings), first.more) == (BATCH_RECORDS, True)
    assert (len(second.readings), second.more) == (3, False)


@pytest.fixture
def ring(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A FIFO whose writes stay apart, so that each read gives one record as the device does; and its writing end."""
    fifo = tmp_path / "ring"
    os.mkfifo(fifo)
    keeps_it_open = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    fcntl.fcntl(writer, fcntl.F_SETFL, os.O_NONBLOCK | os.O_DIRECT)
    yield fifo, writer
    os.close(writer)
    os.close(keeps_it_open)


def test_gap_in_the_sequence_is_told_with_its_size(collector: KernelLogCollector, ring: tuple[Path, int]):
    path, writer = ring
    for seq in (7, 8, 12):
        os.write(writer, b"4,%d,1000,-;record %d\n" % (seq, seq))

    readings = look(collector, path, {"boot_id": "boot-1", "seq": 6}, mode="kmsg").readings

    assert [reading.position for reading in readings] == ["7", "8", "lost:9-11", "12"]
    assert readings[2].subject == LOST
    assert readings[2].fields["lost"] == 3


def test_reboot_tells_what_the_ring_lost_before_it_was_read(collector: KernelLogCollector, ring: tuple[Path, int]):
    path, writer = ring
    os.write(writer, b"4,3,1000,-;record 3\n")

    collected = look(collector, path, {"boot_id": "boot-0", "seq": 900}, mode="kmsg")

    assert [reading.position for reading in collected.readings] == ["lost:0-2", "3"]
    assert collected.position == {"boot_id": "boot-1", "seq": 3}


def test_first_start_skips_what_is_older_than_its_lookback(collector: KernelLogCollector, ring: tuple[Path, int]):
    path, writer = ring
    procfs = path.parent
    (procfs / "uptime").write_text("1000.00 0.00\n")
    os.write(writer, b"4,1,600000000,-;400 s ago\n")
    os.write(writer, b"4,2,800000000,-;200 s ago\n")

    collected = look(collector, path, mode="kmsg", procfs=str(procfs))

    assert texts(collected) == ["200 s ago"]
    assert collected.readings[0].happened_at == NOON - timedelta(seconds=200)


def test_records_of_users_are_kept_on_demand_and_as_the_word_of_a_user(collector: KernelLogCollector, tmp_path: Path):
    log = tmp_path / "kmsg"
    log.write_text("12,1,1000,-;NVRM: Xid 79 says a user\n")

    by_default = look(collector, log)
    switched_on = look(collector, log, user_records=True)

    assert by_default.readings == ()
    assert [reading.trust for reading in switched_on.readings] == [Trust.USER]


def test_first_start_leaves_old_stamped_lines_alone(collector: KernelLogCollector, tmp_path: Path):
    log = tmp_path / "kern.log"
    log.write_text("2026-03-01T11:00:00+00:00 n kernel: old\n2026-03-01T11:59:00+00:00 n kernel: fresh\n")

    collected = look(collector, log)

    assert texts(collected) == ["2026-03-01T11:59:00+00:00 n kernel: fresh"]
    assert collected.readings[0].happened_at == datetime(2026, 3, 1, 11, 59, tzinfo=UTC)


def test_binary_garbage_is_one_printable_line_at_a_time(collector: KernelLogCollector, tmp_path: Path):
    log = tmp_path / "kern.log"
    log.write_bytes(bytes(range(256)) * 64 + b"\nNVRM: after\n")

    collected = look(collector, log)

    assert texts(collected)[-1] == "NVRM: after"
    assert all(len(text) <= 4096 and text.isprintable() for text in (t.replace("\t", "") for t in texts(collected)))


def test_absent_device_is_a_stated_condition(collector: KernelLogCollector, tmp_path: Path):
    collected = look(collector, tmp_path / "none", {"boot_id": "boot-1", "seq": 7})

    assert collected.condition == f"no kernel log at {tmp_path / 'none'}"
    assert collected.position == {"boot_id": "boot-1", "seq": 7}


def test_what_cannot_be_read_names_the_path(collector: KernelLogCollector, tmp_path: Path):
    with pytest.raises(SourceError, match=str(tmp_path)):
        look(collector, tmp_path)


def test_unknown_mode_is_the_operators_mistake(collector: KernelLogCollector, tmp_path: Path):
    with pytest.raises(ConfigError, match="mode: is 'dmesg', expected \"auto\""):
        look(collector, tmp_path, mode="dmesg")


def journalctl(tmp_path: Path, script: str) -> str:
    program = tmp_path / "journalctl"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return str(program)


def test_journal_is_followed_by_its_cursor(collector: KernelLogCollector, tmp_path: Path):
    entry = (
        '{"__CURSOR":"c1","__REALTIME_TIMESTAMP":"1772366400000000","_BOOT_ID":"b","SYSLOG_FACILITY":"0",'
        '"PRIORITY":"4","SYSLOG_IDENTIFIER":"NVRM","MESSAGE":"Xid (PCI:0000:3b:00): 79"}'
    )
    command = journalctl(tmp_path, f"case \"$*\" in *--after-cursor=c1*) ;; *) echo '{entry}';; esac")

    first = look(collector, tmp_path, mode="journal", journalctl=command)
    second = look(collector, tmp_path, first.position, mode="journal", journalctl=command)

    assert texts(first) == ["NVRM: Xid (PCI:0000:3b:00): 79"]
    assert first.position == second.position == {"cursor": "c1"}
    assert second.readings == ()


def test_machine_without_journalctl_is_a_stated_condition(collector: KernelLogCollector, tmp_path: Path):
    collected = look(collector, tmp_path, mode="journal", journalctl=str(tmp_path / "none"))

    assert collected.condition == "no journalctl here"


def test_machine_without_a_journal_is_a_stated_condition(collector: KernelLogCollector, tmp_path: Path):
    command = journalctl(tmp_path, "echo 'No journal files were found.' >&2; exit 1")

    assert look(collector, tmp_path, mode="journal", journalctl=command).condition == "no journal here"


def test_journal_that_refuses_is_an_error_with_its_words(collector: KernelLogCollector, tmp_path: Path):
    command = journalctl(tmp_path, "echo 'Failed to seek to cursor: Invalid argument' >&2; exit 1")

    with pytest.raises(SourceError, match="Failed to seek to cursor"):
        look(collector, tmp_path, mode="journal", journalctl=command)
