"""What people ask: incidents, jobs, events, nodes, decisions; never written to."""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

import sqlalchemy as sa

from clusterwatch.errors import AmbiguousIdError
from clusterwatch.model import (
    ENDED_JOB_STATES,
    ENDED_STATES,
    Decision,
    Diagnosis,
    Event,
    Hold,
    Incident,
    Job,
    JobState,
    MaintenanceWindow,
    Node,
    Severity,
    StepKind,
    StepState,
    Topology,
    kinds,
)
from clusterwatch.store import lease as lease_row
from clusterwatch.store import tables
from clusterwatch.store.engine import Database
from clusterwatch.store.lease import Lease
from clusterwatch.store.migrations import current_of
from clusterwatch.store.queries import Clause, fetch, fetch_decisions, latest_diagnoses
from clusterwatch.store.records import (
    ATTEMPT,
    CHECKPOINT,
    DIAGNOSIS,
    HOLD,
    INCIDENT,
    INTERRUPTION,
    JOB,
    MAINTENANCE,
    NODE,
    PLACEMENT,
    PROGRESS,
    event_of,
)
from clusterwatch.store.tables import decisions, events, incident_events, incidents, interruptions, jobs, steps
from clusterwatch.store.views import IncidentView, JobHistory, JobView, Stats
from clusterwatch.store.world import topology_in

T = TypeVar("T", Incident, Job, Decision)

_SHOWN = 5


