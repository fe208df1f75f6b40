"""A recording and the lines of its file.

1. The first line is the header: format, version, kind, name, start, days, job, actuator, mode, nodes, gpus, topology,
   maintenance.
2. Then one record a line, in the order in which they came: an event that was noticed, a reading as it was collected,
   or a decision with what carrying it out gave.
3. Times of records are seconds since the start; everything inside of them has its own times.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Literal

from pydantic import TypeAdapter

from clusterwatch.model import Decision, Event, MaintenanceWindow, Mode, Reading, Scalar, Topology
from clusterwatch.seams import OnRecord

KIND = "recording"


@dataclass(frozen=True, slots=True)
class Noticed:
    """An event, as the daemon stored it."""

    at: float
    event: Event
    type: Literal["event"] = "event"


@dataclass(frozen=True, slots=True)
class Seen:
    """A reading, as a collector gave it: detection is part of the replay."""

    at: float
    reading: Reading
    type: Literal["reading"] = "reading"


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision with the states its steps came to, and the facts they gave, by the id of the step."""

    at: float
    decision: Decision
    facts: Mapping[str, Mapping[str, Scalar]] = field(default_factory=dict)
    type: Literal["decision"] = "decision"


Record = Noticed | Seen | Decided

RECORD_TYPES: Mapping[str, type[Record]] = {"event": Noticed, "reading": Seen, "decision": Decided}
"""Class by what its lines say in "type"."""


@dataclass(frozen=True, slots=True)
class Header:
    """The first line of a recording.

    Attributes:
        job: Id of the job that a summary is about.
        actuator: Who acted on it.
        mode: "auto" where steps were carried out, else "observe".
        nodes, gpus: Of that job.
        topology: The neighbourhoods of each node.
    """

    name: str
    start: datetime
    days: float
    job: str
    actuator: str
    mode: Mode
    nodes: int
    gpus: int
    topology: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    maintenance: tuple[MaintenanceWindow, ...] = ()
    format: Literal["clusterwatch-trace"] = "clusterwatch-trace"
    version: Literal[1] = 1
    kind: Literal["recording"] = "recording"


@dataclass(frozen=True, slots=True)
class Recording:
    """A header, and what gives the records, and the few decisions among them; meets `clusterwatch.seams.Trace`."""

    header: Header
    records: Callable[[], Iterator[Record]]
    decisions: Callable[[], Iterator[Decided]]

    @property
    def name(self) -> str:
        """What it is called."""
        return self.header.name

    @property
    def seed(self) -> int:
        """Nothing in it was drawn: 0."""
        return 0

    @property
    def days(self) -> float:
        """How long it lasts."""
        return self.header.days


def recording_of(known: OnRecord) -> Recording:
    """Return what a daemon has on record as a recording."""
    header = Header(
        name=known.name,
        start=known.start,
        days=max((known.ends_at - known.start) / timedelta(days=1), 0.0),
        job=known.job,
        actuator=known.actuator,
        mode=known.mode,
        nodes=known.nodes_total,
        gpus=known.gpus_total,
        topology={node: tuple(sorted(near)) for node, near in sorted(known.topology.neighbourhoods.items())},
        maintenance=known.maintenance,
    )
    return Recording(header, lambda: _merged(known), lambda: _all_decided(known))


def _merged(known: OnRecord) -> Iterator[Record]:
    """Yield events and decisions in the order of time; a decision comes after the events it was made on."""
    waiting, latest = deque(_all_decided(known)), 0.0
    for event in known.events():
        latest = max(latest, _seconds(known, event.received_at or event.observed_at))
        while waiting and waiting[0].at < latest:
            yield waiting.popleft()
        yield Noticed(latest, event)
    yield from waiting


def _all_decided(known: OnRecord) -> Iterator[Decided]:
    for decision in known.decisions:
        facts = {step.id: known.facts[step.id] for step in decision.steps if step.id in known.facts}
        yield Decided(_seconds(known, decision.made_at), decision, facts)


def _seconds(known: OnRecord, at: datetime) -> float:
    return max(round((at - known.start) / timedelta(seconds=1), 6), 0.0)


def topology_of(header: Header) -> Topology:
    """Return who is near whom."""
    return Topology({node: frozenset(near) for node, near in header.topology.items()})


def lines(recording: Recording) -> Iterator[str]:
    """Yield the lines of the file of *recording*, without line ends."""
    yield _json(recording.header)
    for record in recording.records():
        yield _json(record)


def _json(record: Header | Record) -> str:
    # What says nothing is left out, but not what tells one line from another.
    named = {each.name for each in fields(record)} & {"type", "format", "version", "kind"}
    told: dict[str, Any] = {name: getattr(record, name) for name in sorted(named)}
    of: type = type(record)
    rest = adapter(of).dump_json(record, exclude_defaults=True, exclude=named).decode()
    first = adapter(dict).dump_json(told).decode()
    return f"{first[:-1]},{rest[1:]}"


@cache
def adapter(of: type) -> TypeAdapter[Any]:
    """Return what turns an *of* into JSON and back."""
    return TypeAdapter(of)
