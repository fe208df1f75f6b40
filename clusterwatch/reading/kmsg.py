"""Bytes of the kernel's log to records: the format of /dev/kmsg, and its lines as other programs wrote them down."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from clusterwatch.reading.text import printable

KERNEL_FACILITY = 0
"""Facility of what the kernel itself says; no program can write it through /dev/kmsg."""

_HEADER = re.compile(rb"(\d{1,10}),(\d{1,20}),(\d{1,20}),[^;\n]{0,200};")
_ESCAPED_BYTE = re.compile(rb"\\x([0-9a-fA-F]{2})")
_ISO_STAMP = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,6})?(?:Z|[+-]\d\d:?\d\d)")


@dataclass(frozen=True, slots=True)
class KernelRecord:
    """One record of the ring.

    Attributes:
        facility, level: As in syslog; 0 is the kernel, level 0 an emergency and 7 debugging.
        seq: Grows by one per record since boot; a gap means that records were overwritten.
        since_boot: By the kernel's monotonic clock.
        text: One printable line.
        tags: What the kernel knows about it, such as "DEVICE" and "SUBSYSTEM".

    Source:
        Linux, Documentation/ABI/testing/dev-kmsg.
    """

    facility: int
    level: int
    seq: int
    since_boot: timedelta
    text: str
    tags: Mapping[str, str] = field(default_factory=dict)


def kernel_record(raw: bytes) -> KernelRecord | None:
    """Return the record that one read of /dev/kmsg gave; None if *raw* is not in its format."""
    header = _HEADER.match(raw)
    if header is None:
        return None
    prefix, seq, microseconds = (int(number) for number in header.groups())
    since_boot = _span(microseconds)
    if since_boot is None:
        return None
    text, *continuation = raw[header.end() :].split(b"\n")
    return KernelRecord(prefix >> 3, prefix & 7, seq, since_boot, _decoded(text), _tags(continuation))


def stamped_at(line: str) -> datetime | None:
    """Return the UTC time an RFC 3339 stamp at the start of *line* gives; None where there is none with a zone."""
    stamp = _ISO_STAMP.match(line)
    try:
        return datetime.fromisoformat(stamp[0].replace(",", ".")).astimezone(UTC) if stamp else None
    except (ValueError, OverflowError):
        return None


def _span(microseconds: int) -> timedelta | None:
    try:
        return timedelta(microseconds=microseconds)
    except OverflowError:
        return None


def _decoded(escaped: bytes) -> str:
    """Undo the kernel's escapes. A record of several lines becomes one line."""
    raw = _ESCAPED_BYTE.sub(lambda match: bytes((int(match[1], 16),)), escaped)
    return printable(raw.decode("utf-8", "replace").rstrip("\n").replace("\n", " "))


def _tags(lines: list[bytes]) -> dict[str, str]:
    pairs = (line[1:].partition(b"=") for line in lines if line.startswith(b" ") and b"=" in line)
    return {_decoded(key): _decoded(value) for key, _, value in pairs}
