"""The records of a job to its account: where its time went, what each interruption cost, how often it breaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from clusterwatch.goodput import Cost, Ledger, account, began_at, costs
from clusterwatch.goodput.exposure import DAY_SECONDS, held_seconds
from clusterwatch.goodput.reliability import (
    Band,
    Failure,
    Recovery,
    failure_rate,
    mean_hours_between,
    recovery,
)
from clusterwatch.model import Cause, Diagnosis, Edge, Interruption, Job
from clusterwatch.store import JobView, Reader


@dataclass(frozen=True, slots=True)
class Reliability:
    """How often it broke in a time.

    Attributes:
        planned, unexpected: Interruptions that began in it.
        node_days: That nodes were in the job.
        mean_hours: Between two unexpected interruptions, of the job; None without time.
        rate: Unexpected interruptions per 1,000 node-days; None without node-days.
        recovery: How long the unexpected ones lasted.
    """

    planned: int
    unexpected: int
    node_days: float
    mean_hours: Band | None
    rate: Band | None
    recovery: Recovery


@dataclass(frozen=True, slots=True)
class JobAccount:
    """A job's account over *from_at* to *to_at*.

    Attributes:
        whole: The ledger of all its life; *ledger* is the part in the time asked for.
        costs: Of the interruptions that took a part of that, oldest first.
        failures: All of its life, oldest first.
        held_seconds: That each node was in the job in that time, by name.
    """

    view: JobView
    from_at: datetime
    to_at: datetime
    whole: Ledger
    ledger: Ledger
    costs: tuple[Cost, ...]
    failures: tuple[Failure, ...]
    held_seconds: Mapping[str, float]

    @property
    def job(self) -> Job:
        """The job as it stands."""
        return self.view.job

    @property
    def failures_within(self) -> list[Failure]:
        """Those that began in the time."""
        return [each for each in self.failures if self.from_at <= each.began_at <= self.to_at]

    @property
    def node_days(self) -> float:
        """That nodes were in the job in the time."""
        return sum(self.held_seconds.values()) / DAY_SECONDS

    @property
    def reliability(self) -> Reliability:
        """How often it broke in the time."""
        return reliability(self.failures_within, self.ledger.elapsed_seconds, self.node_days)

    def diagnosis_of(self, stop: Interruption) -> Diagnosis | None:
        """Return the latest diagnosis of the incident that explains *stop*."""
        return diagnosis_of(self.view, stop)

    def cause_of(self, stop: Interruption) -> str:
        """Return the cause of that, unknown without one."""
        diagnosis = self.diagnosis_of(stop)
        return (diagnosis.cause if diagnosis else Cause.UNKNOWN).value


def reliability(failures: Sequence[Failure], elapsed_seconds: float, node_days: float) -> Reliability:
    """Return how often it broke, from the interruptions of *elapsed_seconds* of jobs and their *node_days*."""
    unexpected = [each for each in failures if not each.planned]
    return Reliability(
        planned=len(failures) - len(unexpected),
        unexpected=len(unexpected),
        node_days=node_days,
        mean_hours=mean_hours_between(len(unexpected), elapsed_seconds),
        rate=failure_rate(len(unexpected), node_days),
        recovery=recovery(unexpected),
    )


def present_of(job: Job, now: datetime) -> datetime:
    """Return until when *job* is accounted for: its end, or *now*; a simulated one has a clock of its own."""
    return job.ended_at or (job.updated_at if job.simulated else now)


def whole_ledger(view: JobView, now: datetime) -> Ledger:
    """Return where all the time of a job went."""
    until = present_of(view.job, now)
    return account(view.job, view.attempts, view.interruptions, until, view.checkpoints, view.progress)


def job_account(read: Reader, view: JobView, from_at: datetime | None, to_at: datetime) -> JobAccount:
    """Return the account of a job from *from_at* (its start if None) to *to_at*, which need not be its present."""
    begins = view.job.started_at if from_at is None else from_at
    whole = whole_ledger(view, to_at)
    ledger = whole.between(begins, to_at)
    told = {attempt.number: attempt.nodes for attempt in view.attempts if attempt.nodes}
    nodes = {**_placed(view), **read.nodes_of_attempts(view.job.id), **told}
    return JobAccount(
        view=view,
        from_at=begins,
        to_at=to_at,
        whole=whole,
        ledger=ledger,
        costs=tuple(cost for cost in costs(ledger, view.interruptions) if cost.ledger.spans),
        failures=tuple(failures_of(view)),
        held_seconds=held_seconds(view.job, view.attempts, nodes, begins, to_at),
    )


def failures_of(view: JobView) -> list[Failure]:
    """Return the interruptions of a job with what they came to, oldest first."""
    return sorted(
        (_failure(stop, diagnosis_of(view, stop)) for stop in view.interruptions if stop.edges),
        key=lambda each: each.began_at,
    )


def diagnosis_of(view: JobView, stop: Interruption) -> Diagnosis | None:
    """Return the latest diagnosis of the incident that explains *stop*, or of the one that absorbed it."""
    known = {incident.id: (incident, diagnosis) for incident, diagnosis in view.incidents}
    name, seen = stop.incident_id, set[str]()
    while name in known and name not in seen:
        seen.add(name)
        incident, diagnosis = known[name]
        if not incident.merged_into or incident.merged_into not in known:
            return diagnosis
        name = incident.merged_into
    return None


def _failure(stop: Interruption, diagnosis: Diagnosis | None) -> Failure:
    suspects = diagnosis.suspects if diagnosis else ()
    return Failure(
        job_id=stop.job_id,
        interruption_id=stop.id,
        incident_id=stop.incident_id or "",
        began_at=began_at(stop),
        ended_at=stop.edges.get(Edge.FIRST_NEW_STEP),
        planned=stop.planned,
        cause=diagnosis.cause if diagnosis else Cause.UNKNOWN,
        suspect=suspects[0].component if suspects else None,
    )


def _placed(view: JobView) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for placement in view.placements:
        found.setdefault(placement.attempt, set()).add(placement.node)
    return found
