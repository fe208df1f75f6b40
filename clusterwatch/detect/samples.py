"""Samples to events, by comparison with the previous sample of the same thing.

A condition tells when it becomes true; a counter tells when it moves the wrong way. A value that is missing
says nothing: what was known of it stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from clusterwatch.detect.progress import number
from clusterwatch.detect.sightings import Sighting, component_id
from clusterwatch.model import Component, ComponentKind, Reading, Scalar, node_component
from clusterwatch.model.kinds import GPU_SAMPLE, HOST_SAMPLE

MOUNT_SAMPLE = "host.mount"

Fields = Mapping[str, Scalar]


@dataclass(frozen=True, slots=True)
class Condition:
    """Something a sample shows: True, False, or None where it does not say.

    Attributes:
        kind: Of the event when it becomes true.
        holds: Sample, and whether it held before, to whether it holds.
        text: What the event says; a template of the sample's fields.
        from_start: It is news too when the first sample shows it.
    """

    kind: str
    holds: Callable[[Fields, bool], bool | None]
    text: str
    from_start: bool = True


@dataclass(frozen=True, slots=True)
class Counter:
    """A value whose move in one *direction* (+1 or -1) is an event."""

    kind: str
    name: str
    direction: int
    text: str


def _flag(name: str) -> Callable[[Fields, bool], bool | None]:
    return lambda fields, before: None if fields.get(name) is None else bool(fields[name])


def _bits(mask: int) -> Callable[[Fields, bool], bool | None]:
    def holds(fields: Fields, before: bool) -> bool | None:
        value = number(fields.get("throttle_reasons"))
        return None if value is None else bool(int(value) & mask)

    return holds


def _beyond(name: str, limit: float, calm: float) -> Callable[[Fields, bool], bool | None]:
    """Hold from *limit* on until *calm* is reached again, so that a value at the limit tells once."""
    upwards = limit > calm

    def holds(fields: Fields, before: bool) -> bool | None:
        value = number(fields.get(name))
        if value is None:
            return None
        bound = calm if before else limit
        return value >= bound if upwards else value < bound

    return holds


# Clock event reasons of NVML (nvml.h, nvmlClocksEventReasons): software thermal, hardware slowdown, hardware
# thermal, power brake.
_THERMAL = 0x20 | 0x40
_HARDWARE_SLOWDOWN = 0x08
_POWER_BRAKE = 0x80

CONDITIONS: dict[str, tuple[Condition, ...]] = {
    GPU_SAMPLE: (
        Condition("gpu.lost", _flag("lost"), "NVML lost GPU {index} ({pci}) {error}"),
        Condition("gpu.remap.failed", _flag("remap_failed"), "GPU {index} ({pci}): remapping a bad memory row failed"),
        Condition("gpu.remap.pending", _flag("remap_pending"), "GPU {index} ({pci}): a memory row waits for a reset"),
        Condition(
            "gpu.thermal_slowdown", _bits(_THERMAL), "GPU {index} ({pci}) is slowed by heat, {temperature_celsius} C"
        ),
        Condition("gpu.hardware_slowdown", _bits(_HARDWARE_SLOWDOWN), "GPU {index} ({pci}) is slowed by its hardware"),
        Condition("gpu.power_brake", _bits(_POWER_BRAKE), "GPU {index} ({pci}) is slowed by the power brake"),
    ),
    HOST_SAMPLE: (
        Condition(
            "host.memory_pressure",
            _beyond("memory_available_percent", limit=3.0, calm=6.0),
            "only {memory_available_percent} % of memory is available",
        ),
    ),
    MOUNT_SAMPLE: (
        Condition("host.read_only_mount", _flag("read_only"), "{mount} ({device}) became read-only", from_start=False),
        Condition("host.mount_unresponsive", _flag("timed_out"), "{mount} ({fstype}) does not answer"),
        Condition("host.disk_full", _beyond("used_percent", limit=98.0, calm=95.0), "{mount} is {used_percent} % full"),
    ),
}

COUNTERS: dict[str, tuple[Counter, ...]] = {
    GPU_SAMPLE: (
        Counter("gpu.ecc.uncorrected", "ecc_uncorrected_total", +1, "GPU {index} ({pci}): uncorrectable ECC errors"),
        Counter("gpu.nvlink.down", "nvlinks_active", -1, "GPU {index} ({pci}): active NVLinks fell"),
    ),
}

SAMPLES = frozenset(CONDITIONS)
"""Subjects of the readings that are samples."""


def sample_key(reading: Reading) -> str:
    """Return what names the sampled thing: its source, node and instance."""
    names = ("uuid", "pci", "index") if reading.subject == GPU_SAMPLE else ("mount",)
    instance = next((str(reading.fields[name]) for name in names if reading.fields.get(name) not in (None, "")), "")
    return "|".join((reading.source, reading.node, reading.subject, instance))


def compare(previous: Fields | None, reading: Reading) -> tuple[dict[str, Scalar], list[Sighting]]:
    """Return what to remember of a sample, and what changed since *previous* (None the first time)."""
    before = previous or {}
    remembered = dict(before)
    noticed: list[Sighting] = []
    for condition in CONDITIONS.get(reading.subject, ()):
        was = bool(before.get(condition.kind))
        holds = condition.holds(reading.fields, was)
        remembered[condition.kind] = was if holds is None else holds
        if holds and not was and (condition.from_start or previous is not None):
            noticed.append(_sighting(reading, condition.kind, condition.text))
    for counter in COUNTERS.get(reading.subject, ()):
        value = number(reading.fields.get(counter.name))
        last = number(before.get(counter.name))
        remembered[counter.name] = last if value is None else value
        if value is not None and last is not None and (value - last) * counter.direction > 0:
            noticed.append(_sighting(reading, counter.kind, f"{counter.text}, {last:g} -> {value:g}"))
    return remembered, noticed


def _sighting(reading: Reading, kind: str, text: str) -> Sighting:
    said = {name: "" if value is None else value for name, value in reading.fields.items()}
    return Sighting(
        reading,
        kind,
        _component(reading),
        reading.fields,
        text=text.format_map(_Known(said)).replace(" ()", "").strip(),
    )


class _Known(dict[str, Scalar]):
    def __missing__(self, name: str) -> str:
        return ""


def _component(reading: Reading) -> Component:
    if reading.subject != GPU_SAMPLE:
        return node_component(reading.node)
    names = ("pci", "uuid", "index")
    name = next((str(reading.fields[name]) for name in names if reading.fields.get(name) not in (None, "")), "")
    return Component(ComponentKind.GPU, component_id(ComponentKind.GPU, name), reading.node)
