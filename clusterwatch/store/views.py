"""What people get to see: records with what belongs to them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from clusterwatch.model import (
    Attempt,
    Checkpoint,
    Decision,
    Diagnosis,
    Incident,
    Interruption,
    Job,
    Placement,
    Progress,
)

ASKED_WITHIN = timedelta(days=1)
"""A question to a person is shown for so long, unless the job it is about goes on."""


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
class JobHistory:
    """A job with what its account of time is made of: attempts by number, interruptions oldest first.

    *checkpoints* are those for which training stood still; progress is left out, it is too much to ask for often.
    """

    job: Job
    attempts: tuple[Attempt, ...]
    interruptions: tuple[Interruption, ...]
    checkpoints: tuple[Checkpoint, ...] = ()


@dataclass(frozen=True, slots=True)
class Stats:
    """How much is stored: rows by table, bytes on disk, schema revision."""

    rows: dict[str, int]
    size_bytes: int
    revision: str
