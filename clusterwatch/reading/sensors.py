"""What "ipmitool sdr" lists at length of a sensor, to lines that stand for themselves.

It names a sensor once, and the states it is in below a heading; the states that it could report stand in the same
form below other headings. A state that is asserted becomes a row as the event log has it: "Power Supply PS1 Status |
Failure detected | Asserted".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

_FIELD = re.compile(r"\s{0,4}(?P<name>[A-Z][\w()/ -]{2,30}?)\s*: ?(?P<value>.{0,80})")
_STATE = re.compile(r"\s{8,40}\[(?P<state>[^\]]{1,60})\]\s*$")
_NUMBER = re.compile(r" ?\(0x[0-9A-Fa-f]{1,4}\)\s*$")


@dataclass(frozen=True, slots=True)
class Sensor:
    """The sensor that the lines are about: its name and kind, and whether the states that follow are asserted."""

    name: str = ""
    kind: str = ""
    is_asserted: bool = False


def sensor_line(sensor: Sensor, line: str) -> tuple[Sensor, str]:
    """Return the sensor that the next line is about, and what *line* says by itself."""
    state = _STATE.match(line)
    if state is not None:
        told = f"{sensor.kind} {sensor.name} | {state['state']} | Asserted"
        return sensor, told if sensor.name and sensor.is_asserted else line
    field = _FIELD.match(line)
    if field is None:
        return sensor, line
    return _with_field(sensor, field["name"], _NUMBER.sub("", field["value"]).strip()), line


def _with_field(sensor: Sensor, name: str, value: str) -> Sensor:
    if name == "Sensor ID":
        return Sensor(value)
    if name.startswith("Sensor Type"):
        return replace(sensor, kind=value, is_asserted=False)
    is_asserted = name == "States Asserted"
    return replace(sensor, kind=sensor.kind or (value if is_asserted else ""), is_asserted=is_asserted)
