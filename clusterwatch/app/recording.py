"""The database of a daemon to what a recording is written from.

What a daemon keeps is what it noticed, so that is what a recording of it holds: events, and no lines that meant nothing
to it. How far a job had come is kept once a minute; where the events that told it are gone, that stands in for them.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from datetime import datetime

from clusterwatch.app.taking_up import progress_fields, told_anew
from clusterwatch.errors import ClusterWatchError
from clusterwatch.model import (
    BY_ACTOR,
    Component,
    ComponentKind,
    Decision,
    Event,
    Job,
    Mode,
    Progress,
    Scalar,
    StepState,
    Topology,
    Trust,
    event_id,
    kinds,
)
from clusterwatch.seams import OnRecord
from clusterwatch.store import JobView, Reader

OURS = frozenset({BY_ACTOR, "policy"})
"""Sources of events that tell what ClusterWatch did: whoever plays a recording does that anew."""

_BATCH = 2_000
_ALL = 1_000_000
_CARRIED_OUT = frozenset({StepState.DONE, StepState.FAILED, StepState.REFUSED, StepState.UNKNOWN})


def on_record(
    read: Reader,
    name: str,
    job: JobView | None = None,
    since: datetime | None = None,
    topology: Topology | None = None,
) -> OnRecord:
    """Return what is on record, for a recording called *name*.

    Args:
        job: What a summary will be about; the job with the most GPUs, the latest of them, when not given.
        since: Leave out what was noticed before.
        topology: Who is near whom; as it is on record when not given.

    Raises:
        ClusterWatchError: There is no job, or nothing was noticed.
    """
    about = job or _largest(read)
    first, last = _span(read, since)
    decisions = tuple(each for each in reversed(read.decisions(_ALL, since=since)) if each.made_at >= first)
    return OnRecord(
        name=name,
        start=first,
        ends_at=max([last, *(each.made_at for each in decisions)]),
        job=about.job.id,
        actuator=about.job.actuator,
        mode=_mode(decisions),
        nodes_total=len(about.job.nodes),
        gpus_total=about.job.gpus,
        topology=topology if topology is not None and topology.neighbourhoods else read.topology(),
        maintenance=tuple(reversed(read.maintenance())),
        decisions=decisions,
        facts=_facts(read),
        events=lambda: _events(read, first),
    )


def _largest(read: Reader) -> JobView:
    jobs = sorted(read.jobs(limit=_ALL), key=lambda job: (job.gpus, job.started_at))
    found = read.job(jobs[-1].id) if jobs else None
    if found is None:
        raise ClusterWatchError("no job is on record, so there is nothing that a policy could be tried on")
    return found


def _span(read: Reader, since: datetime | None) -> tuple[datetime, datetime]:
    """Return *since*, or when the first event came, and when the last one did."""
    first, last = read.events(after_seq=0, since=since, limit=1), read.events(limit=1, since=since)
    if not first:
        raise ClusterWatchError("nothing was noticed in that time: leave --since out, or name an earlier time")
    return since or _came_at(first[0][1]), _came_at(last[0][1])


def _mode(decisions: tuple[Decision, ...]) -> Mode:
    is_acted = any(step.state in _CARRIED_OUT for decision in decisions for step in decision.steps)
    return Mode.AUTO if is_acted else Mode.OBSERVE


def _facts(read: Reader) -> Mapping[str, Mapping[str, Scalar]]:
    told = read.events(kind=kinds.STEP_CHANGED, limit=_ALL)
    return {str(event.fields.get("step_id")): event.fields for _, event in told}


def _events(read: Reader, since: datetime) -> Iterator[Event]:
    """Yield what was noticed from *since* on, in the order in which it came, and what stands in for what is gone.

    That is progress of which only the row of the minute is kept, and how jobs stood that had begun before.
    """
    kept = read.events(kind=kinds.PROGRESS, after_seq=0, limit=1)
    told_from = kept[0][1].happened_at if kept else None
    views = [view for job in read.jobs(limit=_ALL) if (view := read.job(job.id)) is not None]
    gone = (
        _event_of(view.job, progress)
        for view in views
        for progress in view.progress
        if progress.at >= since and (told_from is None or progress.at < told_from)
    )
    for view in views:
        yield from told_anew(view, since)
    yield from heapq.merge(_kept(read, since), sorted(gone, key=_came_at), key=_came_at)


def _kept(read: Reader, since: datetime) -> Iterator[Event]:
    after = 0
    while batch := read.events(after_seq=after, since=since, limit=_BATCH):
        after = batch[-1][0]
        yield from (event for _, event in batch if event.source not in OURS)


def _event_of(job: Job, progress: Progress) -> Event:
    return Event(
        id=event_id("", "", "progress", f"{job.id} {progress.attempt} {progress.step}", kinds.PROGRESS),
        kind=kinds.PROGRESS,
        component=Component(ComponentKind.JOB, job.id),
        happened_at=progress.at,
        observed_at=progress.at,
        source="progress",
        trust=Trust.USER,
        fields=progress_fields(progress),
        job=job.id,
        attempt=progress.attempt,
    )


def _came_at(event: Event) -> datetime:
    return event.received_at or event.observed_at
