"""What ipmitool prints to records of the event log, the BMC's clock and sensors.

Source: IPMI v2.0 specification, revision 1.1, sections 31 (event log), 43 (sensor data records);
https://manpages.debian.org/bookworm/ipmitool/ipmitool.1.en.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from clusterwatch.model import Scalar
from clusterwatch.reading.text import printable

BmcTime = datetime | timedelta
"""A time of the BMC's clock; a span since the BMC started where its clock was never set."""

_RECORD = re.compile(r"\s*(?P<id>[0-9a-f]+) \| +(?P<date>[\d/]+|Pre-Init) +\| *(?P<time>[\d:]+(?: \w+)?) *\|")
_STAMP = re.compile(r"(\d\d)/(\d\d)/(\d\d(?:\d\d)?) (\d\d):(\d\d):(\d\d)")
_SINCE_START = re.compile(r"S\+ (\d+):(\d\d):(\d\d)$")
_FACT = re.compile(r"^(\w[\w .]*?) *: (.*?) *$", re.MULTILINE)
_VALUE = re.compile(r"(-?\d+(?:\.\d+)?) (\w.*)")
_NUMBER = re.compile(r"([0-9A-F]{2})h$")
_ENTITY = re.compile(r"(\d+)\.(\d+)$")

# What stands where a sensor gives no value now: nothing is known then.
_NO_READING = frozenset({"No Reading", "Disabled", "Not Readable", ""})


@dataclass(frozen=True, slots=True)
class SelRecord:
    """One line of the system event log. *at* is None where the line has no time of its own."""

    id: str
    text: str
    at: BmcTime | None

    @property
    def stamp(self) -> str:
        """The line's columns before the sensor: what tells it from a later record with the same id."""
        return "|".join(part.strip() for part in self.text.split("|")[:3])


def sel_records(output: str) -> Iterator[SelRecord]:
    """Yield the records that `ipmitool sel elist` prints, in its order; other lines are left out."""
    for line in output.splitlines():
        found = _RECORD.match(line)
        if found:
            yield SelRecord(found["id"], printable(line.strip()), _record_time(found["date"], found["time"]))


def bmc_time(text: str) -> BmcTime | None:
    """Return the time that `ipmitool sel time get` prints, run with TZ=UTC; None where it is none."""
    since_start = _SINCE_START.match(text.strip())
    if since_start:
        hours, minutes, seconds = map(int, since_start.groups())
        return timedelta(hours=hours, minutes=minutes, seconds=seconds)
    found = _STAMP.match(text.strip())
    return _datetime(*map(int, found.groups())) if found else None


def sel_facts(output: str) -> Mapping[str, str]:
    """Return what `ipmitool sel info` prints, by its names."""
    return dict(_FACT.findall(output))


def sensors(output: str) -> Iterator[dict[str, Scalar]]:
    """Yield the sensors that `ipmitool sdr elist` prints; without a value where the BMC has none now.

    Fields: sensor, number, entity_id, entity_instance, status ("ok", "nc", "cr", "nr"), value, unit, states.
    """
    for line in output.splitlines():
        parts = [part.strip() for part in line.split("|", 4)]
        number, entity = (_NUMBER.match(parts[1]), _ENTITY.match(parts[3])) if len(parts) == 5 else (None, None)
        if number and entity:
            yield {
                "sensor": printable(parts[0], 64),
                "number": int(number[1], 16),
                "entity_id": int(entity[1]),
                "entity_instance": int(entity[2]),
                **_reading(parts[2], parts[4]),
            }


def _reading(status: str, reading: str) -> dict[str, Scalar]:
    if status == "ns" or reading in _NO_READING:
        return {"status": None, "value": None, "unit": None, "states": None}
    value = _VALUE.fullmatch(reading)
    if value:
        return {"status": status, "value": float(value[1]), "unit": value[2], "states": None}
    return {"status": status, "value": None, "unit": None, "states": printable(reading, 300)}


def _record_time(date: str, time: str) -> BmcTime | None:
    if date != "Pre-Init":
        return bmc_time(f"{date} {time}")
    return timedelta(seconds=int(time)) if time.isdecimal() else None


def _datetime(month: int, day: int, year: int, hour: int, minute: int, second: int) -> datetime | None:
    try:
        return datetime(year if year > 99 else 2000 + year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
