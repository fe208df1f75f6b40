"""Apply events to the jobs they speak of.

The rules:

1. A job is known from its first event on; an attempt from its start.
2. A job that ends an attempt with an error, or hangs, is interrupted from the end of its last step.
3. It is interrupted until its first step beyond the highest it had ever done; repeated steps are not new.
4. A step printed twice, or out of order, never moves a job back within an attempt.
5. What is told of a job after its end completes the record and changes nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from sys import intern
from typing import Any

from clusterwatch.model import (
    Attempt,
    Changes,
    Checkpoint,
    Edge,
    Event,
    Job,
    JobState,
    MaintenanceWindow,
    Placement,
    Progress,
    StepKind,
    StepState,
    World,
    kinds,
)
from clusterwatch.model.making import replace
from clusterwatch.model.world import world_with
from clusterwatch.track.book import Book
from clusterwatch.track.leaving_out import note_left_out
from clusterwatch.track.maintenance import announced_windows
from clusterwatch.track.restarts import RESTART_HANDLERS

STEP_TIME_SMOOTHING = 0.2
"""Weight of the newest step time in the job's normal one: a step in five, so that one slow step moves little."""

STEP_TIME_CLIP = 4.0
"""A step counts for at most this many times the normal one: a pause is not a new normal."""

FAILED_ENDINGS = ("error", "sigkill", "sigsegv", "sigabrt", "sigbus", "signal")
"""How the process of a rank ends that its job will miss. Whoever sends SIGTERM ends the others as well."""

NORMAL_AFTER = timedelta(minutes=30)
"""What is slow for so long is on its way to be the new normal."""

SLOW_FROM = 1.5
"""Times the normal step time from which on something is wrong; growing batches and contexts come in smaller steps."""

MOST_SECTIONS = 32
"""How many named parts of a training loop are remembered with their times."""

_OF_LEAVING_OUT = frozenset({kinds.STEP_CHANGED, kinds.ATTEMPT_STARTED})

OUTLIVED_AFTER = timedelta(seconds=60)
"""An exception this long before a new step was handled: other ranks may print a step or two after a fatal one."""


@dataclass(frozen=True, slots=True)
class Tracked:
    """The world after the events, and the records that changed."""

    world: World
    changes: Changes


def follow(world: World, events: Iterable[Event]) -> Tracked:
    """Return the jobs of *world* after *events*, in the order given, and what changed."""
    book = Book.of(world)
    events = tuple(events)
    for event in events:
        if event.job in book.ended:
            _after_the_end(book, event, event.job)
        if event.kind in _OF_LEAVING_OUT:
            # A check of a node may be about another job, or about none.
            note_left_out(book, event)
        apply = _HANDLERS.get(event.kind)
        if apply is not None and event.job is not None and (event.job in book.jobs or event.kind == kinds.JOB_STARTED):
            apply(book, event)
    announced = announced_windows(events)
    known = {window.id: window for window in (*world.maintenance, *announced)}
    followed = world_with(_world_of(world, book), maintenance=tuple(known.values()))
    return Tracked(followed, _changes_of(book, announced))


def _world_of(world: World, book: Book) -> World:
    active = {job_id: job for job_id, job in book.jobs.items() if job.is_active}
    return world_with(
        world,
        jobs=active,
        ended=book.ended,
        attempts={job_id: value for job_id, value in book.attempts.items() if job_id in active},
        placements={job_id: value for job_id, value in book.placements_by_rank().items() if job_id in active},
        checkpoints={job_id: value for job_id, value in book.checkpoints.items() if job_id in active},
        interruptions={job_id: value for job_id, value in book.interruptions.items() if job_id in active},
    )


def _changes_of(book: Book, announced: tuple[MaintenanceWindow, ...]) -> Changes:
    return Changes(
        jobs=tuple(book.jobs[job_id] for job_id in book.changed_jobs),
        attempts=tuple(
            attempt
            for job_id, number in book.changed_attempts
            for attempt in book.attempts[job_id]
            if attempt.number == number
        ),
        placements=tuple(book.changed_placements.values()),
        checkpoints=tuple(book.new_checkpoints),
        progress=tuple(book.progress),
        interruptions=tuple(book.changed_interruptions.values()),
        maintenance=announced,
    )