class Reader:
    """Queries for people. Each is one transaction that sees one state of the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def incidents(
        self, *, open_only: bool = False, limit: int = 50, job: str | None = None
    ) -> list[tuple[Incident, Diagnosis | None]]:
        """Return incidents with their latest diagnosis, newest first; *job* is a job id."""
        with self._database.read() as connection:
            where: list[Clause] = [incidents.c.state.not_in(ENDED_STATES)] if open_only else []
            where += [_touches(connection, job)] if job is not None else []
            return _explained(connection, where, limit)

    def incident(self, id_or_prefix: str) -> IncidentView | None:
        """Return the incident whose id starts with *id_or_prefix*.

        Raises:
            AmbiguousIdError: If several do.
        """
        with self._database.read() as connection:
            starts = incidents.c.id.startswith(id_or_prefix, autoescape=True)
            found = fetch(connection, INCIDENT, starts, limit=_SHOWN)
            incident = _only(found, id_or_prefix, [i for i in found if i.id == id_or_prefix])
            return _incident_view(connection, incident) if incident else None

    def incident_events(self, incident_id: str, limit: int = 100) -> list[Event]:
        """Return the first *limit* events of an incident, in the order they happened."""
        members = sa.select(incident_events.c.event_id).where(incident_events.c.incident_id == incident_id)
        query = sa.select(events).where(events.c.id.in_(members)).order_by(events.c.happened_at, events.c.seq)
        with self._database.read() as connection:
            return [event_of(row) for row in connection.execute(query.limit(limit)).mappings()]

    def jobs(self, *, limit: int = 50, active_only: bool = False) -> list[Job]:
        """Return jobs, newest first."""
        where = [jobs.c.state.not_in(ENDED_JOB_STATES)] if active_only else []
        with self._database.read() as connection:
            return list(fetch(connection, JOB, *where, order=[jobs.c.happened_at.desc()], limit=limit))

    def active_histories(self) -> list[JobHistory]:
        """Return every job that still wants to train with what its account is made of, newest job first."""
        active = jobs.c.state.not_in(ENDED_JOB_STATES)
        ids = sa.select(jobs.c.id).where(active)
        with self._database.read() as connection:
            attempts = fetch(connection, ATTEMPT, tables.attempts.c.job_id.in_(ids))
            stops = fetch(
                connection, INTERRUPTION, interruptions.c.job_id.in_(ids), order=[interruptions.c.happened_at]
            )
            stalled = (tables.checkpoints.c.job_id.in_(ids), tables.checkpoints.c.stall_seconds > 0)
            saves = fetch(connection, CHECKPOINT, *stalled, order=[tables.checkpoints.c.happened_at])
            return [
                JobHistory(
                    job,
                    tuple(attempt for attempt in attempts if attempt.job_id == job.id),
                    tuple(stop for stop in stops if stop.job_id == job.id),
                    tuple(saved for saved in saves if saved.job_id == job.id),
                )
                for job in fetch(connection, JOB, active, order=[jobs.c.happened_at.desc()])
            ]

    def job(self, id_or_name_prefix: str) -> JobView | None:
        """Return the job whose id or name is, or else starts with, *id_or_name_prefix*.

        Raises:
            AmbiguousIdError: If several do.
        """
        with self._database.read() as connection:
            job = _job(connection, id_or_name_prefix)
            return _job_view(connection, job) if job else None

    def jobs_between(self, from_at: datetime, to_at: datetime) -> list[Job]:
        """Return the jobs that lived at any time from *from_at* to *to_at*, oldest first."""
        lived = (jobs.c.happened_at <= to_at, jobs.c.ended_at.is_(None) | (jobs.c.ended_at >= from_at))
        with self._database.read() as connection:
            return list(fetch(connection, JOB, *lived, order=[jobs.c.happened_at]))

    def nodes_of_attempts(self, job_id: str) -> dict[int, frozenset[str]]:
        """Return the nodes that attempts of a job were told to run on, by number; those that told none are left out."""
        began = (events.c.job == job_id, events.c.kind == kinds.ATTEMPT_STARTED)
        query = sa.select(events.c.attempt, events.c.fields).where(*began).order_by(events.c.seq)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        told = {attempt: frozenset(str(about.get("nodes") or "").split(",")) - {""} for attempt, about in rows}
        return {attempt: names for attempt, names in told.items() if attempt is not None and names}

    def decisions_between(self, from_at: datetime, to_at: datetime) -> list[Decision]:
        """Return the decisions made from *from_at* to *to_at* with their steps, oldest first."""
        made = (decisions.c.happened_at >= from_at, decisions.c.happened_at <= to_at)
        with self._database.read() as connection:
            return list(fetch_decisions(connection, *made, order=[decisions.c.happened_at]))

    def events(
        self,
        *,
        job: str | None = None,
        node: str | None = None,
        kind: str | None = None,
        min_severity: Severity = Severity.INFO,
        since: datetime | None = None,
        after_seq: int | None = None,
        limit: int = 100,
    ) -> list[tuple[int, Event]]:
        """Return the newest *limit* events with their number, oldest first; with *after_seq* the first ones after it.

        *kind* also takes more special kinds ("gpu.xid" takes "gpu.xid.79"); *since* is compared with `observed_at`.
        """
        where = [
            job is None or events.c.job == job,
            node is None or events.c.node == node,
            kind is None or (events.c.kind == kind) | events.c.kind.startswith(f"{kind}.", autoescape=True),
            min_severity is Severity.INFO or events.c.severity >= int(min_severity),
            since is None or events.c.observed_at >= since,
            after_seq is None or events.c.seq > after_seq,
        ]
        order = events.c.seq.desc() if after_seq is None else events.c.seq
        query = sa.select(events).where(*(clause for clause in where if clause is not True))
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(order).limit(limit)).mappings()
            return sorted(((row["seq"], event_of(row)) for row in rows), key=lambda numbered: numbered[0])

    def nodes(self) -> list[Node]:
        """Return all nodes by name."""
        with self._database.read() as connection:
            return list(fetch(connection, NODE))

    def decisions(
        self,
        limit: int = 50,
        *,
        since: datetime | None = None,
        before: datetime | None = None,
        job: str | None = None,
    ) -> list[Decision]:
        """Return decisions with their steps, newest first.

        Those made at or after *since* and earlier than *before*; about the job of the id *job*.
        """
        where = [decisions.c.happened_at >= since] if since is not None else []
        where += [decisions.c.job_id == job] if job is not None else []
        where += [decisions.c.happened_at < before] if before is not None else []
        with self._database.read() as connection:
            return list(fetch_decisions(connection, *where, order=[decisions.c.happened_at.desc()], limit=limit))

    def asked(self, since: datetime) -> list[Decision]:
        """Return the decisions made after *since* that call a person, newest first.

        About a job only those for the attempt that is down still.
        """
        asks = (steps.c.kind == StepKind.ASK, steps.c.state != StepState.CANCELLED)
        calling = sa.select(steps.c.decision_id).where(*asks)
        is_down = sa.exists().where(
            jobs.c.id == decisions.c.job_id,
            jobs.c.attempt == decisions.c.attempt,
            jobs.c.state == JobState.INTERRUPTED,
        )
        found = (decisions.c.happened_at > since, decisions.c.id.in_(calling), decisions.c.job_id.is_(None) | is_down)
        with self._database.read() as connection:
            return list(fetch_decisions(connection, *found, order=[decisions.c.happened_at.desc()]))

    def decision(self, id_or_prefix: str) -> Decision | None:
        """Return the decision whose id starts with *id_or_prefix*.

        Raises:
            AmbiguousIdError: If several do.
        """
        with self._database.read() as connection:
            starts = decisions.c.id.startswith(id_or_prefix, autoescape=True)
            found = fetch_decisions(connection, starts, limit=_SHOWN)
            return _only(found, id_or_prefix, [each for each in found if each.id == id_or_prefix])

    def holds(self) -> list[Hold]:
        """Return what automation was told to leave alone, lifted or not, newest first."""
        with self._database.read() as connection:
            return list(fetch(connection, HOLD, order=[tables.holds.c.happened_at.desc()]))

    def maintenance(self) -> list[MaintenanceWindow]:
        """Return every maintenance window, the latest first."""
        with self._database.read() as connection:
            return list(fetch(connection, MAINTENANCE, order=[tables.maintenance_windows.c.happened_at.desc()]))

    def topology(self) -> Topology:
        """Return who is near whom, as far as that is on record."""
        with self._database.read() as connection:
            return topology_in(connection)

    def responder(self) -> Lease | None:
        """Return the lease in force by the database's clock; None while no process responds."""
        with self._database.read() as connection:
            return lease_row.in_force(connection)

    def stats(self) -> Stats:
        """Return how much is stored."""
        revision = current_of(self._database)
        with self._database.read() as connection:
            counts = {
                table.name: sa.select(sa.func.count()).select_from(table) for table in tables.metadata.sorted_tables
            }
            rows = {name: connection.execute(count).scalar_one() for name, count in sorted(counts.items())}
            return Stats(rows, _size_bytes(connection), revision or "")


