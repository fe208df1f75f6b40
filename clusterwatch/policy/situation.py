"""What a decision looks at: the incident, its job, and everything beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from clusterwatch.model import (
    CLUSTER,
    Attempt,
    Checkpoint,
    Decision,
    Diagnosis,
    History,
    Hold,
    Incident,
    Job,
    MaintenanceWindow,
    Node,
    NodeState,
    Topology,
)
from clusterwatch.model.job import names_of_jobs
from clusterwatch.model.same import Same


@dataclass(frozen=True, slots=True)
class Cluster:
    """Everything beside one incident and its job.

    Attributes:
        nodes: By name, as far as they are known.
        jobs: Active jobs by id.
        recent: Decisions of the last day with steps, oldest first; the brakes count what was to be done by them.
    """

    nodes: Mapping[str, Node] = field(default_factory=dict)
    jobs: Mapping[str, Job] = field(default_factory=dict)
    topology: Topology = field(default_factory=Topology)
    maintenance: tuple[MaintenanceWindow, ...] = ()
    holds: Mapping[str, Hold] = field(default_factory=dict)
    history: History = field(default_factory=History)
    recent: tuple[Decision, ...] = ()

    @property
    def breaker(self) -> Hold | None:
        """The hold on everything; None while automation may act."""
        return self.hold_on(CLUSTER)

    def hold_on(self, subject: str) -> Hold | None:
        """Return the hold in force on *subject*; None when there is none."""
        hold = self.holds.get(subject)
        return hold if hold is not None and hold.is_active else None

    def spares(self, now: datetime) -> int | None:
        """Return how many nodes are in service and in no job; None where no node beyond those of jobs is known."""
        others = self.nodes.keys() - names_of_jobs(self.jobs.values())
        if not others:
            return None
        in_work = frozenset(self.in_maintenance(now))
        return sum(
            self.nodes[name].state is NodeState.IN_SERVICE
            and name not in in_work
            and self.hold_on(f"node:{name}") is None
            for name in others
        )

    def in_maintenance(self, now: datetime) -> Iterator[str]:
        """Yield the nodes on which work is announced for now."""
        for window in self.maintenance:
            if window.starts_at <= now < window.ends_at:
                yield from window.nodes

    def drained(self) -> list[Node]:
        """Return the nodes that ClusterWatch took out of service."""
        return list(_drained(Same(self.nodes)))


# A plan asks several times, and there are thousands of nodes to look through.
@lru_cache(maxsize=8)
def _drained(nodes: Same[Mapping[str, Node]]) -> tuple[Node, ...]:
    return tuple([node for node in nodes.value.values() if node.state is NodeState.DRAINED and node.drained_by])


@dataclass(frozen=True, slots=True)
class Situation:
    """What a decision looks at.

    *job* is the one that the incident interrupted, None when there is none; *attempts* all of its attempts,
    oldest first; *checkpoints* its complete ones in the order of step.
    """

    incident: Incident
    diagnosis: Diagnosis
    job: Job | None
    attempts: tuple[Attempt, ...] = ()
    checkpoints: tuple[Checkpoint, ...] = ()
    cluster: Cluster = field(default_factory=Cluster)