def _job_started(book: Book, event: Event) -> None:
    assert event.job is not None
    if event.job in book.jobs:
        return
    nodes = tuple(sorted(name for name in _text(event, "nodes").split(",") if name))
    book.jobs[event.job] = Job(
        id=event.job,
        name=_text(event, "name") or event.job,
        state=JobState.STARTING,
        started_at=event.happened_at,
        updated_at=event.happened_at,
        command=tuple(part for part in _text(event, "command").split("\x1f") if part),
        user=_text(event, "user"),
        # A job that still waits in a queue has none.
        nodes=nodes or ((event.node,) if event.node else ()),
        gpus=_integer(event, "gpus") or 0,
        actuator=_text(event, "actuator"),
        checkpoint_dir=_text(event, "checkpoint_dir"),
        simulated=event.simulated,
    )
    book.changed_jobs[event.job] = None


def _attempt_started(book: Book, event: Event) -> None:
    job = _job(book, event)
    number = event.attempt or job.attempt + 1
    if number <= job.attempt:
        return
    # Each name once for all attempts: there may be thousands of names and hundreds of attempts.
    listed = tuple(map(intern, filter(None, _text(event, "nodes").split(","))))
    ranks_per_node = _integer(event, "gpus_per_node") or 0
    book.add_attempt(
        Attempt(
            job_id=job.id,
            number=number,
            started_at=event.happened_at,
            running_at=event.happened_at,
            resumed_step=_integer(event, "resumed_step") or 0,
            resumed_checkpoint=_text(event, "resumed_checkpoint"),
            nodes=listed if ranks_per_node > 0 else (),
            ranks_per_node=max(ranks_per_node, 0) if listed else 0,
        )
    )
    state = JobState.STARTING if number == 1 else JobState.RECOVERING
    nodes = tuple(sorted(listed)) or job.nodes
    book.change_job(
        job.id,
        attempt=number,
        state=state,
        last_step=None,
        rank_lost_at=None,
        section="",
        nodes=nodes,
        updated_at=event.happened_at,
    )
    book.forget_placements(job.id)
    book.pass_edge(job.id, Edge.RUNNING, event.happened_at)


def _attempt_ended(book: Book, event: Event) -> None:
    job = _job(book, event)
    current = book.attempt(job.id)
    if current is None or (event.attempt or current.number) != current.number or current.ended_at is not None:
        return
    exit_code = _integer(event, "exit_code")
    # Without a traceback only the place tells one death from another.
    fingerprint = current.fingerprint or f"exit code {exit_code} after step {current.last_step or 0}"
    book.change_attempt(job.id, ended_at=event.happened_at, exit_code=exit_code, fingerprint=fingerprint)
    if exit_code == 0:
        return
    book.interrupt(job, event.happened_at, hung=False)
    book.change_job(job.id, state=JobState.INTERRUPTED, updated_at=event.happened_at)


def _hang(book: Book, event: Event) -> None:
    job = _job(book, event)
    current = book.attempt(job.id)
    if event.attempt not in (None, job.attempt) or (current is not None and current.ended_at is not None):
        return
    if _integer(event, "step") != job.last_step:
        # It moved on while its silence was being judged.
        return
    book.interrupt(job, event.happened_at, hung=True)
    book.change_job(job.id, state=JobState.INTERRUPTED, updated_at=event.happened_at)


def _rank_failed(book: Book, event: Event) -> None:
    """Note that a synchronous job misses a rank: without it no step ends any more."""
    job = _job(book, event)
    if event.rank is not None and event.attempt in (None, job.attempt) and job.rank_lost_at is None:
        book.change_job(job.id, rank_lost_at=event.happened_at)


def _exception(book: Book, event: Event) -> None:
    """Note what the attempt may die of; steps that follow show that it did not."""
    current = book.attempt(_job(book, event).id)
    if current is not None and not current.fingerprint and event.attempt in (None, current.number):
        fingerprint = f"{_text(event, 'exception')} at {_text(event, 'where')}"
        book.change_attempt(current.job_id, fingerprint=fingerprint, fingerprint_at=event.happened_at)


