"""Samples to events, by comparison with the previous sample of the same thing.

1. A condition tells when it becomes true; a counter tells when it moves the wrong way.
2. A value that is missing says nothing: what was known of it stays.
3. A counter that went back was reset: it counts on from there. One that starts with the driver is forgotten over a
   reboot, because its old value may be above or below the new one by chance.
4. What a counter moved while nobody looked, or while it gave no value, for long has no time: it is no evidence of now.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from clusterwatch.detect import gpu
from clusterwatch.detect.changes import Condition, Counter, Fields, beyond, flag
from clusterwatch.detect.progress import number
from clusterwatch.detect.sightings import Sighting, component_id
from clusterwatch.model import Component, ComponentKind, Reading, Scalar, node_component
from clusterwatch.model.kinds import GPU_COUNT, GPU_SAMPLE, HOST_SAMPLE

MOUNT_SAMPLE = "host.mount"


@dataclass(frozen=True, slots=True)
class Sampled:
    """What the samples of one subject are about.

    Attributes:
        conditions: What they can show.
        counters: What can move in them.
        instance: Fields of which the first that has a value names the sampled thing among its like on the node.
        kind: Of the component; None for the node.
        component: Fields of which the first that has a value is the component's id; *instance* where there is none.
    """

    conditions: tuple[Condition, ...] = ()
    counters: tuple[Counter, ...] = ()
    instance: tuple[str, ...] = ()
    kind: ComponentKind | None = None
    component: tuple[str, ...] = ()


SUBJECTS: dict[str, Sampled] = {
    GPU_SAMPLE: Sampled(
        gpu.CONDITIONS, gpu.COUNTERS, ("uuid", "pci", "index"), ComponentKind.GPU, ("pci", "uuid", "index")
    ),
    GPU_COUNT: Sampled(gpu.COUNT_CONDITIONS, gpu.COUNT_COUNTERS),
    HOST_SAMPLE: Sampled(
        (
            Condition(
                "host.memory_pressure",
                beyond("memory_available_percent", limit=3.0, calm=6.0),
                "only {memory_available_percent} % of memory is available",
            ),
        )
    ),
    MOUNT_SAMPLE: Sampled(
        (
            Condition(
                "host.read_only_mount", flag("read_only"), "{mount} ({device}) became read-only", from_start=False
            ),
            Condition("host.mount_unresponsive", flag("timed_out"), "{mount} ({fstype}) does not answer"),
            Condition(
                "host.disk_full", beyond("used_percent", limit=98.0, calm=95.0), "{mount} is {used_percent} % full"
            ),
        ),
        instance=("mount",),
    ),
}
"""What each subject's samples can show. A new one is a line here; nothing else needs to know it."""

SAMPLES = frozenset(SUBJECTS)
"""Subjects of the readings that are samples."""

_BOOT, _LOOKED_AT = "boot_id", "looked_at"

# Behind the name of a counter that gives no value now: when it last gave one.
_KNOWN_AT = "@"

# How exactly the last look is remembered: to the second, the state would be written anew with each.
_LOOKED_AT_SECONDS = 60.0


def sample_key(reading: Reading) -> str:
    """Return what names the sampled thing: its source, node and instance."""
    instance = _first(reading.fields, SUBJECTS[reading.subject].instance)
    return "|".join((reading.source, reading.node, reading.subject, instance))