def _explained(
    connection: sa.Connection, where: list[Clause], limit: int | None = None
) -> list[tuple[Incident, Diagnosis | None]]:
    newest_first = [incidents.c.happened_at.desc()]
    found = fetch(connection, INCIDENT, *where, order=newest_first, limit=limit)
    ids = sa.select(incidents.c.id).where(*where).order_by(*newest_first, incidents.c.id).limit(limit)
    diagnoses = latest_diagnoses(connection, ids)
    return [(incident, diagnoses.get(incident.id)) for incident in found]


def _incident_view(connection: sa.Connection, incident: Incident) -> IncidentView:
    return IncidentView(
        incident,
        fetch(connection, DIAGNOSIS, tables.diagnoses.c.incident_id == incident.id),
        fetch_decisions(connection, decisions.c.incident_id == incident.id, order=[decisions.c.happened_at]),
        fetch(
            connection, INTERRUPTION, interruptions.c.incident_id == incident.id, order=[interruptions.c.happened_at]
        ),
    )


def _job(connection: sa.Connection, text: str) -> Job | None:
    exact = fetch(connection, JOB, (jobs.c.id == text) | (jobs.c.name == text), limit=_SHOWN)
    same_id = [job for job in exact if job.id == text]
    if exact:
        return _only(exact, text, same_id)
    starts = jobs.c.id.startswith(text, autoescape=True) | jobs.c.name.startswith(text, autoescape=True)
    return _only(fetch(connection, JOB, starts, limit=_SHOWN), text, same_id)


def _job_view(connection: sa.Connection, job: Job) -> JobView:
    def of_job(table: sa.Table) -> Clause:
        return table.c.job_id == job.id

    return JobView(
        job,
        fetch(connection, ATTEMPT, of_job(tables.attempts)),
        fetch(connection, PLACEMENT, of_job(tables.placements)),
        fetch(connection, CHECKPOINT, of_job(tables.checkpoints), order=[tables.checkpoints.c.happened_at]),
        fetch(connection, INTERRUPTION, of_job(interruptions), order=[interruptions.c.happened_at]),
        fetch(connection, PROGRESS, of_job(tables.progress), order=[tables.progress.c.happened_at]),
        tuple(_explained(connection, [_touches(connection, job.id)])),
    )


def _only(found: tuple[T, ...], text: str, exact: list[T]) -> T | None:
    if len(exact) == 1 or len(found) == 1:
        return (exact or list(found))[0]
    if not found:
        return None
    names = ", ".join(record.id for record in found)
    raise AmbiguousIdError(
        f'"{text}" could be several: {names}{", ..." if len(found) == _SHOWN else ""}: name one in full'
    )


def _touches(connection: sa.Connection, job_id: str) -> Clause:
    members = {"postgresql": sa.func.jsonb_array_elements_text, "sqlite": sa.func.json_each}[connection.dialect.name]
    member = members(incidents.c.jobs).table_valued("value")
    return sa.exists(sa.select(1).select_from(member).where(member.c.value == job_id))


def _size_bytes(connection: sa.Connection) -> int:
    query = {
        "postgresql": "select pg_database_size(current_database())",
        "sqlite": "select page_count * page_size from pragma_page_count(), pragma_page_size()",
    }[connection.dialect.name]
    size: int = connection.execute(sa.text(query)).scalar_one()
    return size
