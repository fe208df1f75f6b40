"""Account for every second of a job.

A job's life is a row of moments; from each moment on, its time goes to one reason, until the next moment. So
the reasons add up to the elapsed time by construction, however many attempts there were and wherever they broke.

A step's work is booked where the step began: the open partial step at a crash belongs to the span after the
last step that ended, and the first new step is productive although it ends later.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from clusterwatch.model import Attempt, Checkpoint, Edge, Interruption, Job


class Reason(StrEnum):
    """Where time goes. All but PRODUCTIVE are lost."""

    PRODUCTIVE = "productive"
    HANG = "hang"
    DETECT = "detect"
    DECIDE = "decide"
    RESCHEDULE = "reschedule"
    START = "start"
    RESTORE = "restore"
    RECOMPUTE = "recompute"
    CHECKPOINT = "checkpoint"
    STRAGGLER = "straggler"
    PLANNED = "planned"
    QUEUE = "queue"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Span:
    """Time that went to one reason. *attempt* is 0 before the first."""

    reason: Reason
    from_at: datetime
    to_at: datetime
    attempt: int = 0

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return (self.to_at - self.from_at) / timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Ledger:
    """Where a job's time went. *spans* touch each other and cover the elapsed time without a gap."""

    job_id: str
    gpus: int
    spans: tuple[Span, ...]

    @property
    def elapsed_seconds(self) -> float:
        """From the job's start to its end, or to now."""
        return sum(span.seconds for span in self.spans)

    def seconds_by_reason(self) -> dict[Reason, float]:
        """Return seconds by reason, reasons without time left out; they add up to the elapsed seconds."""
        totals: dict[Reason, float] = {}
        for span in self.spans:
            totals[span.reason] = totals.get(span.reason, 0.0) + span.seconds
        return totals

    @property
    def productive_seconds(self) -> float:
        """Seconds in which steps were done that had never been done before."""
        return self.seconds_by_reason().get(Reason.PRODUCTIVE, 0.0)

    @property
    def lost_seconds(self) -> float:
        """Seconds that were not productive."""
        return self.elapsed_seconds - self.productive_seconds

    @property
    def ettr(self) -> float | None:
        """Effective training time ratio, 0-1; None before any time has passed."""
        elapsed = self.elapsed_seconds
        return self.productive_seconds / elapsed if elapsed else None

    @property
    def lost_gpu_hours(self) -> float:
        """Lost seconds times GPUs held, in hours."""
        return self.lost_seconds * max(self.gpus, 1) / 3600

    def between(self, from_at: datetime, to_at: datetime) -> Ledger:
        """Return the part of the ledger from *from_at* to *to_at*: what one interruption cost."""
        cut = (
            Span(span.reason, max(span.from_at, from_at), min(span.to_at, to_at), span.attempt) for span in self.spans
        )
        return Ledger(self.job_id, self.gpus, tuple(span for span in cut if span.to_at > span.from_at))


@dataclass(frozen=True, slots=True)
class _Moment:
    at: datetime
    reason: Reason
    attempt: int


def account(
    job: Job,
    attempts: Sequence[Attempt],
    interruptions: Sequence[Interruption],
    now: datetime,
    checkpoints: Iterable[Checkpoint] = (),
) -> Ledger:
    """Return where the time of *job* went from its start to its end, or to *now* while it runs.

    Args:
        job: The job; its GPUs are those held all the time.
        attempts: All of them, oldest first.
        interruptions: Of this job, in any order; hangs that ended by themselves are found here.
        now: End of the account while the job has none.
        checkpoints: Of this job, in any order: what saving them stopped training for is lost too.
    """
    end = max(job.ended_at or now, job.started_at)
    moments = [_Moment(job.started_at, Reason.QUEUE, 0)]
    highest = 0
    for attempt in attempts:
        moments += _moments_of(attempt, highest, job.step_seconds or 0.0)
        highest = max(highest, attempt.last_step or 0)
    moments += _recovered_hangs(interruptions, {attempt.number: attempt for attempt in attempts})
    spans = _spans(sorted(moments, key=lambda moment: moment.at), end)
    planned = [window for stop in interruptions if stop.planned and (window := _window(stop, end))]
    stalls = sorted((_stall(saved) for saved in checkpoints if saved.stall_seconds > 0), key=lambda stall: stall[0])
    booked = _overlaid(spans, planned, Reason.PLANNED, frozenset(Reason) - {Reason.PRODUCTIVE})
    return Ledger(job.id, job.gpus, tuple(_overlaid(booked, stalls, Reason.CHECKPOINT, _TRAINING)))