def _loss_went_wrong(book: Book, event: Event) -> None:
    current = book.attempt(_job(book, event).id)
    if current is not None and current.ended_at is None and event.attempt in (None, current.number):
        book.change_attempt(current.job_id, loss_went_wrong_at=event.happened_at)


def _job_ended(book: Book, event: Event) -> None:
    state = JobState(_text(event, "state") or JobState.STOPPED)
    book.end(_job(book, event).id, state, _text(event, "reason"), event.happened_at)


def _after_the_end(book: Book, event: Event, job_id: str) -> None:
    """Take over what is told of a job that has ended: another attempt, or the last step of the last one."""
    last = book.ended[job_id].job.attempt
    if event.kind == kinds.ATTEMPT_STARTED and event.attempt is not None and event.attempt > last:
        book.take_up(job_id)
    elif event.kind == kinds.PROGRESS and event.attempt in (None, last):
        step = _integer(event, "step")
        if step is not None:
            book.note_last_step(job_id, step, event.happened_at)


def _rank_placed(book: Book, event: Event) -> None:
    job = _job(book, event)
    rank = event.rank if event.rank is not None else _integer(event, "rank")
    if rank is None or not (event.node or job.nodes):
        return
    attempt = event.attempt or job.attempt
    book.place(
        Placement(job.id, attempt, rank, event.node or job.nodes[0], _text(event, "gpu"), _integer(event, "pid"))
    )
    world_size = _integer(event, "world_size") or 0
    if world_size > job.gpus:
        book.change_job(job.id, gpus=world_size)


def _checkpoint(book: Book, event: Event) -> None:
    job = _job(book, event)
    known = book.checkpoint(job.id, _text(event, "path"))
    checkpoint = Checkpoint(
        job_id=job.id,
        step=_integer(event, "step") or 0,
        path=_text(event, "path"),
        format=_text(event, "format"),
        complete=event.kind == kinds.CHECKPOINT_SAVED,
        verified=bool(event.fields.get("verified")),
        saved_at=event.happened_at,
        size_bytes=_integer(event, "size_bytes") or 0,
        problem=_text(event, "problem"),
        # What the job reported of it before it was seen in its folder.
        stall_seconds=_number(event, "stall_seconds") or (known.stall_seconds if known else 0.0),
        save_seconds=_number(event, "save_seconds") or (known.save_seconds if known else 0.0),
    )
    _put_checkpoint(book, job, checkpoint)


def _put_checkpoint(book: Book, job: Job, checkpoint: Checkpoint) -> None:
    """Put *checkpoint* on the list, or off it if it is not complete, and say which one is the job's last."""
    is_new = book.save_checkpoint(checkpoint) and checkpoint.complete
    complete = book.checkpoints.get(job.id, ())
    last = _latest(complete, job)
    seconds = _normal_checkpoint_seconds(book, job, checkpoint) if is_new else job.checkpoint_seconds
    changes = (last.step if last else None, last.saved_at if last else None, seconds)
    if changes != (job.last_checkpoint_step, job.last_checkpoint_at, job.checkpoint_seconds):
        step, at, seconds = changes
        book.change_job(job.id, last_checkpoint_step=step, last_checkpoint_at=at, checkpoint_seconds=seconds)


def _latest(complete: Sequence[Checkpoint], job: Job) -> Checkpoint | None:
    """Return the checkpoint that was saved last: the one of the highest step, but for a job that went back."""
    if complete and job.last_checkpoint_at is not None and complete[-1].saved_at > job.last_checkpoint_at:
        return complete[-1]
    return max(complete, key=attrgetter("saved_at"), default=None)


def _normal_checkpoint_seconds(book: Book, job: Job, checkpoint: Checkpoint) -> float | None:
    """Return the job's own normal time between two checkpoints of one attempt, after *checkpoint*."""
    current, before = book.attempt(job.id), job.last_checkpoint_at
    if before is None or current is None or before < current.started_at or checkpoint.saved_at <= before:
        return job.checkpoint_seconds
    return _smoothed(job.checkpoint_seconds, (checkpoint.saved_at - before) / timedelta(seconds=1))


