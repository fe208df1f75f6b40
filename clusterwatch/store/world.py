"""The open state out, and what a turn changed in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from datetime import datetime, timedelta
from typing import TypeVar

import sqlalchemy as sa

from clusterwatch.model import (
    CLUSTER,
    ENDED_JOB_STATES,
    ENDED_STATES,
    Changes,
    Decision,
    History,
    Hold,
    MaintenanceWindow,
    Topology,
    World,
)
from clusterwatch.model.world import CHECKPOINTS_KEPT
from clusterwatch.store import steps as plan
from clusterwatch.store.inbox import Cursor
from clusterwatch.store.nodelists import NodesWritten
from clusterwatch.store.queries import fetch, fetch_decisions, latest_diagnoses
from clusterwatch.store.records import (
    ATTEMPT,
    CHECKPOINT,
    DECISION,
    DIAGNOSIS,
    HOLD,
    INCIDENT,
    INTERRUPTION,
    JOB,
    MAINTENANCE,
    NODE,
    PLACEMENT,
    PROGRESS,
    STEP,
)
from clusterwatch.store.tables import (
    attempts,
    checkpoints,
    collector_state,
    decisions,
    holds,
    incident_events,
    incidents,
    interruptions,
    jobs,
    maintenance_windows,
    nodes,
    placements,
    responder,
    topology,
)
from clusterwatch.store.writing import add, add_rows, put

WATCHED_SECONDS = 120
"""A collector that last looked longer ago is not watching: what it does not report means nothing."""

RECENT = timedelta(days=1)
"""How far back brakes count what automation did."""

HISTORY_DAYS = 30
"""How long an ended incident teaches what is usual here."""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_ACTIVE = jobs.c.state.not_in(ENDED_JOB_STATES)
_ACTIVE_IDS = sa.select(jobs.c.id).where(_ACTIVE)
_OPEN_IDS = sa.select(incidents.c.id).where(incidents.c.state.not_in(ENDED_STATES))


def open_world(connection: sa.Connection, now: datetime) -> World:
    """Return the open state; it does not grow with history."""
    current = sa.tuple_(placements.c.job_id, placements.c.attempt)
    active_attempts = sa.select(jobs.c.id, jobs.c.attempt).where(_ACTIVE)
    saved = _latest_checkpoints()
    stopped = (interruptions.c.job_id.in_(_ACTIVE_IDS), interruptions.c.ended_at.is_(None))
    undone = fetch_decisions(connection, decisions.c.incident_id.in_(_OPEN_IDS), order=[decisions.c.happened_at])
    return World(
        watching_since=now,
        jobs={job.id: job for job in fetch(connection, JOB, _ACTIVE)},
        attempts=_grouped(fetch(connection, ATTEMPT, attempts.c.job_id.in_(_ACTIVE_IDS)), lambda a: a.job_id),
        placements=_grouped(fetch(connection, PLACEMENT, current.in_(active_attempts)), lambda p: p.job_id),
        checkpoints=_grouped(fetch(connection, CHECKPOINT, saved, order=[checkpoints.c.step]), lambda c: c.job_id),
        interruptions={stop.job_id: stop for stop in fetch(connection, INTERRUPTION, *stopped)},
        incidents={incident.id: incident for incident in fetch(connection, INCIDENT, incidents.c.id.in_(_OPEN_IDS))},
        diagnoses=latest_diagnoses(connection, _OPEN_IDS),
        decisions=_grouped(undone, lambda decision: decision.incident_id),
        nodes={node.name: node for node in fetch(connection, NODE)},
        maintenance=maintenance(connection, now),
        topology=topology_in(connection),
        watched=watched(connection, now),
        history=_history(connection, now),
        recent=_recent(connection, now),
        holds=held(connection),
    )


def _recent(connection: sa.Connection, now: datetime) -> tuple[Decision, ...]:
    """Return the decisions of the last day that have steps, and those that drained what is drained still."""
    drained_by = sa.select(nodes.c.drained_by).where(nodes.c.drained_by != "")
    of_late = (decisions.c.happened_at > now - RECENT) | decisions.c.id.in_(drained_by)
    made = fetch_decisions(connection, of_late, order=[decisions.c.happened_at])
    return tuple(decision for decision in made if decision.steps)


def maintenance(connection: sa.Connection, now: datetime) -> tuple[MaintenanceWindow, ...]:
    """Return the windows that have not ended, by when they begin."""
    not_over = maintenance_windows.c.ends_at > now
    return fetch(connection, MAINTENANCE, not_over, order=[maintenance_windows.c.happened_at])


def held(connection: sa.Connection) -> dict[str, Hold]:
    """Return what automation must leave alone, and since when it counts anew after a reset of the breaker."""
    matters = holds.c.lifted_at.is_(None) | (holds.c.subject == CLUSTER)
    return {hold.subject: hold for hold in fetch(connection, HOLD, matters)}


def _latest_checkpoints() -> sa.ColumnElement[bool]:
    newest_first = (checkpoints.c.step.desc(), checkpoints.c.happened_at.desc())
    place = sa.func.row_number().over(partition_by=checkpoints.c.job_id, order_by=newest_first).label("place")
    complete = sa.select(checkpoints.c.job_id, checkpoints.c.path, place).where(
        checkpoints.c.job_id.in_(_ACTIVE_IDS), checkpoints.c.complete
    )
    ranked = complete.subquery()
    latest = sa.select(ranked.c.job_id, ranked.c.path).where(ranked.c.place <= CHECKPOINTS_KEPT)
    return sa.tuple_(checkpoints.c.job_id, checkpoints.c.path).in_(latest)


def saved_cursor(connection: sa.Connection) -> Cursor:
    """Return how far the inbox was read."""
    stored: dict[str, int] = connection.execute(sa.select(responder.c.cursor)).scalar_one()
    return Cursor(**stored)


def write_changes(connection: sa.Connection, changes: Changes, now: datetime, written: NodesWritten) -> None:
    """Write everything in *changes*; parents before their children."""
    written.put(connection, JOB, changes.jobs, now)
    written.put(connection, ATTEMPT, changes.attempts, now)
    put(connection, PLACEMENT, changes.placements, now)
    put(connection, CHECKPOINT, changes.checkpoints, now)
    put(connection, PROGRESS, changes.progress, now)
    put(connection, NODE, changes.nodes, now)
    put(connection, MAINTENANCE, changes.maintenance, now)
    put(connection, INCIDENT, changes.incidents, now)
    put(connection, INTERRUPTION, changes.interruptions, now)
    members = [(*membership, now) for membership in changes.memberships]
    add_rows(connection, incident_events, ("incident_id", "event_id", "received_at"), members)
    add(connection, DIAGNOSIS, changes.diagnoses, now)
    put(connection, DECISION, changes.decisions, now)
    add(connection, STEP, [step for decision in changes.decisions for step in decision.steps], now)
    plan.change(connection, changes.steps, now)
    put(connection, HOLD, changes.holds, now)


def replace_topology(connection: sa.Connection, new: Topology, now: datetime) -> None:
    """Write who is near whom, and forget what was known before."""
    connection.execute(sa.delete(topology))
    near = new.neighbourhoods.items()
    rows = [(node, sorted(names), now) for node, names in near]
    add_rows(connection, topology, ("node", "neighbourhoods", "received_at"), rows)


def _history(connection: sa.Connection, now: datetime) -> History:
    """Return what the incidents that ended in the last weeks came to."""
    of_late = incidents.c.closed_at >= now - timedelta(days=HISTORY_DAYS)
    closed = sa.select(incidents.c.id).where(incidents.c.state.in_(ENDED_STATES), of_late)
    of_jobs = sa.select(decisions.c.incident_id).where(decisions.c.job_id.is_not(None)).distinct()
    concerned = set(connection.scalars(of_jobs.where(decisions.c.incident_id.in_(closed))))
    return History().after(latest_diagnoses(connection, closed).values(), concerned)


def topology_in(connection: sa.Connection) -> Topology:
    """Return who is near whom."""
    rows = connection.execute(sa.select(topology.c.node, topology.c.neighbourhoods))
    return Topology({node: frozenset(names) for node, names in rows})


def watched(connection: sa.Connection, now: datetime) -> dict[str, frozenset[str]]:
    """Return the collectors that look, by node: one that has no device to look at sees nothing."""
    recently = collector_state.c.last_success_at >= now - timedelta(seconds=WATCHED_SECONDS)
    works = (recently, collector_state.c.error == "", collector_state.c.condition == "")
    names: dict[str, set[str]] = defaultdict(set)
    for node, name in connection.execute(sa.select(collector_state.c.node, collector_state.c.collector).where(*works)):
        # What stands behind "@" tells the agents of one node apart.
        names[node].add(name.partition("@")[0])
    return {node: frozenset(found) for node, found in sorted(names.items())}


def _grouped(records: Iterable[V], key: Callable[[V], K]) -> dict[K, tuple[V, ...]]:
    groups: dict[K, list[V]] = defaultdict(list)
    for record in records:
        groups[key(record)].append(record)
    return {name: tuple(members) for name, members in groups.items()}
