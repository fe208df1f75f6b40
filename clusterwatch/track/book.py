"""The jobs of one turn while events are applied to them, and what changed."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from clusterwatch.model import (
    Attempt,
    Checkpoint,
    Edge,
    Interruption,
    Job,
    JobState,
    Mode,
    Placement,
    Progress,
    StepKind,
    StepState,
    World,
)
from clusterwatch.model.making import changer, replace
from clusterwatch.model.world import CHECKPOINTS_KEPT, Ended

ENDED_WITHIN = timedelta(minutes=2)
"""Processes that a plan ends are gone by then, if it is carried out."""

ENDED_KEPT = 16

# They change with each step that a job reports, and `dataclasses.replace` takes longer than all else that is done then.
_changed_job, _changed_attempt = changer(Job), changer(Attempt)

_ENDING = (StepState.RECORDED, StepState.BEGUN, StepState.DONE)


@dataclass(slots=True)
class Book:
    """What is known of the active jobs; remembers which records were touched."""

    jobs: dict[str, Job]
    attempts: dict[str, tuple[Attempt, ...]]
    placements: dict[str, tuple[Placement, ...]]
    checkpoints: dict[str, tuple[Checkpoint, ...]]
    interruptions: dict[str, Interruption]
    ended: dict[str, Ended] = field(default_factory=dict)
    endings: dict[tuple[str, int], datetime] = field(default_factory=dict)
    placed: dict[str, dict[int, Placement]] = field(default_factory=dict)
    saved: dict[str, dict[str, Checkpoint]] = field(default_factory=dict)
    progress: list[Progress] = field(default_factory=list)
    new_checkpoints: list[Checkpoint] = field(default_factory=list)
    changed_jobs: dict[str, None] = field(default_factory=dict)
    changed_attempts: dict[tuple[str, int], None] = field(default_factory=dict)
    changed_placements: dict[tuple[str, int, int], Placement] = field(default_factory=dict)
    changed_interruptions: dict[str, Interruption] = field(default_factory=dict)

    @classmethod
    def of(cls, world: World) -> Book:
        """Return a book that starts from *world*; the world itself is never changed."""
        return cls(
            dict(world.jobs),
            dict(world.attempts),
            dict(world.placements),
            dict(world.checkpoints),
            dict(world.interruptions),
            dict(world.ended),
            dict(_endings(world)),
        )

    def end(self, job_id: str, state: JobState, outcome: str, at: datetime) -> None:
        """End the job, and keep what it takes to go on with it."""
        before, attempts, checkpoints = (
            self.jobs[job_id],
            self.attempts.get(job_id, ()),
            self.checkpoints.get(job_id, ()),
        )
        self.change_job(job_id, state=state, ended_at=at, updated_at=at, outcome=outcome)
        kept = Ended(before, self.jobs[job_id], attempts, checkpoints, self.interruptions.get(job_id))
        self.ended = {**dict(list(self.ended.items())[1 - ENDED_KEPT :]), job_id: kept}

    def take_up(self, job_id: str) -> None:
        """Go on with a job that had ended: somebody started it again."""
        kept = self.ended.pop(job_id)
        self.jobs[job_id], self.attempts[job_id] = kept.job, kept.attempts
        self.checkpoints[job_id] = kept.checkpoints
        self.saved.pop(job_id, None)
        if kept.interruption is not None:
            self.interruptions[job_id] = kept.interruption

    def note_last_step(self, job_id: str, step: int, at: datetime) -> None:
        """Take over a step of a job that ended before it was told: schedulers are asked more often than files."""
        kept = self.ended[job_id]
        if not kept.attempts or step <= kept.ended.highest_step:
            return
        *earlier, last = kept.attempts
        attempts = (*earlier, replace(last, last_step=step, last_step_at=at))
        before, ended = (
            replace(each, last_step=step, last_step_at=at, highest_step=step) for each in (kept.job, kept.ended)
        )
        self.ended[job_id] = replace(kept, job=before, ended=ended, attempts=attempts)
        self.jobs[job_id], self.changed_jobs[job_id] = ended, None
        self.attempts[job_id], self.changed_attempts[job_id, last.number] = attempts, None

    def attempt(self, job_id: str) -> Attempt | None:
        """Return the current attempt of the job; None before the first."""
        attempts = self.attempts.get(job_id, ())
        return attempts[-1] if attempts else None

    def change_job(self, job_id: str, **changes: Any) -> None:
        """Replace fields of the job."""
        self.jobs[job_id] = _changed_job(self.jobs[job_id], changes)
        self.changed_jobs[job_id] = None

    def add_attempt(self, attempt: Attempt) -> None:
        """Append an attempt to its job."""
        self.attempts[attempt.job_id] = (*self.attempts.get(attempt.job_id, ()), attempt)
        self.changed_attempts[attempt.job_id, attempt.number] = None

    def change_attempt(self, job_id: str, **changes: Any) -> None:
        """Replace fields of the job's current attempt, if it has one."""
        attempts = self.attempts.get(job_id, ())
        if attempts:
            self.attempts[job_id] = (*attempts[:-1], _changed_attempt(attempts[-1], changes))
            self.changed_attempts[job_id, attempts[-1].number] = None

    def place(self, placement: Placement) -> None:
        """Set where a rank of the current attempt runs."""
        placed = self.placed.get(placement.job_id)
        if placed is None:
            known = self.placements.get(placement.job_id, ())
            placed = self.placed[placement.job_id] = {each.rank: each for each in known}
        if any(each.attempt != placement.attempt for each in islice(placed.values(), 1)):
            placed.clear()
        placed[placement.rank] = placement
        self.changed_placements[placement.job_id, placement.attempt, placement.rank] = placement

    def forget_placements(self, job_id: str) -> None:
        """Forget where the ranks of an earlier attempt ran."""
        self.placements.pop(job_id, None)
        self.placed.pop(job_id, None)

    def placements_by_rank(self) -> dict[str, tuple[Placement, ...]]:
        """Return where the ranks of each job run, in the order of rank."""
        changed = {job_id: tuple(placed[rank] for rank in sorted(placed)) for job_id, placed in self.placed.items()}
        return self.placements | changed

    def checkpoint(self, job_id: str, path: str) -> Checkpoint | None:
        """Return the complete checkpoint of the job at *path*; None when there is none."""
        return self._saved(job_id).get(path)

    def _saved(self, job_id: str) -> dict[str, Checkpoint]:
        """Return the complete checkpoints of the job by path: a turn may ask for several among a thousand."""
        if job_id not in self.saved:
            self.saved[job_id] = {known.path: known for known in self.checkpoints.get(job_id, ())}
        return self.saved[job_id]

    def save_checkpoint(self, checkpoint: Checkpoint) -> bool:
        """Add a checkpoint and return whether its path was not on the list.

        A torn one is recorded and takes a complete one of the same path off the list.
        """
        before, path = self.checkpoints.get(checkpoint.job_id, ()), checkpoint.path
        is_new = self._saved(checkpoint.job_id).pop(path, None) is None
        kept = list(before) if is_new else [known for known in before if known.path != path]
        if checkpoint.complete:
            insort(kept, checkpoint, key=lambda each: (each.step, each.saved_at))
            self.saved[checkpoint.job_id][path] = checkpoint
        self.checkpoints[checkpoint.job_id] = tuple(kept[-CHECKPOINTS_KEPT:])
        self.new_checkpoints.append(checkpoint)
        return is_new

    def interrupt(self, job: Job, at: datetime, *, hung: bool) -> None:
        """Note that *job* stopped training at *at*; opens an interruption unless one is open."""
        current = self.attempt(job.id)
        if current is not None and current.interrupted_at is None:
            self.change_attempt(job.id, interrupted_at=at, hung=hung)
        if current is not None and hung and not current.fingerprint:
            self.change_attempt(job.id, fingerprint=f"hang after step {current.last_step or 0}")
        if job.id in self.interruptions:
            return
        edges = {Edge.FIRST_EVENT: at}
        if job.last_step_at is not None:
            edges[Edge.LAST_STEP] = min(job.last_step_at, at)
        self.set_interruption(
            Interruption(
                id=f"{job.id}/{job.attempt}/{job.highest_step}",
                job_id=job.id,
                attempt=job.attempt,
                incident_id=None,
                planned=False,
                highest_step=job.highest_step,
                edges=edges,
                processes_ran=hung,
            )
        )

    def set_interruption(self, interruption: Interruption) -> None:
        """Put *interruption* in the place of the job's open one; one that is over is open no more."""
        self.changed_interruptions[interruption.id] = interruption
        if interruption.is_over:
            self.interruptions.pop(interruption.job_id, None)
        else:
            self.interruptions[interruption.job_id] = interruption

    def is_before_interruption(self, job: Job, at: datetime) -> bool:
        """Say whether something at *at* belongs before the open interruption of *job*: it is told late."""
        interruption = self.interruptions.get(job.id)
        return (
            interruption is not None
            and interruption.attempt == job.attempt
            and at <= interruption.edges[Edge.FIRST_EVENT]
        )

    def is_being_ended(self, job: Job, at: datetime) -> bool:
        """Say whether ClusterWatch ends the current attempt of *job*: what it does at *at* is its last."""
        decided_at = self.endings.get((job.id, job.attempt))
        return decided_at is not None and decided_at <= at <= decided_at + ENDED_WITHIN and job.id in self.interruptions

    def extend_interruption(self, job: Job, highest_step: int, last_step_at: datetime) -> None:
        """Let the open interruption of *job* begin after a step that was told late."""
        interruption = self.interruptions[job.id]
        noticed_at = interruption.edges[Edge.FIRST_EVENT]
        ends_at = min(last_step_at, noticed_at) if self.is_being_ended(job, last_step_at) else last_step_at
        edges = {**interruption.edges, Edge.LAST_STEP: ends_at}
        self.set_interruption(replace(interruption, highest_step=highest_step, edges=edges))

    def pass_edge(self, job_id: str, edge: Edge, at: datetime) -> None:
        """Store a moment of the job's open interruption; the first time counts."""
        interruption = self.interruptions.get(job_id)
        if interruption is not None and edge not in interruption.edges:
            self.set_interruption(replace(interruption, edges={**interruption.edges, edge: at}))


def _endings(world: World) -> Iterator[tuple[tuple[str, int], datetime]]:
    """Yield job, attempt and time of the decisions that end what still runs."""
    for made in world.decisions.values():
        for decision in made:
            ends = any(step.kind is StepKind.HOLD and step.state in _ENDING for step in decision.steps)
            if ends and decision.mode is Mode.AUTO and decision.job_id is not None and decision.attempt is not None:
                yield (decision.job_id, decision.attempt), decision.made_at
