"""What people ask: incidents, jobs, events, nodes, decisions; never written to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from clusterwatch.model import (
    Attempt,
    Checkpoint,
    Decision,
    Diagnosis,
    Event,
    Incident,
    Interruption,
    Job,
    Node,
    Placement,
    Progress,
    Severity,
)


@dataclass(frozen=True, slots=True)
class IncidentView:
    """An incident with all its diagnoses (first revision first), decisions (oldest first) and interruptions."""

    incident: Incident
    diagnoses: tuple[Diagnosis, ...]
    decisions: tuple[Decision, ...]
    interruptions: tuple[Interruption, ...]

    @property
    def diagnosis(self) -> Diagnosis | None:
        """The latest diagnosis; None before the first."""
        return self.diagnoses[-1] if self.diagnoses else None


@dataclass(frozen=True, slots=True)
class JobView:
    """A job with everything known of it, each in the order of time, oldest first; placements of all attempts by rank.

    *incidents* touch the job, newest first, each with its latest diagnosis.
    """

    job: Job
    attempts: tuple[Attempt, ...]
    placements: tuple[Placement, ...]
    checkpoints: tuple[Checkpoint, ...]
    interruptions: tuple[Interruption, ...]
    progress: tuple[Progress, ...]
    incidents: tuple[tuple[Incident, Diagnosis | None], ...]


@dataclass(frozen=True, slots=True)
class Stats:
    """How much is stored: rows by table, bytes on disk, schema revision."""

    rows: dict[str, int]
    size_bytes: int
    revision: str


class Reader:
    """Queries for people. Each is one transaction that sees one state of the database."""

    def incidents(
        self, *, open_only: bool = False, limit: int = 50, job: str | None = None
    ) -> list[tuple[Incident, Diagnosis | None]]:
        """Return incidents with their latest diagnosis, newest first; *job* is a job id."""
        raise NotImplementedError

    def incident(self, id_or_prefix: str) -> IncidentView | None:
        """Return the incident whose id starts with *id_or_prefix*.

        Raises:
            StoreError: If several do.
        """
        raise NotImplementedError

    def incident_events(self, incident_id: str, limit: int = 100) -> list[Event]:
        """Return the first *limit* events of an incident, in the order they happened."""
        raise NotImplementedError

    def jobs(self, *, limit: int = 50, active_only: bool = False) -> list[Job]:
        """Return jobs, newest first."""
        raise NotImplementedError

    def job(self, id_or_name_prefix: str) -> JobView | None:
        """Return the job whose id or name is, or else starts with, *id_or_name_prefix*.

        Raises:
            StoreError: If several do.
        """
        raise NotImplementedError

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
        raise NotImplementedError

    def nodes(self) -> list[Node]:
        """Return all nodes by name."""
        raise NotImplementedError

    def decisions(self, limit: int = 50) -> list[Decision]:
        """Return decisions with their steps, newest first."""
        raise NotImplementedError

    def stats(self) -> Stats:
        """Return how much is stored."""
        raise NotImplementedError