def _checkpoint_reported(book: Book, event: Event) -> None:
    """Take over what the job says of a save; what its folder shows of sizes and marks counts more."""
    _section_ended(book, event)
    job, path = _job(book, event), _text(event, "path")
    known = book.checkpoint(job.id, path)
    if known is None and path and event.fields.get("complete"):
        step, size = _integer(event, "step") or 0, _integer(event, "size_bytes") or 0
        known = Checkpoint(job.id, step, path, "reported", True, False, event.happened_at, size)
    if known is None:
        return
    stall, save = _number(event, "stall_seconds"), _number(event, "save_seconds")
    timed = replace(known, stall_seconds=stall or known.stall_seconds, save_seconds=save or known.save_seconds)
    _put_checkpoint(book, job, timed)


def _checkpoint_deleted(book: Book, event: Event) -> None:
    """Take a checkpoint off the list: nothing can be resumed from it."""
    job = _job(book, event)
    known = book.checkpoint(job.id, _text(event, "path"))
    if known is not None:
        _put_checkpoint(book, job, replace(known, complete=False, problem="deleted"))


def _section_begun(book: Book, event: Event) -> None:
    """Note the part that a training loop enters: it makes no step there, and does not hang."""
    _note_section(book, event, _section_of(event))


def _section_ended(book: Book, event: Event) -> None:
    job, name = _job(book, event), _section_of(event)
    seconds = _number(event, "seconds") or _number(event, "stall_seconds")
    known = dict(job.section_seconds)
    if name and seconds and (name in known or len(known) < MOST_SECTIONS) and seconds > known.get(name, 0.0):
        known[name] = seconds
        book.change_job(job.id, section_seconds=tuple(sorted(known.items())))
    _note_section(book, event, "")


def _section_of(event: Event) -> str:
    return _text(event, "section") if event.kind in (kinds.SECTION_BEGUN, kinds.SECTION_ENDED) else "checkpoint"


def _note_section(book: Book, event: Event, name: str) -> None:
    job = _job(book, event)
    moved_on = job.last_step_at is not None and event.happened_at > job.last_step_at
    if moved_on and event.attempt in (None, job.attempt) and job.id not in book.interruptions:
        book.change_job(job.id, section=name, last_step_at=event.happened_at, updated_at=event.happened_at)


def _step_changed(book: Book, event: Event) -> None:
    if _text(event, "state") != StepState.DONE:
        return
    if _text(event, "step_kind") == StepKind.REQUEUE:
        book.pass_edge(_job(book, event).id, Edge.ACCEPTED, event.happened_at)
    if _text(event, "step_kind") == StepKind.STOP:
        _given_up(book, event)


def _given_up(book: Book, event: Event) -> None:
    """End a job whose last attempt is over: no scheduler says of a failed job that nobody will start it again."""
    job = _job(book, event)
    current = book.attempt(job.id)
    if current is None or current.ended_at is None or event.fields.get("attempt") not in (None, current.number):
        return
    outcome = f"given up after attempt {current.number}: {current.fingerprint}"
    book.end(job.id, JobState.STOPPED, outcome, event.happened_at)


def _progress(book: Book, event: Event) -> None:
    job, current = _job(book, event), book.attempt(event.job or "")
    step = _integer(event, "step")
    if step is None or current is None or event.attempt not in (None, current.number):
        return
    fold = _Fold.of(event, step)
    if job.last_step is not None and step <= job.last_step:
        _note_alive(book, job, event)
        return
    is_ending = current.ended_at is not None or book.is_being_ended(job, fold.last_at)
    is_late = is_ending or book.is_before_interruption(job, fold.last_at)
    _pass_step_edges(book, job, fold, is_late=is_late)
    slowed_at = _slowed_at(job, current, fold, _number(event, "step_seconds"))
    is_slow = slowed_at is not None and fold.last_at - slowed_at < NORMAL_AFTER
    seconds = job.step_seconds if is_slow else _normal_step_seconds(job, fold, _number(event, "step_seconds"))
    told = {"last_step": step, "last_step_at": fold.last_at, "slowed_at": slowed_at}
    book.change_attempt(job.id, **_first_steps(job, current, fold, is_late=is_late), **told)
    if is_late and job.id in book.interruptions:
        book.extend_interruption(job, max(job.highest_step, step), fold.last_at)
    book.change_job(
        job.id,
        state=_state_after_step(book, job, is_late=is_late),
        last_step=step,
        last_step_at=fold.last_at,
        highest_step=max(job.highest_step, step),
        step_seconds=seconds,
        report_seconds=_normal_report_seconds(job, fold),
        loss=_number(event, "loss"),
        rank_lost_at=job.rank_lost_at if _may_be_fatal(job.rank_lost_at, fold.last_at) else None,
        section="",
        updated_at=fold.last_at,
    )
    if job.last_step_at is None or job.last_step is None or _minute(job.last_step_at) != _minute(fold.last_at):
        loss, tokens = _number(event, "loss"), _number(event, "tokens")
        book.progress.append(Progress(job.id, current.number, step, fold.last_at, loss, tokens, seconds))


