"""The kernel's log to readings: from the ring, from a file that stands in for it, or from the journal."""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path

from clusterwatch.errors import ConfigError, Mistake, SourceError
from clusterwatch.model import Collected, Reading, Scalar, Trust
from clusterwatch.reading.journal import JournalRecord
from clusterwatch.reading.kmsg import KERNEL_FACILITY, KernelRecord, kernel_record, stamped_at
from clusterwatch.reading.text import printable
from clusterwatch.seams import Site
from collectors._followed_file import FileLine, FollowedFile, file_place
from collectors._journal import Journal
from collectors._kernel_ring import KernelRing

BATCH_RECORDS = 5_000
"""Most records of one collection; the rest waits for the next."""

LOST = "kernel_log.lost"
"""Subject of the reading that says how many records were overwritten unread."""

# What follows a record's text in the format of /dev/kmsg, one per line: " SUBSYSTEM=pci".
_CONTINUATION = re.compile(rb" [A-Z_]{1,32}=")


@dataclass(frozen=True, slots=True)
class KernelLogSettings:
    """The collector's table of the configuration.

    Attributes:
        path: Of the device, or of the file or FIFO that stands in for it.
        mode: "auto", "kmsg", "file" or "journal".
        user_records: Whether records that programs wrote are kept, as the word of a user.
        lookback_seconds: How far back the very first start looks.
        journal_directory: Where the journal's files are; "" for the system's own.
        journalctl: Command that reads the journal.
        procfs: Where /proc is, for the time of the boot.
    """

    path: str = "/dev/kmsg"
    mode: str = "auto"
    user_records: bool = False
    lookback_seconds: float = 300.0
    journal_directory: str = ""
    journalctl: str = "journalctl"
    procfs: str = "/proc"


class KernelLogCollector:
    """Follows the kernel's log without a repeat over restarts, and says where records were lost."""

    name = "kernel_log"
    every_seconds = 1.0
    deadline_seconds = 5.0
    scans = True

    def __init__(self) -> None:
        self._ring = KernelRing()
        self._file = FollowedFile()
        self._ways: Mapping[str, Callable[[_Look], Collected]] = {
            "kmsg": self._from_ring,
            "file": self._from_file,
            "journal": self._from_journal,
        }

    def collect(self, site: Site, position: Mapping[str, object], now: datetime) -> Collected:
        """Return what the kernel said since *position*.

        Raises:
            SourceError: The log is there and may not be read.
            ConfigError: The settings name no known mode.
        """
        look = _Look(site, _settings(site.settings), position, now)
        try:
            return self._ways[_mode(look.settings)](look)
        except FileNotFoundError:
            return Collected(position=position, condition=f"no kernel log at {look.settings.path}")
        except PermissionError as refusal:
            raise SourceError(_what_to_do(look.settings.path)) from refusal
        except OSError as failure:
            reason = failure.strerror or str(failure)
            raise SourceError(f"{look.settings.path} cannot be read: {reason}") from failure

    def close(self) -> None:
        """Give back the device or file."""
        self._ring.close()
        self._file.close()

    def _from_ring(self, look: _Look) -> Collected:
        after = look.last_seq
        booted_at = _booted_at(look)
        records = tuple(islice(self._ring.records_after(after, look.settings.path), BATCH_RECORDS))
        readings = tuple(_ring_readings(look, records, booted_at))
        last = records[-1].seq if records else after
        place = {"boot_id": look.site.boot_id, "seq": last} if records else look.position
        return Collected(readings, place, more=len(records) == BATCH_RECORDS)

    def _from_file(self, look: _Look) -> Collected:
        place = file_place(look.position)
        lines = list(islice(self._file.lines_after(place, Path(look.settings.path)), BATCH_RECORDS))
        readings = tuple(reading for line in lines for reading in _file_readings(look, line))
        reached = self._file.place
        position = {name: getattr(reached, name) for name in reached.__slots__}
        return Collected(readings, position, more=len(lines) == BATCH_RECORDS)

    def _from_journal(self, look: _Look) -> Collected:
        settings = look.settings
        journal = Journal(settings.journalctl, settings.journal_directory)
        cursor = str(look.position.get("cursor", ""))
        records, condition = journal.records_after(cursor, look.oldest, BATCH_RECORDS)
        readings = tuple(_journal_reading(look, record) for record in records if _is_wanted(look, record.facility))
        place = {"cursor": records[-1].cursor} if records else look.position
        return Collected(readings, place, condition, more=len(records) == BATCH_RECORDS)


@dataclass(frozen=True, slots=True)
class _Look:
    """One collection: where, from where on, and when."""

    site: Site
    settings: KernelLogSettings
    position: Mapping[str, object]
    now: datetime

    @property
    def is_first(self) -> bool:
        return not self.position

    @property
    def oldest(self) -> datetime:
        return self.now - timedelta(seconds=self.settings.lookback_seconds)

    @property
    def last_seq(self) -> int:
        """The last record of this boot that was read; -1 before the first."""
        seq = self.position.get("seq")
        return seq if isinstance(seq, int) and self.position.get("boot_id") == self.site.boot_id else -1


