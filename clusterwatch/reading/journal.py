"""Lines of `journalctl -o json` to kernel records; its export format to such lines."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from clusterwatch.reading.text import printable

EXPORT_MARK = b"__CURSOR="
"""What the export format begins with."""

_EXPORTED = frozenset(
    {"MESSAGE", "_HOSTNAME", "_TRANSPORT", "SYSLOG_IDENTIFIER", "SYSLOG_PID", "SYSLOG_FACILITY", "PRIORITY", "_BOOT_ID"}
    | {"__REALTIME_TIMESTAMP", "__CURSOR"}
)
_LONGEST_FIELD = 64 * 1024
_SIZE_BYTES = 8

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class JournalRecord:
    """One entry of the journal that came from the kernel's log.

    Attributes:
        cursor: Where the journal goes on after it.
        boot_id: With dashes, as the kernel prints it.
        happened_at: When the journal received it, UTC.
        text: As the kernel logged it, with the prefix that the journal keeps apart.
    """

    cursor: str
    boot_id: str
    happened_at: datetime
    facility: int
    level: int
    text: str


def journal_record(line: bytes) -> JournalRecord | None:
    """Return the record of one JSON line; None if the line is no journal entry."""
    try:
        entry = json.loads(line)
        return _record(entry) if isinstance(entry, dict) else None
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None


class Stream(Protocol):
    """Bytes that are read from front to back."""

    def read(self, size: int, /) -> bytes:
        """Return the next *size* bytes, fewer at the end."""
        ...

    def readline(self, size: int, /) -> bytes:
        """Return the bytes up to a line feed, that included, at most *size*; none at the end."""
        ...


def exported_lines(stream: Stream) -> Iterator[bytes]:
    """Yield what `journalctl -o json` prints, a line each entry, for a *stream* of `journalctl -o export`.

    Source:
        https://systemd.io/JOURNAL_EXPORT_FORMATS/
    """
    entry: dict[str, str] = {}
    while line := stream.readline(_LONGEST_FIELD):
        name, equals, value = line.rstrip(b"\n").partition(b"=")
        if not name and entry:
            yield json.dumps(entry).encode() + b"\n"
            entry = {}
        elif name:
            known = name.decode("ascii", "replace")
            content = value if equals else _binary(stream)
            if known in _EXPORTED:
                entry[known] = content.decode("utf-8", "replace")
        if not line.endswith(b"\n"):
            _skip_line(stream)
    if entry:
        yield json.dumps(entry).encode() + b"\n"


def _binary(stream: Stream) -> bytes:
    """Return a field that holds line feeds: its length comes first, as eight bytes."""
    left = int.from_bytes(stream.read(_SIZE_BYTES), "little") + 1
    kept = b""
    while left > 0 and (part := stream.read(min(left, _LONGEST_FIELD))):
        left -= len(part)
        kept = kept or part
    return kept.removesuffix(b"\n")


def _skip_line(stream: Stream) -> None:
    while (part := stream.readline(_LONGEST_FIELD)) and not part.endswith(b"\n"):
        pass


def _record(entry: Mapping[str, object]) -> JournalRecord:
    return JournalRecord(
        cursor=str(entry["__CURSOR"]),
        boot_id=_dashed(str(entry.get("_BOOT_ID", ""))),
        happened_at=_EPOCH + timedelta(microseconds=_number(entry["__REALTIME_TIMESTAMP"])),
        facility=_number(entry.get("SYSLOG_FACILITY", 0)),
        level=_number(entry.get("PRIORITY", 6)),
        text=printable(entry_text(entry).replace("\n", " ")),
    )


def entry_text(entry: Mapping[str, object]) -> str:
    """Return the message of a journal entry as it was logged, with the prefix that the journal keeps apart."""
    return _prefix(entry) + _text(entry.get("MESSAGE"))


def _prefix(entry: Mapping[str, object]) -> str:
    """Return what journald cut off: it moves "NVRM" out of "NVRM: Xid ..." into a field of its own."""
    identifier = _text(entry.get("SYSLOG_IDENTIFIER"))
    if identifier in ("", "kernel"):
        return ""
    process = f"[{entry['SYSLOG_PID']}]" if "SYSLOG_PID" in entry else ""
    return f"{identifier}{process}: "


def _text(value: object) -> str:
    """Return a field's text. journalctl prints a list of bytes where it is not UTF-8, of texts where it repeats."""
    if isinstance(value, list):
        if all(isinstance(item, int) for item in value):
            return bytes(value).decode("utf-8", "replace")
        return " ".join(str(item) for item in value)
    return "" if value is None else str(value)


def _number(value: object) -> int:
    return int(str(value))


def _dashed(boot_id: str) -> str:
    if len(boot_id) != 32:
        return boot_id
    return "-".join((boot_id[:8], boot_id[8:12], boot_id[12:16], boot_id[16:20], boot_id[20:]))