def _note_alive(book: Book, job: Job, event: Event) -> None:
    """Take a step that was done before as a sign of life: a counter that starts anew with each epoch is no hang."""
    moved_on = job.last_step_at is not None and event.happened_at > job.last_step_at
    if event.fields.get("restarted") and moved_on and job.id not in book.interruptions:
        book.change_job(job.id, last_step_at=event.happened_at, updated_at=event.happened_at)
        book.change_attempt(job.id, last_step_at=event.happened_at)


def _minute(at: datetime) -> datetime:
    """Return the minute *at* is in: progress is kept once a minute."""
    return at.replace(second=0, microsecond=0)


def _state_after_step(book: Book, job: Job, *, is_late: bool) -> JobState:
    """Return what a step makes of *job*: one that was told after the end moves nothing."""
    current = book.attempt(job.id)
    if is_late or not job.is_active or (current is not None and current.ended_at is not None):
        return job.state
    # A job that was called hung and moves on after all trains again only by a step it had never done.
    return JobState.RECOVERING if job.id in book.interruptions else JobState.TRAINING


@dataclass(frozen=True, slots=True)
class _Fold:
    """Steps *first* to *last*, evenly spread between their times."""

    first: int
    first_at: datetime
    last: int
    last_at: datetime

    @classmethod
    def of(cls, event: Event, step: int) -> _Fold:
        first = _integer(event, "first_step")
        first_at = _text(event, "first_at")
        if first is None or first >= step or not first_at:
            return cls(step, event.happened_at, step, event.happened_at)
        return cls(first, datetime.fromisoformat(first_at), step, event.happened_at)

    def at(self, step: int) -> datetime:
        """Return when *step* ended, interpolated."""
        if self.last == self.first:
            return self.last_at
        return self.first_at + (self.last_at - self.first_at) * ((step - self.first) / (self.last - self.first))

    def first_new_at(self, job: Job) -> datetime:
        """Return when the first of the steps ended that *job* had never done before."""
        return self.at(max(self.first, job.highest_step + 1))


def _pass_step_edges(book: Book, job: Job, fold: _Fold, *, is_late: bool) -> None:
    """Note which edges of the open interruption the steps of *fold* pass; what is told late passes none."""
    if job.id not in book.interruptions or is_late:
        return
    if fold.first <= job.highest_step:
        book.pass_edge(job.id, Edge.FIRST_REPEATED_STEP, fold.first_at)
    if fold.last > job.highest_step:
        book.pass_edge(job.id, Edge.FIRST_NEW_STEP, fold.first_new_at(job))


def _first_steps(job: Job, current: Attempt, fold: _Fold, *, is_late: bool) -> dict[str, Any]:
    """Return what the steps of *fold* change in the attempt beside its last step."""
    changes: dict[str, Any] = {}
    if current.first_step is None:
        changes.update(first_step=fold.first, first_step_at=fold.first_at)
    if fold.last <= job.highest_step:
        return changes
    if current.first_new_step_at is None:
        changes.update(first_new_step_at=fold.first_new_at(job))
    if is_late:
        return changes
    # Whatever was thought to have stopped this attempt did not: it goes on, and may be interrupted again.
    changes.update(interrupted_at=None, decided_at=None, hung=False)
    if current.hung or (current.fingerprint_at and not _may_be_fatal(current.fingerprint_at, fold.last_at)):
        changes.update(fingerprint="", fingerprint_at=None)
    return changes


