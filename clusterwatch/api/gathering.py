"""The store to the records that one page shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from clusterwatch.model import CollectorStatus, Decision, Diagnosis, Incident, IncidentState, Node
from clusterwatch.store import ASKED_WITHIN, IncidentView, JobHistory, Store

SHOWN_INCIDENTS = 20
"""Open incidents shown with all they hold; more at once is a list that nobody reads."""
SHOWN_CLOSED = 10
_COUNTED = 1000
_SEARCHED = 200

Explained = tuple[Incident, Diagnosis | None]


@dataclass(frozen=True, slots=True)
class Records:
    """What is on record at one moment.

    Attributes:
        incidents: The gravest and newest open ones, with diagnoses and decisions.
        open_total: How many are open, counted to a thousand.
        closed: Those closed last, latest first.
        explained: Incidents of late with their diagnosis, open or not: what interruptions refer to.
        asked: Decisions of the last day that call a person, newest first.
        jobs: Those that want to train; job_names: names by id, also of jobs that ended.
    """

    incidents: tuple[IncidentView, ...]
    open_total: int
    closed: tuple[Explained, ...]
    explained: tuple[Explained, ...]
    jobs: tuple[JobHistory, ...]
    job_names: Mapping[str, str]
    nodes: tuple[Node, ...]
    collectors: tuple[CollectorStatus, ...]
    asked: tuple[Decision, ...] = ()


def gather(store: Store, now: datetime) -> Records:
    """Return what the page shows as of *now*.

    Raises:
        StoreError: The database does not answer.
    """
    read = store.read
    still_open = read.incidents(open_only=True, limit=_COUNTED)
    late = read.incidents(limit=_SEARCHED)
    gravest = sorted((incident for incident, _ in still_open), key=_gravity)[:SHOWN_INCIDENTS]
    views = (read.incident(incident.id) for incident in gravest)
    return Records(
        incidents=tuple(view for view in views if view is not None),
        open_total=len(still_open),
        closed=_closed_last(late),
        explained=tuple(late),
        jobs=tuple(read.active_histories()),
        job_names={job.id: job.name or job.id for job in read.jobs(limit=_COUNTED)},
        nodes=tuple(read.nodes()),
        collectors=tuple(store.collector_statuses()),
        asked=tuple(read.asked(now - ASKED_WITHIN)),
    )


def _gravity(incident: Incident) -> tuple[bool, int]:
    # What holds up a job comes first. Sorting is stable, so that equals stay newest first.
    return (not incident.jobs, -int(incident.severity))


def _closed_last(late: list[Explained]) -> tuple[Explained, ...]:
    closed = [(incident.closed_at, incident, found) for incident, found in late if incident.closed_at is not None]
    closed = [each for each in closed if each[1].state is IncidentState.CLOSED]
    closed.sort(key=lambda each: each[0], reverse=True)
    return tuple((incident, found) for _, incident, found in closed[:SHOWN_CLOSED])