def compare(previous: Fields | None, reading: Reading) -> tuple[dict[str, Scalar], list[Sighting]]:
    """Return what to remember of a sample, and what changed since *previous* (None the first time)."""
    sampled = SUBJECTS[reading.subject]
    before = _still_valid(previous or {}, sampled, reading.boot_id)
    remembered = dict(before)
    noticed: dict[str, Sighting] = {}
    for condition in sampled.conditions:
        was = bool(before.get(condition.kind))
        holds = condition.holds(reading.fields, was)
        remembered[condition.kind] = was if holds is None else holds
        if holds and not was and (condition.from_start or previous is not None):
            noticed[condition.kind] = _sighting(reading, condition.kind, condition.text)
    for counter in sampled.counters:
        value, last = number(reading.fields.get(counter.name)), number(before.get(counter.name))
        remembered[counter.name] = last if value is None else value
        known_at = before.get(counter.name + _KNOWN_AT) or before.get(_LOOKED_AT)
        remembered[counter.name + _KNOWN_AT] = known_at if value is None and last is not None else None
        move = _move(counter, last, value) if _is_watched(counter, _gap_seconds(known_at, reading)) else ""
        if move and noticed.keys().isdisjoint((counter.kind, *counter.unless)):
            noticed[counter.kind] = _sighting(reading, counter.kind, f"{counter.text}, {move}")
    if sampled.counters:
        remembered[_LOOKED_AT] = _looked_at(before.get(_LOOKED_AT), reading)
    # It is committed with every look: what does not hold and what has no value need not be in it.
    kept: dict[str, Scalar] = {
        name: value for name, value in remembered.items() if value is not None and value is not False
    }
    return kept, list(noticed.values())


def since_the_driver_started(readings: Iterable[Reading]) -> dict[str, dict[str, Scalar]]:
    """Return what would be remembered of the sampled things had somebody looked when the driver started.

    With it one look tells what has happened since, whenever it did. Only counters of which each count matters are
    among it: what a healthy part does now and then adds up over weeks.
    """
    zeros = {sample_key(reading): _zeros(reading) for reading in readings if reading.subject in SAMPLES}
    return {key: zero for key, zero in zeros.items() if zero}


def _zeros(reading: Reading) -> dict[str, Scalar]:
    counters = SUBJECTS[reading.subject].counters
    counts = {counter.name: 0 for counter in counters if counter.is_volatile and counter.least <= 1}
    return {_BOOT: reading.boot_id, **counts} if counts else {}


def _still_valid(before: Fields, sampled: Sampled, boot_id: str) -> Mapping[str, Scalar]:
    if not boot_id:
        return before
    known = before.get(_BOOT)
    if known in (None, boot_id):
        return {**before, _BOOT: boot_id}
    gone = {counter.name for counter in sampled.counters if counter.is_volatile}
    return {**{name: value for name, value in before.items() if name not in gone}, _BOOT: boot_id}


def _gap_seconds(since: Scalar, reading: Reading) -> float | None:
    """Return how long ago *since* was, to the minute; None when that is not known."""
    return None if since is None else (reading.observed_at - datetime.fromisoformat(str(since))).total_seconds()


def _looked_at(last: Scalar, reading: Reading) -> Scalar:
    gap_seconds = _gap_seconds(last, reading)
    is_recent = gap_seconds is not None and 0 <= gap_seconds < _LOOKED_AT_SECONDS
    return last if is_recent else reading.observed_at.isoformat()


def _is_watched(counter: Counter, gap_seconds: float | None) -> bool:
    return counter.longest_gap_seconds is None or gap_seconds is None or gap_seconds <= counter.longest_gap_seconds


def _move(counter: Counter, last: float | None, value: float | None) -> str:
    """Return the move that is worth an event, in words; "" when there is none."""
    if last is None or value is None or (value - last) * counter.direction < counter.least:
        return ""
    return f"{last:.15g} -> {value:.15g}"


def _sighting(reading: Reading, kind: str, text: str) -> Sighting:
    said = {name: "" if value is None else value for name, value in reading.fields.items()}
    # What has no value says nothing in an event either.
    told = {name: value for name, value in reading.fields.items() if value is not None}
    filled = text.format_map(_Known(said)).replace(" ()", "").strip()
    return Sighting(reading, kind, _component(reading), told, text=filled)


class _Known(dict[str, Scalar]):
    def __missing__(self, name: str) -> str:
        return ""


def _component(reading: Reading) -> Component:
    sampled = SUBJECTS[reading.subject]
    if sampled.kind is None:
        return node_component(reading.node)
    name = _first(reading.fields, sampled.component or sampled.instance)
    return Component(sampled.kind, component_id(sampled.kind, name), reading.node)


def _first(fields: Fields, names: tuple[str, ...]) -> str:
    return next(_values(fields, names), "")


def _values(fields: Fields, names: tuple[str, ...]) -> Iterator[str]:
    return (str(fields[name]) for name in names if fields.get(name) not in (None, ""))
