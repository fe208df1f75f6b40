"""Jobs to hangs: what has not moved for several times its own step time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from clusterwatch.model import Component, ComponentKind, Event, Job, JobState, Placement, Scalar, Severity, event_id
from clusterwatch.model.kinds import HANG

STARTUP_HANG = f"{HANG}.startup"


@dataclass(frozen=True, slots=True)
class HangLimits:
    """How long silence may last.

    Attributes:
        factor: Times the job's own step time, or the time between its reports where that is longer.
        minimum_seconds: Never less than this.
        rank_lost_factor, rank_lost_seconds: The same once a rank's process has failed: the others wait for it for ever.
        rank_lost_startup_seconds: The same before the first step of an attempt: a launcher that starts the ranks anew
            by itself has had its time by then.
        startup_seconds: Before the first step, or while the job's rhythm is not known.
        source: Name under which the events stand.
    """

    factor: float = 6.0
    minimum_seconds: float = 30.0
    rank_lost_factor: float = 2.0
    rank_lost_seconds: float = 10.0
    rank_lost_startup_seconds: float = 60.0
    startup_seconds: float = 900.0
    source: str = "watch"


@dataclass(frozen=True, slots=True)
class _Silence:
    kind: str
    since: datetime
    allowed: timedelta

    @property
    def ends_at(self) -> datetime:
        return self.since + self.allowed


def hangs(
    jobs: Iterable[Job],
    placements: Mapping[str, Sequence[Placement]],
    watching_since: datetime,
    limits: HangLimits,
    now: datetime,
) -> tuple[list[Event], datetime | None]:
    """Return one event for each job that hangs, and when the next one would.

    The event of a job that still hangs is the same, with the same id, at each call. Silence before
    *watching_since* does not count. *placements* are of the current attempts, by job id.
    """
    silences = [(job, silence) for job in jobs if (silence := _silence(job, watching_since, limits))]
    events = [
        _event(job, silence, placements.get(job.id, ()), limits.source, now)
        for job, silence in silences
        if silence.ends_at <= now
    ]
    return events, min((silence.ends_at for _, silence in silences if silence.ends_at > now), default=None)


def _silence(job: Job, watching_since: datetime, limits: HangLimits) -> _Silence | None:
    find = _SILENCE_OF.get(job.state)
    return find(job, watching_since, limits) if find else None


def _while_training(job: Job, watching_since: datetime, limits: HangLimits) -> _Silence:
    """Allow several times the job's own rhythm: of its steps, of its reports, of the part that it says it is in."""
    since = max(job.last_step_at or job.started_at, watching_since)
    if job.step_seconds is None or job.report_seconds is None:
        return _Silence(HANG, since, timedelta(seconds=limits.startup_seconds))
    rhythm = max(job.step_seconds, job.report_seconds)
    if job.section and job.rank_lost_at is None:
        # What never ended yet may take as long as a start; later it has a normal time too.
        usual = dict(job.section_seconds).get(job.section)
        patience = limits.startup_seconds if usual is None else limits.factor * max(rhythm, usual)
        return _Silence(HANG, since, timedelta(seconds=max(limits.minimum_seconds, patience)))
    if job.rank_lost_at is not None:
        return _Silence(HANG, since, timedelta(seconds=max(limits.rank_lost_seconds, limits.rank_lost_factor * rhythm)))
    return _Silence(HANG, since, timedelta(seconds=max(limits.minimum_seconds, limits.factor * rhythm)))


def _while_starting(job: Job, watching_since: datetime, limits: HangLimits) -> _Silence:
    if job.last_step is not None:
        # It recovers by repeating steps, in the rhythm it has.
        return _while_training(job, watching_since, limits)
    if job.rank_lost_at is not None:
        since = max(job.rank_lost_at, watching_since)
        return _Silence(STARTUP_HANG, since, timedelta(seconds=limits.rank_lost_startup_seconds))
    since = max(job.updated_at, watching_since)
    return _Silence(STARTUP_HANG, since, timedelta(seconds=limits.startup_seconds))


_SILENCE_OF: dict[JobState, Callable[[Job, datetime, HangLimits], _Silence]] = {
    JobState.TRAINING: _while_training,
    JobState.STARTING: _while_starting,
    JobState.RECOVERING: _while_starting,
}


def _event(job: Job, silence: _Silence, placed: Sequence[Placement], source: str, now: datetime) -> Event:
    position = f"{job.id}:{job.attempt}:{job.last_step}"
    silent = (now - silence.since).total_seconds()
    return Event(
        id=event_id("", "", source, position, silence.kind),
        kind=silence.kind,
        component=Component(ComponentKind.JOB, job.id),
        happened_at=silence.ends_at,
        observed_at=now,
        source=source,
        origin=position,
        severity=Severity.ERROR,
        text=f"no step for {silent:.0f} s{'' if job.last_step is None else f' after step {job.last_step}'}",
        fields=_fields(job, silent, placed),
        job=job.id,
        attempt=job.attempt,
        simulated=job.simulated,
    )


def _fields(job: Job, silent: float, placed: Sequence[Placement]) -> dict[str, Scalar]:
    nodes = sorted({placement.node for placement in placed} or job.nodes)
    return {
        "step": job.last_step,
        "silent_seconds": round(silent, 3),
        "step_seconds": job.step_seconds,
        "nodes": ",".join(nodes),
    }
