"""Samples of devices to events: conditions that become true, and counters that grow by what their makers call too much.

1. A value that is missing says nothing: what was known of it stays.
2. A counter needs two looks of one boot without a long pause between them: what it moved while nobody looked has no
   time and is no evidence.
3. A counter that falls (cleared, or a new boot) starts anew. Of a sample that says "is_new" each counter stood at
   zero before: those of a port that is told only from its first error on, or what one look finds since the boot.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from clusterwatch.detect.changes import Condition, Fields
from clusterwatch.detect.progress import number
from clusterwatch.detect.sightings import Sighting
from clusterwatch.model import Component, Reading, Scalar


@dataclass(frozen=True, slots=True)
class Growth:
    """A counter that grew by *least* or more within *within_seconds* (0: between two looks).

    Attributes:
        kind: Of the event; a template of the sample's fields.
        name: Of the sample's field.
        text: What the event says; a template of the sample's fields, with {growth} for what was added.
        milder: What the event's kind is where this says so of the sample's fields and of what was added, else None.
    """

    kind: str
    name: str
    text: str
    least: int = 1
    within_seconds: float = 0.0
    milder: Callable[[Fields, int], str | None] | None = None

    def kind_for(self, fields: Fields, grown: int) -> str:
        """Return the kind of event that it is to grow by *grown*."""
        return (self.milder(fields, grown) if self.milder is not None else None) or self.kind


@dataclass(frozen=True, slots=True)
class Device:
    """What the samples of one subject mean. *component* says what an event of a sample happened to."""

    subject: str
    component: Callable[[Reading], Component]
    conditions: tuple[Condition, ...] = ()
    growths: tuple[Growth, ...] = ()


def device_key(reading: Reading) -> str:
    """Return what names the sampled thing: its source, node, subject and key."""
    return "|".join((reading.source, reading.node, reading.subject, str(reading.fields.get("key", ""))))


def compare_device(
    device: Device, previous: Fields | None, reading: Reading
) -> tuple[dict[str, Scalar], list[Sighting]]:
    """Return what to remember of a sample, and what changed since *previous* (None the first time)."""
    remembered = dict(previous or {})
    noticed = {
        condition.kind: _sighting(device, reading, condition.kind, condition.text, {})
        for condition in device.conditions
        if _becomes_true(condition, reading, remembered, is_first=previous is None)
    }
    for growth in device.growths:
        grown = _grown(growth, reading, remembered, is_first=previous is None)
        if grown:
            # Of several counters of one kind the first that grew tells it.
            kind = growth.kind_for(reading.fields, grown)
            noticed.setdefault(kind, _sighting(device, reading, kind, growth.text, {"growth": grown}))
    # It is committed with every look: what does not hold and what never moved need not be in it.
    return {name: value for name, value in remembered.items() if value}, list(noticed.values())


def named(template: str, fields: Mapping[str, Scalar]) -> str:
    """Return *template* with its {fields}; nothing for one that is not there."""
    return template.format_map(_Known(fields)).replace(" ()", "").strip()


def _becomes_true(condition: Condition, reading: Reading, remembered: dict[str, Scalar], *, is_first: bool) -> bool:
    was = bool(remembered.get(condition.kind))
    holds = condition.holds(reading.fields, was)
    remembered[condition.kind] = was if holds is None else holds
    return bool(holds) and not was and (condition.from_start or not is_first)


def _grown(growth: Growth, reading: Reading, remembered: dict[str, Scalar], *, is_first: bool) -> int:
    """Return by how much the counter grew where that is enough, else 0; what is counted so far is remembered."""
    value = number(reading.fields.get(growth.name))
    if value is None:
        return 0
    # Of a thing that was sampled before, a counter without a remembered value stood at zero.
    last = None if is_first and not reading.fields.get("is_new") else number(remembered.get(growth.name)) or 0
    remembered[growth.name] = int(value)
    window = f"{growth.name}@"
    is_told = reading.fields.get("is_continuous") or reading.fields.get("is_new")
    if last is None or value < last or not is_told:
        remembered.pop(window, None)
        return 0
    if value == last:
        return 0
    begun_at, counted = _window(remembered.get(window), growth, reading.observed_at)
    counted += int(value - last)
    if counted < growth.least:
        remembered[window] = f"{begun_at.isoformat()} {counted}"
        return 0
    remembered.pop(window, None)
    return counted


def _window(stored: Scalar, growth: Growth, now: datetime) -> tuple[datetime, int]:
    """Return when the open window began and what was counted in it; a new one where none is open."""
    begun, _, counted = str(stored or "").partition(" ")
    if begun and now - datetime.fromisoformat(begun) <= timedelta(seconds=growth.within_seconds):
        return datetime.fromisoformat(begun), int(counted)
    return now, 0


def _sighting(device: Device, reading: Reading, kind: str, text: str, facts: Mapping[str, Scalar]) -> Sighting:
    # What has no value says nothing in an event either.
    fields = {name: value for name, value in {**reading.fields, **facts}.items() if value is not None}
    return Sighting(reading, named(kind, fields), device.component(reading), fields, text=named(text, fields))


class _Known(dict[str, Scalar]):
    def __missing__(self, name: str) -> str:
        return ""
