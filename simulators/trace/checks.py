"""What must hold between the records of a trace, its header and its cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite

from clusterwatch.errors import ConfigError
from clusterwatch.model import Cause
from simulators.cluster import ClusterSpec, cluster_from
from simulators.terms import Terms
from simulators.trace.records import Assumption, Fault, Follows, JobPlan, Noise, PlannedStop, Record, Schedule, header

Problem = tuple[str, str]
"""Where in the line, and what is wrong there."""

LONGEST_NAME = 200
LONGEST_DAYS = 3_660.0
LARGEST_COUNT = 10_000_000
LONGEST_SECONDS = 366 * 86_400.0

_INSTEAD: Mapping[Cause, str] = {
    Cause.BENIGN: 'nothing is wrong there: write it as "noise"',
    Cause.PLANNED_MAINTENANCE: 'nobody is surprised by it: write it as "planned"',
}

NO_FAULTS = frozenset(_INSTEAD)
"""Causes that a fault cannot have."""


def header_problems(schedule: Schedule) -> Iterator[Problem]:
    """Yield what is wrong with the header of *schedule*."""
    yield from _named("name", schedule.name)
    if not (isfinite(schedule.days) and 0 < schedule.days <= LONGEST_DAYS):
        yield "days", f"must be above 0 and at most {LONGEST_DAYS:,.0f}"
    if schedule.start.tzinfo is None:
        yield "start", 'must say its time zone: end it with "Z"'
    yield from assumption_problems(schedule.assumptions)
    yield from _cluster_problems(schedule)
    yield from job_problems(schedule.jobs, schedule.cluster)


def assumption_problems(assumptions: Mapping[str, Assumption]) -> Iterator[Problem]:
    """Yield what is wrong with the values of *assumptions*, those that nobody reads among them."""
    try:
        Terms.of({name: each.value for name, each in assumptions.items()})
    except ConfigError as error:
        yield from ((f"assumptions.{mistake.key}.value", mistake.problem) for mistake in error.mistakes)
    for name in assumptions.keys() - Terms.names():
        if not isfinite(assumptions[name].value):
            yield f"assumptions.{name}.value", "must be finite"


def _cluster_problems(schedule: Schedule) -> Iterator[Problem]:
    try:
        cluster_from(header(schedule)["cluster"], "cluster")
    except ConfigError as error:
        yield from ((f"cluster.{mistake.key}", mistake.problem) for mistake in error.mistakes)


def job_problems(jobs: Sequence[JobPlan], spec: ClusterSpec) -> Iterator[Problem]:
    """Yield what is wrong with *jobs* on the cluster *spec*."""
    if not jobs:
        yield "jobs", "must hold at least one job"
    if len({job.id for job in jobs}) < len(jobs):
        yield "jobs", "two of them have the same id"
    if sum(job.nodes_total for job in jobs) > spec.training_nodes_total:
        yield "jobs", f"want more than the {spec.training_nodes_total:,} nodes of cluster.training_nodes_total"
    for number, job in enumerate(jobs):
        for place, words in _one_job_problems(job, spec.gpus_per_node):
            yield f"jobs.{number}.{place}", words


def _one_job_problems(job: JobPlan, gpus_per_node: int) -> Iterator[Problem]:
    yield from _named("id", job.id)
    if min(job.nodes_total, job.tp, job.pp, job.dp, job.cp) < 1:
        yield "nodes_total", "must be positive, and so must tp, pp, dp and cp"
    elif job.parallelism.world_size != job.nodes_total * gpus_per_node:
        yield "tp", f"tp x pp x dp x cp must be its {job.nodes_total * gpus_per_node:,} GPUs"
    begins = [begin for begin, _ in job.step_seconds]
    if begins[:1] != [0.0] or begins != sorted(set(begins)):
        yield "step_seconds", "must begin at second 0 and go forward"
    if not all(isfinite(begin) and isfinite(step) and step > 0 for begin, step in job.step_seconds):
        yield "step_seconds", "steps must take time"


@dataclass(slots=True)
class RecordChecks:
    """Checks records one after the other; remembers the ids and the time of the last one.

    Attributes:
        slots: Nodes that the jobs hold at the start.
        seconds: How long the trace lasts.
    """

    cluster: ClusterSpec
    slots: frozenset[str]
    seconds: float
    kinds: Mapping[str, Cause] | None = None
    _ids: set[str] = field(default_factory=set)
    _last_at: float = 0.0

    def problems(self, record: Record) -> Iterator[Problem]:
        """Yield what is wrong with *record*, which comes after all those before it."""
        yield from _named("id", record.id)
        if record.id in self._ids:
            yield "id", f"{record.id[:60]!r} was there before: ids are unique"
        self._ids.add(record.id)
        yield from self._time_problems(record)
        yield from self._node_problems("nodes", record.nodes)
        if not isinstance(record, PlannedStop):
            yield from self._component_problems(record)
            yield from self._kind_problems(record)
        yield from _CHECKS[type(record)](self, record)

    def _time_problems(self, record: Record) -> Iterator[Problem]:
        if not (isfinite(record.at) and 0 <= record.at <= self.seconds):
            yield "at", f"must be within the trace: 0 to {self.seconds:,.15g} seconds"
            return
        if record.at < self._last_at:
            yield "at", f"is before the line above ({self._last_at:,.15g}): sort the records by time"
        self._last_at = max(self._last_at, record.at)

    def _node_problems(self, place: str, nodes: tuple[str, ...]) -> Iterator[Problem]:
        strange = [node for node in nodes if not self.cluster.has_node(node)]
        if strange:
            last = self.cluster.nodes[-1]
            yield place, f"no node {strange[0][:40]!r} in the cluster: they are node0001 to {last}"
        if len(set(nodes)) < len(nodes):
            yield place, "names a node twice"

    def _component_problems(self, record: Fault | Noise) -> Iterator[Problem]:
        if len(record.component.id) > LONGEST_NAME:
            yield "component.id", f"must have at most {LONGEST_NAME} characters"
        if record.component.node and not self.cluster.has_node(record.component.node):
            yield "component.node", f"no node {record.component.node[:40]!r} in the cluster"

    def _kind_problems(self, record: Fault | Noise) -> Iterator[Problem]:
        yield from _named("kind", record.kind)
        if self.kinds is None:
            return
        if record.kind not in self.kinds:
            yield "kind", f"nobody knows the words of {record.kind[:60]!r}: choose one of the kinds of the wordings"
        elif isinstance(record, Fault) and self.kinds[record.kind] is not record.cause:
            yield "cause", f"a {record.kind} is a {self.kinds[record.kind]}, not a {record.cause}"

    def _fault_problems(self, fault: Record) -> Iterator[Problem]:
        assert isinstance(fault, Fault)
        if fault.cause in _INSTEAD:
            yield "cause", _INSTEAD[fault.cause]
        if not fault.nodes:
            yield "nodes", "must name the node it strikes"
        elif fault.component.node and fault.component.node != fault.nodes[0]:
            yield "nodes", f"must begin with the node that holds the component, {fault.component.node[:40]!r}"
        if fault.follows is Follows.SLOT and not self.slots.issuperset(fault.nodes):
            yield "nodes", 'one of them does not train at the start: only those have slots, or say "follows": "node"'
        yield from _duration("repair_seconds", fault.repair_seconds)

    def _planned_problems(self, planned: Record) -> Iterator[Problem]:
        assert isinstance(planned, PlannedStop)
        yield from _duration("duration_seconds", planned.duration_seconds)
        if len(planned.reason) > LONGEST_NAME:
            yield "reason", f"must have at most {LONGEST_NAME} characters"

    def _noise_problems(self, noise: Record) -> Iterator[Problem]:
        assert isinstance(noise, Noise)
        if not 1 <= noise.count <= LARGEST_COUNT:
            yield "count", f"must be 1 to {LARGEST_COUNT:,}"
        if not noise.nodes:
            yield "nodes", "must name the node where it is seen"
        yield from _duration("over_seconds", noise.over_seconds)


_CHECKS: Mapping[type[Record], Callable[[RecordChecks, Record], Iterator[Problem]]] = {
    Fault: RecordChecks._fault_problems,
    PlannedStop: RecordChecks._planned_problems,
    Noise: RecordChecks._noise_problems,
}


def _named(place: str, name: str) -> Iterator[Problem]:
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        yield place, f"must have 1 to {LONGEST_NAME} printable characters"


def _duration(place: str, seconds: float) -> Iterator[Problem]:
    if not (isfinite(seconds) and 0 <= seconds <= LONGEST_SECONDS):
        yield place, f"must be 0 to {LONGEST_SECONDS:,.0f} seconds"