_TRAINING = frozenset({Reason.PRODUCTIVE, Reason.RECOMPUTE})

_Window = tuple[datetime, datetime]


def _window(stop: Interruption, end: datetime) -> _Window | None:
    began = min(stop.edges.values(), default=None)
    return None if began is None else (began, stop.edges.get(Edge.FIRST_NEW_STEP, end))


def _stall(saved: Checkpoint) -> _Window:
    return saved.saved_at - timedelta(seconds=saved.stall_seconds), saved.saved_at


def _overlaid(
    spans: Iterable[Span], windows: Sequence[_Window], reason: Reason, over: frozenset[Reason]
) -> Iterator[Span]:
    """Yield *spans* with *reason* for what of them lies in *windows*, where they went to one of *over* before.

    Both are in the order of time, and neither overlaps itself.
    """
    ahead = deque(windows)
    for span in spans:
        at = span.from_at
        while ahead and ahead[0][0] < span.to_at:
            begins, ends = ahead[0]
            inner = (max(begins, at), min(ends, span.to_at))
            if span.reason in over and inner[0] < inner[1]:
                if at < inner[0]:
                    yield replace(span, from_at=at, to_at=inner[0])
                yield Span(reason, *inner, span.attempt)
                at = inner[1]
            if ends > span.to_at:
                break
            ahead.popleft()
        if at < span.to_at:
            yield replace(span, from_at=at)


def _moments_of(attempt: Attempt, highest_before: int, step_seconds: float) -> Iterator[_Moment]:
    """Yield what each moment of *attempt* begins; moments it never reached are left out."""
    number = attempt.number
    running_at = attempt.running_at or attempt.started_at
    yield _Moment(running_at, Reason.START, number)
    if attempt.first_step_at is not None and attempt.first_step is not None:
        began = max(running_at, attempt.first_step_at - timedelta(seconds=step_seconds))
        if attempt.first_step <= highest_before:
            yield _Moment(began, Reason.RECOMPUTE, number)
        if attempt.first_new_step_at is not None:
            new_began = max(began, attempt.first_new_step_at - timedelta(seconds=step_seconds))
            yield _Moment(new_began, Reason.PRODUCTIVE, number)
    if attempt.interrupted_at is not None:
        lost_from = min(attempt.last_step_at or running_at, attempt.interrupted_at)
        yield _Moment(lost_from, _waiting_reason(attempt), number)
        yield _Moment(attempt.interrupted_at, Reason.DECIDE, number)
        if attempt.decided_at is not None:
            yield _Moment(max(attempt.decided_at, attempt.interrupted_at), Reason.RESCHEDULE, number)
    elif attempt.ended_at is not None:
        yield _Moment(attempt.last_step_at or running_at, Reason.OTHER, number)


def _waiting_reason(attempt: Attempt) -> Reason:
    if attempt.last_step_at is None:
        return Reason.START
    return Reason.HANG if attempt.hung else Reason.DETECT


def _recovered_hangs(interruptions: Iterable[Interruption], attempts: dict[int, Attempt]) -> Iterator[_Moment]:
    """Yield the pauses of hangs that ended without a restart: no attempt keeps them."""
    for interruption in interruptions:
        attempt = attempts.get(interruption.attempt)
        began, ended = interruption.edges.get(Edge.LAST_STEP), interruption.edges.get(Edge.FIRST_NEW_STEP)
        if attempt is None or began is None or ended is None:
            continue
        if attempt.ended_at is None or ended <= attempt.ended_at:
            yield _Moment(began, Reason.HANG, attempt.number)
            yield _Moment(ended, Reason.PRODUCTIVE, attempt.number)


def _spans(moments: Sequence[_Moment], end: datetime) -> Iterator[Span]:
    for moment, following in zip(moments, [*moments[1:], None], strict=True):
        until = min(following.at, end) if following is not None else end
        if until > moment.at:
            yield Span(moment.reason, moment.at, until, moment.attempt)
