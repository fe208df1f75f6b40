"""A schedule of what happens to a cluster, and the lines of a trace file that hold it.

1. The first line is the header: format, version, kind, name, seed, start, days, cluster, jobs, assumptions.
2. Then one record a line, in the order of time; of two at the same time the one with the lower id comes first.
3. Times are seconds since the start, to the millisecond. Lines are JSON without spaces, in ASCII.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from clusterwatch.model import Cause, Component
from simulators.cluster import ClusterSpec, Parallelism

FORMAT = "clusterwatch-trace"
VERSION = 1


class Follows(StrEnum):
    """What a fault stays with when nodes are replaced: the place in the job, or that very node."""

    SLOT = "slot"
    NODE = "node"


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that breaks, and whom it strikes.

    Attributes:
        at: Seconds since the start.
        kind: Name of a fault kind of the wordings.
        component: What is broken. Its node names a slot of the job by the node that held it at the start.
        nodes: Nodes that are struck, named like the component's node; the one that holds the component comes first.
        repair_seconds: How long the part is out of service once it was withdrawn.
        seed: Chooses the wording and the numbers in it.
        follows: The slot, or, for a node that breaks again and again, that very node: where it does not train,
            the fault strikes nobody.
    """

    at: float
    id: str
    cause: Cause
    kind: str
    component: Component
    nodes: tuple[str, ...]
    repair_seconds: float
    seed: int
    follows: Follows = Follows.SLOT


@dataclass(frozen=True, slots=True)
class PlannedStop:
    """Work for which somebody stops the job. *nodes* are worked on; () for a change to the job itself."""

    at: float
    id: str
    announced: bool
    nodes: tuple[str, ...]
    duration_seconds: float
    reason: str
    seed: int


@dataclass(frozen=True, slots=True)
class Noise:
    """Something that looks like a fault and needs nobody.

    Attributes:
        count: How often it is seen, in equal steps over *over_seconds* from *at*, and in turns on *nodes*.
    """

    at: float
    id: str
    kind: str
    nodes: tuple[str, ...]
    component: Component
    seed: int
    count: int = 1
    over_seconds: float = 0.0

    def time_of(self, number: int) -> float:
        """Return when it is seen for the *number*-th time, counted from 0."""
        return self.at + self.over_seconds * number / self.count


Record = Fault | PlannedStop | Noise

RECORD_TYPES: Mapping[str, type[Record]] = {"fault": Fault, "planned": PlannedStop, "noise": Noise}
"""Class by what its lines say in "type"."""

_TYPE_OF: Mapping[type[Record], str] = {of: name for name, of in RECORD_TYPES.items()}


@dataclass(frozen=True, slots=True)
class Assumption:
    """A number that the world runs on: *source* is where it comes from, *published* whether it stands there."""

    value: float
    unit: str
    source: str
    published: bool


@dataclass(frozen=True, slots=True)
class JobPlan:
    """A training job. *step_seconds* holds (from this second of the trace on, seconds a step takes), soonest first."""

    id: str
    name: str
    user: str
    nodes_total: int
    framework: str
    scheduler_id: int
    tp: int = 8
    pp: int = 16
    dp: int = 128
    cp: int = 1
    step_seconds: tuple[tuple[float, float], ...] = ((0.0, 6.2),)

    @property
    def parallelism(self) -> Parallelism:
        """Which ranks compute together."""
        return Parallelism(self.tp, self.pp, self.dp, self.cp)

    def step_seconds_at(self, seconds: float) -> float:
        """Return how long a step takes *seconds* after the start of the trace."""
        return next(step for begins, step in reversed(self.step_seconds) if begins <= seconds)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Everything a trace file says. Records are in the order of time."""

    name: str
    seed: int
    start: datetime
    days: float
    cluster: ClusterSpec
    jobs: tuple[JobPlan, ...]
    assumptions: Mapping[str, Assumption] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
    planned: tuple[PlannedStop, ...] = ()
    noise: tuple[Noise, ...] = ()

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.days * 86_400.0

    def records(self) -> list[Record]:
        """Return all records in the order of time."""
        return sorted((*self.faults, *self.planned, *self.noise), key=in_order)

    def nodes_of(self, job: JobPlan) -> tuple[str, ...]:
        """Return the nodes that *job* holds at the start, in the order of rank: jobs take them one after the other."""
        before = sum(each.nodes_total for each in self.jobs[: self.jobs.index(job)])
        return self.cluster.training_nodes[before : before + job.nodes_total]

    def assumed(self, name: str, otherwise: float) -> float:
        """Return the value of the assumption *name*, or *otherwise* where the trace makes none of that name."""
        found = self.assumptions.get(name)
        return otherwise if found is None else found.value


def in_order(record: Record) -> tuple[float, str]:
    """Return what records are ordered by."""
    return record.at, record.id


def lines(schedule: Schedule) -> Iterator[str]:
    """Yield the lines of the trace file of *schedule*, without line ends: the same for the same schedule, anywhere."""
    yield _json(header(schedule))
    for record in schedule.records():
        yield _json({"type": _TYPE_OF[type(record)], **_fields(record)})


def header(schedule: Schedule) -> dict[str, Any]:
    """Return the first line of the trace file of *schedule* as a table."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "kind": "schedule",
        "name": schedule.name,
        "seed": schedule.seed,
        "start": schedule.start.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "days": _plain(schedule.days),
        "cluster": _plain(schedule.cluster),
        "jobs": _plain(schedule.jobs),
        "assumptions": _plain(schedule.assumptions),
    }


def _fields(record: Record) -> dict[str, Any]:
    """Return the fields of *record*; what may be left out and says nothing is left out."""
    named = ((each.name, getattr(record, each.name), each.default) for each in fields(record))
    return {name: _plain(value) for name, value, default in named if value != default}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in sorted(value.items())}
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        # Whole numbers without a point, as people write them.
        return int(value) if value.is_integer() and abs(value) < 1e15 else value
    if hasattr(value, "__dataclass_fields__"):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    return value


def _json(table: Mapping[str, Any]) -> str:
    return json.dumps(table, separators=(",", ":"), allow_nan=False)
