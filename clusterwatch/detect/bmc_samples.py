"""What the sensors of a BMC mean: by the part that they belong to, and by the states that IPMI gives names.

Source: IPMI v2.0 specification, revision 1.1, tables 42-3 (states of sensors) and 43-13 (entities);
words of the states as ipmitool prints them, https://github.com/ipmitool/ipmitool/blob/master/include/ipmitool/ipmi_sel.h
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from clusterwatch.detect.changes import Condition, Fields, Holds
from clusterwatch.detect.devices import Device
from clusterwatch.model import Component, ComponentKind, Reading, node_component

# Entity ids to the part they are.
_PARTS: dict[int, str] = {
    **dict.fromkeys((3, 65), "processor"),
    **dict.fromkeys((4, 15, 26), "drive"),
    **dict.fromkeys((8, 32), "memory"),
    **dict.fromkeys((10, 19, 20, 21), "power_supply"),
    **dict.fromkeys((29, 30), "fan"),
}
_UNITS = {"RPM": "fan", "degrees C": "temperature", "degrees F": "temperature", "Volts": "voltage", "Amps": "voltage"}
_COMPONENTS = {
    "processor": ComponentKind.CPU,
    "drive": ComponentKind.DISK,
    "memory": ComponentKind.DIMM,
    "power_supply": ComponentKind.PSU,
    "fan": ComponentKind.FAN,
}
_WHAT_IT_SHOWS = re.compile(r"[ _](?:Status|State|Tach(?:ometer)?|Fault|Presence)$", re.IGNORECASE)
_FAMILIES = ("power_supply", "fan", "temperature", "voltage", "other")

# Kind to the part whose sensor shows it ("" for any), and the states that mean it.
_STATES: dict[str, tuple[str, tuple[str, ...]]] = {
    "bmc.sensor.power_supply.failed": ("power_supply", ("Failure detected",)),
    "bmc.sensor.power_supply.input_lost": (
        "power_supply",
        ("Power Supply AC lost", "AC lost or out-of-range", "AC out-of-range, but present"),
    ),
    "bmc.sensor.power_supply.predicted": ("power_supply", ("Predictive failure",)),
    "bmc.sensor.power_supply.redundancy_lost": (
        "power_supply",
        ("Redundancy Lost", "Non-Redundant: Insufficient Resources"),
    ),
    "bmc.sensor.fan.redundancy_lost": ("fan", ("Redundancy Lost", "Non-Redundant: Insufficient Resources")),
    "bmc.sensor.memory.uncorrectable": ("memory", ("Uncorrectable ECC",)),
    "bmc.sensor.memory.many_corrected": ("memory", ("Correctable ECC logging limit reached",)),
    "bmc.sensor.processor.failed": (
        "processor",
        ("IERR", "FRB1/BIST failure", "FRB3/Processor startup/init failure", "Uncorrectable machine check exception"),
    ),
    "bmc.sensor.processor.too_hot": ("processor", ("Thermal Trip",)),
    "bmc.sensor.drive.failed": ("drive", ("Drive Fault", "In Failed Array")),
    "bmc.sensor.drive.predicted": ("drive", ("Predictive Failure",)),
    "bmc.sensor.intrusion": ("", ("General Chassis intrusion",)),
}


def _part(fields: Fields) -> str:
    entity = fields.get("entity_id")
    return _PARTS.get(entity, "") if isinstance(entity, int) else ""


def _family(fields: Fields) -> str:
    """Return what a sensor with limits measures: heat and speed by its unit, else the part it belongs to."""
    measured = _UNITS.get(str(fields.get("unit")), "")
    if _part(fields) == "power_supply" and measured != "temperature":
        return "power_supply"
    return measured or "other"


def _limit(family: str, *statuses: str) -> Holds:
    def holds(fields: Fields, before: bool) -> bool | None:
        if fields.get("status") is None or fields.get("value") is None or _family(fields) != family:
            return None
        return fields["status"] in statuses

    return holds


def _state(part: str, words: tuple[str, ...]) -> Holds:
    def holds(fields: Fields, before: bool) -> bool | None:
        states = fields.get("states")
        if states is None or (part and _part(fields) != part):
            return None
        return any(word in str(states) for word in words)

    return holds


def _conditions() -> Iterator[Condition]:
    for family in _FAMILIES:
        critical, warning = f"bmc.sensor.{family}.critical", f"bmc.sensor.{family}.warning"
        yield Condition(critical, _limit(family, "cr", "nr"), "{sensor} is beyond its critical limit: {value} {unit}")
        yield Condition(warning, _limit(family, "nc"), "{sensor} is beyond its first limit: {value} {unit}")
    for kind, (part, words) in _STATES.items():
        yield Condition(kind, _state(part, words), "{sensor}: {states}")


def _component(reading: Reading) -> Component:
    kind = _COMPONENTS.get(_part(reading.fields))
    if kind is None and _family(reading.fields) == "fan":
        kind = ComponentKind.FAN
    name = _WHAT_IT_SHOWS.sub("", str(reading.fields.get("sensor") or ""))
    # A sensor of redundancy stands for all parts of its sort.
    is_one_part = kind is not None and name and "redun" not in name.lower()
    return Component(kind, name, reading.node) if kind and is_one_part else node_component(reading.node)


BMC = (Device(subject="bmc.sensor", component=_component, conditions=tuple(_conditions())),)
"""Devices of the collector `bmc`."""
