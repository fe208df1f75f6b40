"""Jobs that train to checkpoints that are overdue.

1. Overdue is what is not there after several times the job's own normal time between two.
2. Time in which the job did not train does not count, nor time before anybody looked.
3. It is told again each time that it has taken twice as long.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from clusterwatch.model import (
    Attempt,
    Component,
    ComponentKind,
    Event,
    Job,
    JobState,
    Severity,
    event_id,
)
from clusterwatch.model.kinds import CHECKPOINT_OVERDUE

TOLD_FOR = timedelta(seconds=60)
"""How long the same event is returned again, so that whoever missed a turn still gets it."""

_MOST_DOUBLINGS = 20


@dataclass(frozen=True, slots=True)
class OverdueLimits:
    """How long a complete checkpoint may be awaited.

    Attributes:
        intervals: Times the job's own normal time between two.
        minimum_seconds: Never less than this.
        source: Name under which the events stand.
    """

    intervals: float = 3.0
    minimum_seconds: float = 60.0
    source: str = "watch"


def overdue(
    jobs: Iterable[Job],
    attempts: Mapping[str, Sequence[Attempt]],
    watching_since: datetime,
    limits: OverdueLimits,
    now: datetime,
) -> tuple[list[Event], datetime | None]:
    """Return one event for each job whose checkpoint is overdue, and when the next one would be.

    The same event, with the same id, is returned for a minute. *attempts* are by job id, oldest first.
    """
    events, due = [], []
    for job in jobs:
        since = _since(job, attempts.get(job.id, ()), watching_since)
        if since is not None:
            last, coming = _moments(since, _allowed(job, limits), now)
            due.append(coming)
            if last is not None and now - last < TOLD_FOR:
                events.append(_event(job, since, last, limits.source, now))
    return events, min(due, default=None)


def _since(job: Job, attempts: Sequence[Attempt], watching_since: datetime) -> datetime | None:
    """Return since when a checkpoint is awaited; None where none is."""
    if job.state is not JobState.TRAINING or job.last_checkpoint_at is None or job.checkpoint_seconds is None:
        return None
    trains_since = attempts[-1].first_step_at if attempts else None
    return max(job.last_checkpoint_at, watching_since, trains_since or watching_since)


def _allowed(job: Job, limits: OverdueLimits) -> timedelta:
    return timedelta(seconds=max(limits.intervals * (job.checkpoint_seconds or 0.0), limits.minimum_seconds))


def _moments(since: datetime, allowed: timedelta, now: datetime) -> tuple[datetime | None, datetime]:
    """Return when it was last to be told, None if never yet, and when it will be next."""
    last, coming = None, since + allowed
    for _ in range(_MOST_DOUBLINGS):
        if coming > now:
            break
        last, coming = coming, since + 2 * (coming - since)
    return last, coming


def _event(job: Job, since: datetime, due_at: datetime, source: str, now: datetime) -> Event:
    position = f"{job.id}:{job.attempt}:{job.last_checkpoint_step}:{due_at.isoformat()}"
    silent, usual = (due_at - since) / timedelta(seconds=1), job.checkpoint_seconds or 0.0
    return Event(
        id=event_id("", "", source, position, CHECKPOINT_OVERDUE),
        kind=CHECKPOINT_OVERDUE,
        component=Component(ComponentKind.JOB, job.id),
        happened_at=due_at,
        observed_at=now,
        source=source,
        origin=position,
        severity=Severity.WARNING,
        text=f"no complete checkpoint for {silent:.0f} s after that of step {job.last_checkpoint_step}, usual are "
        f"{usual:.0f} s",
        fields={
            "step": job.last_step,
            "silent_seconds": round(silent, 3),
            "interval_seconds": round(usual, 3),
            "last_checkpoint_step": job.last_checkpoint_step,
        },
        job=job.id,
        attempt=job.attempt,
        simulated=job.simulated,
    )
