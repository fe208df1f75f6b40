"""What the responder knows between two turns, and what one turn changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from clusterwatch.model.decision import Decision, Step
from clusterwatch.model.diagnosis import Diagnosis
from clusterwatch.model.event import Event
from clusterwatch.model.fleet import Hold, MaintenanceWindow, Node, Topology
from clusterwatch.model.history import History
from clusterwatch.model.incident import Incident
from clusterwatch.model.job import Attempt, Checkpoint, Interruption, Job, Placement, Progress
from clusterwatch.model.making import changer

CHECKPOINTS_KEPT = 1000
"""How many checkpoints of a job a decision can go back by: days of them; the store keeps all."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A job that ended of late, and as it was before: its last step may be told late, or a person start it again."""

    job: Job
    ended: Job
    attempts: tuple[Attempt, ...] = ()
    checkpoints: tuple[Checkpoint, ...] = ()
    interruption: Interruption | None = None


@dataclass(frozen=True, slots=True)
class World:
    """The open state: everything a turn of `respond` needs, and exactly what the store gives back at start-up.

    Attributes:
        watching_since: When this responder began to look; silence before it means nothing.
        jobs: Active jobs by id.
        attempts: All attempts of the active jobs, by job id, oldest first.
        placements: Of the current attempt of the active jobs, by job id, in the order of rank.
        checkpoints: The latest complete checkpoints of the active jobs, at most `CHECKPOINTS_KEPT` of each, by job id,
            in the order of step.
        interruptions: The open interruption of a job, by job id.
        incidents: Open incidents by id.
        diagnoses: The latest diagnosis of each open incident, by incident id.
        decisions: Of the open incidents, by incident id, oldest first; their steps in their latest state.
        nodes: By name.
        maintenance: Windows that have not ended.
        watched: Names of the collectors that work, by node.
        heard: Nodes whose collectors were found at work since the last turn.
        history: What incidents that ended of late came to.
        recent: Decisions of the last day that had anything done, of ended incidents too, oldest first: what the brakes
            count.
        holds: What automation must leave alone, by subject; of the lifted ones that of the cluster.
        ended: The last jobs that ended, by id. Not kept over a restart.
        unexplained: Warnings of the last minutes that belong to no incident yet, in the order they came: what follows
            may come of them. Not kept over a restart.
        murmurs: How often in a day each kind of warning comes of late and nothing follows. Not kept over a restart.
        murmured_at: When that was counted last.
    """

    watching_since: datetime
    jobs: Mapping[str, Job] = field(default_factory=dict)
    attempts: Mapping[str, tuple[Attempt, ...]] = field(default_factory=dict)
    placements: Mapping[str, tuple[Placement, ...]] = field(default_factory=dict)
    checkpoints: Mapping[str, tuple[Checkpoint, ...]] = field(default_factory=dict)
    interruptions: Mapping[str, Interruption] = field(default_factory=dict)
    incidents: Mapping[str, Incident] = field(default_factory=dict)
    diagnoses: Mapping[str, Diagnosis] = field(default_factory=dict)
    decisions: Mapping[str, tuple[Decision, ...]] = field(default_factory=dict)
    nodes: Mapping[str, Node] = field(default_factory=dict)
    maintenance: tuple[MaintenanceWindow, ...] = ()
    topology: Topology = field(default_factory=Topology)
    watched: Mapping[str, frozenset[str]] = field(default_factory=dict)
    heard: frozenset[str] = frozenset()
    history: History = field(default_factory=History)
    recent: tuple[Decision, ...] = ()
    holds: Mapping[str, Hold] = field(default_factory=dict)
    ended: Mapping[str, Ended] = field(default_factory=dict)
    unexplained: tuple[Event, ...] = ()
    murmurs: Mapping[str, float] = field(default_factory=dict)
    murmured_at: datetime | None = None


_changed = changer(World)


def world_with(world: World, **changes: object) -> World:
    """Return *world* with some fields changed; a turn does so many times over, and `dataclasses.replace` is slow."""
    return _changed(world, changes)


@dataclass(frozen=True, slots=True)
class Changes:
    """What one turn changed, whole records by id; written in one transaction together with the cursor.

    *memberships* are (incident id, event id) pairs that are new; *steps* are steps whose state changed without
    an actuator (cancelled by a later revision).
    """

    jobs: tuple[Job, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    placements: tuple[Placement, ...] = ()
    checkpoints: tuple[Checkpoint, ...] = ()
    progress: tuple[Progress, ...] = ()
    interruptions: tuple[Interruption, ...] = ()
    nodes: tuple[Node, ...] = ()
    maintenance: tuple[MaintenanceWindow, ...] = ()
    incidents: tuple[Incident, ...] = ()
    memberships: tuple[tuple[str, str], ...] = ()
    diagnoses: tuple[Diagnosis, ...] = ()
    decisions: tuple[Decision, ...] = ()
    steps: tuple[Step, ...] = ()
    holds: tuple[Hold, ...] = ()