def _may_be_fatal(seen_at: datetime | None, stepped_at: datetime) -> bool:
    """Say whether a job that still made a step at *stepped_at* may yet die of what was seen at *seen_at*."""
    return seen_at is not None and stepped_at <= seen_at + OUTLIVED_AFTER


def _normal_step_seconds(job: Job, fold: _Fold, printed: float | None) -> float | None:
    """Return the job's own normal step time after the steps of *fold*; printed times are believed before clocks."""
    measured = printed if printed is not None else _measured_step_seconds(job, fold)
    if measured is None or measured <= 0:
        return job.step_seconds
    if job.step_seconds is None:
        return measured
    clipped = min(measured, STEP_TIME_CLIP * job.step_seconds)
    return job.step_seconds + STEP_TIME_SMOOTHING * (clipped - job.step_seconds)


def _slowed_at(job: Job, current: Attempt, fold: _Fold, printed: float | None) -> datetime | None:
    """Return since when steps take longer than is normal for the job: one part that is slow makes all wait."""
    measured = printed if printed is not None else _measured_step_seconds(job, fold)
    if measured is None or job.step_seconds is None or measured <= SLOW_FROM * job.step_seconds:
        return None
    return current.slowed_at or fold.first_at


def _normal_report_seconds(job: Job, fold: _Fold) -> float | None:
    """Return the job's own normal time between two reports of progress, after the one of *fold*."""
    if job.last_step is None or job.last_step_at is None:
        return job.report_seconds
    return _smoothed(job.report_seconds, max((fold.first_at - job.last_step_at) / timedelta(seconds=1), 0.0))


def _smoothed(normal: float | None, measured: float) -> float:
    """Return what is normal after *measured*: one that is far from it moves it little."""
    if normal is None:
        return measured
    return normal + STEP_TIME_SMOOTHING * (min(measured, STEP_TIME_CLIP * max(normal, 1.0)) - normal)


def _measured_step_seconds(job: Job, fold: _Fold) -> float | None:
    if fold.last > fold.first:
        return (fold.last_at - fold.first_at) / timedelta(seconds=1) / (fold.last - fold.first)
    if job.last_step is not None and job.last_step_at is not None and fold.last > job.last_step:
        return (fold.last_at - job.last_step_at) / timedelta(seconds=1) / (fold.last - job.last_step)
    return None


def _job(book: Book, event: Event) -> Job:
    assert event.job is not None
    return book.jobs[event.job]


def _text(event: Event, name: str) -> str:
    value = event.fields.get(name)
    return "" if value is None else str(value)


def _integer(event: Event, name: str) -> int | None:
    told = event.fields.get(name)
    if type(told) is int:
        return told
    value = _number(event, name)
    return None if value is None else int(value)


def _number(event: Event, name: str) -> float | None:
    value = event.fields.get(name)
    try:
        return None if value is None or value == "" else float(value)
    except ValueError:
        return None


_HANDLERS: dict[str, Callable[[Book, Event], None]] = {
    kinds.JOB_STARTED: _job_started,
    kinds.JOB_ENDED: _job_ended,
    kinds.ATTEMPT_STARTED: _attempt_started,
    kinds.ATTEMPT_ENDED: _attempt_ended,
    kinds.RANK_PLACED: _rank_placed,
    kinds.PROGRESS: _progress,
    kinds.HANG: _hang,
    f"{kinds.HANG}.startup": _hang,
    kinds.EXCEPTION: _exception,
    kinds.LOSS_JUMPED: _loss_went_wrong,
    kinds.LOSS_NAN: _loss_went_wrong,
    **{f"{kinds.PROCESS_EXITED}.{how}": _rank_failed for how in FAILED_ENDINGS},
    kinds.CHECKPOINT_SAVED: _checkpoint,
    kinds.CHECKPOINT_TORN: _checkpoint,
    kinds.CHECKPOINT_BEGUN: _section_begun,
    kinds.CHECKPOINT_DELETED: _checkpoint_deleted,
    kinds.CHECKPOINT_REPORTED: _checkpoint_reported,
    **RESTART_HANDLERS,
    kinds.SECTION_BEGUN: _section_begun,
    kinds.SECTION_ENDED: _section_ended,
    kinds.STEP_CHANGED: _step_changed,
}
