"""A job as it stood at some time to the events that tell so: for a recording that begins in the middle of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from clusterwatch.model import (
    Attempt,
    Checkpoint,
    Component,
    ComponentKind,
    Event,
    Placement,
    Progress,
    Scalar,
    event_id,
    kinds,
    node_component,
)
from clusterwatch.store import JobView

_CHECKPOINTS_TOLD = 3


def told_anew(view: JobView, at: datetime) -> Iterator[Event]:
    """Yield what tells of the job of *view* as it stood at *at*; nothing where it had not begun, or was over."""
    job = view.job
    begun = [attempt for attempt in view.attempts if attempt.started_at < at]
    if job.started_at >= at or (job.ended_at is not None and job.ended_at <= at):
        return
    yield _told(view, kinds.JOB_STARTED, at, _submission(view))
    if begun:
        yield from _attempt(view, max(begun, key=lambda attempt: attempt.number), at)


def _submission(view: JobView) -> dict[str, Scalar]:
    job = view.job
    return {
        "name": job.name,
        "user": job.user,
        "gpus": job.gpus,
        "nodes": ",".join(job.nodes),
        "command": "\x1f".join(job.command),
        "actuator": job.actuator,
        "checkpoint_dir": job.checkpoint_dir,
    }


def _attempt(view: JobView, current: Attempt, at: datetime) -> Iterator[Event]:
    number = current.number
    fields: dict[str, Scalar] = {"nodes": ",".join(current.nodes), "gpus_per_node": current.ranks_per_node}
    fields |= {"resumed_step": current.resumed_step, "resumed_checkpoint": current.resumed_checkpoint}
    yield _told(view, kinds.ATTEMPT_STARTED, at, fields, number)
    for placement in view.placements:
        if placement.attempt == number:
            yield _placed(view, placement, at)
    saved = sorted((each for each in view.checkpoints if each.saved_at < at), key=lambda each: each.saved_at)
    for checkpoint in saved[-_CHECKPOINTS_TOLD:]:
        yield _told(view, kinds.CHECKPOINT_SAVED, at, _saved(checkpoint), number)
    done = [each for each in view.progress if each.attempt == number and each.at < at]
    if done:
        yield _told(view, kinds.PROGRESS, at, progress_fields(max(done, key=lambda each: each.at)), number)
    if current.ended_at is not None and current.ended_at <= at:
        yield _told(view, kinds.ATTEMPT_ENDED, at, {"exit_code": current.exit_code}, number)


def progress_fields(progress: Progress) -> dict[str, Scalar]:
    """Return what an event tells of *progress*."""
    told: dict[str, Scalar] = {"step": progress.step, "loss": progress.loss, "tokens": progress.tokens}
    return {name: value for name, value in told.items() if value is not None}


def _saved(checkpoint: Checkpoint) -> dict[str, Scalar]:
    return {
        "path": checkpoint.path,
        "step": checkpoint.step,
        "format": checkpoint.format,
        "verified": checkpoint.verified,
        "size_bytes": checkpoint.size_bytes,
    }


def _placed(view: JobView, placement: Placement, at: datetime) -> Event:
    fields: dict[str, Scalar] = {"rank": placement.rank, "gpu": placement.gpu, "pid": placement.pid}
    node = node_component(placement.node)
    return _told(view, kinds.RANK_PLACED, at, fields, placement.attempt, node, placement.rank)


def _told(
    view: JobView,
    kind: str,
    at: datetime,
    fields: dict[str, Scalar],
    attempt: int | None = None,
    component: Component | None = None,
    rank: int | None = None,
) -> Event:
    job_id = view.job.id
    position = f"{job_id} {attempt} {rank} {fields.get('path', '')} {at.isoformat()}"
    return Event(
        id=event_id("", "", "recording", position, kind),
        kind=kind,
        component=component or Component(ComponentKind.JOB, job_id),
        happened_at=at,
        observed_at=at,
        source="recording",
        fields=fields,
        job=job_id,
        attempt=attempt,
        rank=rank,
    )