def _settings(table: Mapping[str, object]) -> KernelLogSettings:
    known = {one.name for one in fields(KernelLogSettings)}
    return KernelLogSettings(**{key: value for key, value in table.items() if key in known})  # type: ignore[arg-type]  # checked with the configuration


def _mode(settings: KernelLogSettings) -> str:
    if settings.mode in ("kmsg", "file", "journal"):
        return settings.mode
    if settings.mode != "auto":
        mistake = Mistake("mode", f'is {settings.mode!r}, expected "auto", "kmsg", "file" or "journal"')
        raise ConfigError("collector kernel_log", [mistake])
    return "kmsg" if stat.S_ISCHR(Path(settings.path).stat().st_mode) else "file"


def _what_to_do(path: str) -> str:
    return (
        f"{path} may not be read by this user: run as root, or give the service CAP_SYSLOG "
        "(needed while the sysctl kernel.dmesg_restrict is 1) and membership of the group that may read the file"
    )


def _booted_at(look: _Look) -> datetime | None:
    try:
        uptime_seconds = float((Path(look.settings.procfs) / "uptime").read_text().split()[0])
        return look.now - timedelta(seconds=uptime_seconds)
    except (OSError, ValueError, IndexError, OverflowError):
        return None


def _is_wanted(look: _Look, facility: int) -> bool:
    return facility == KERNEL_FACILITY or look.settings.user_records


def _trust(facility: int) -> Trust:
    return Trust.NODE if facility == KERNEL_FACILITY else Trust.USER


def _ring_readings(look: _Look, records: Iterable[KernelRecord], booted_at: datetime | None) -> Iterator[Reading]:
    """Yield a reading for each wanted record, and one for each gap before a record."""
    # The first look ever cannot know what was there before it; a later one after a reboot misses what it does not find.
    expected = look.last_seq + 1 if "seq" in look.position else None
    for record in records:
        if expected is not None and record.seq > expected:
            yield _lost(look, expected, record.seq - 1)
        expected = record.seq + 1
        happened_at = min(booted_at + record.since_boot, look.now) if booted_at else None
        is_old = look.is_first and happened_at is not None and happened_at < look.oldest
        if _is_wanted(look, record.facility) and not is_old:
            yield _ring_reading(look, record, happened_at)


def _ring_reading(look: _Look, record: KernelRecord, happened_at: datetime | None) -> Reading:
    return Reading(
        source=KernelLogCollector.name,
        node=look.site.node,
        position=str(record.seq),
        observed_at=look.now,
        happened_at=happened_at,
        boot_id=look.site.boot_id,
        trust=_trust(record.facility),
        text=record.text,
        fields={"origin": f"{look.settings.path}:{record.seq}", **_values(record)},
    )


def _values(record: KernelRecord) -> dict[str, Scalar]:
    device = {"device": record.tags["DEVICE"]} if "DEVICE" in record.tags else {}
    return {"seq": record.seq, "facility": record.facility, "level": record.level, **device}


def _lost(look: _Look, first: int, last: int) -> Reading:
    count = last - first + 1
    return Reading(
        source=KernelLogCollector.name,
        node=look.site.node,
        position=f"lost:{first}-{last}",
        observed_at=look.now,
        boot_id=look.site.boot_id,
        subject=LOST,
        text=f"{count} kernel records ({first} to {last}) were overwritten before they were read",
        fields={"origin": f"{look.settings.path}:{first}", "lost": count, "first_seq": first, "last_seq": last},
    )


def _file_readings(look: _Look, line: FileLine) -> Iterator[Reading]:
    """Yield the reading of a line, none for an empty, an old or an unwanted one."""
    record = kernel_record(line.raw)
    text = record.text if record else printable(line.raw.decode("utf-8", "replace"))
    # A record's time counts from a boot that need not be this one, so only a stamp with its zone is believed.
    happened_at = None if record else stamped_at(text)
    is_old = look.is_first and happened_at is not None and happened_at < look.oldest
    if is_old or not text.strip() or _CONTINUATION.match(line.raw):
        return
    if record and not _is_wanted(look, record.facility):
        return
    yield Reading(
        source=KernelLogCollector.name,
        node=look.site.node,
        position=f"{line.turn}:{line.offset}",
        observed_at=look.now,
        happened_at=happened_at,
        boot_id=look.site.boot_id,
        trust=_trust(record.facility) if record else Trust.NODE,
        text=text,
        fields={"origin": f"{look.settings.path}:{line.line}", **(_values(record) if record else {})},
    )


def _journal_reading(look: _Look, record: JournalRecord) -> Reading:
    return Reading(
        source=KernelLogCollector.name,
        node=look.site.node,
        position=record.cursor,
        observed_at=look.now,
        happened_at=record.happened_at,
        boot_id=record.boot_id,
        trust=_trust(record.facility),
        text=record.text,
        fields={"origin": f"journal:{record.cursor}", "facility": record.facility, "level": record.level},
    )
