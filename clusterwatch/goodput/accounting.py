"""Account for every second of a job.

The rules:

1. A job's life is a row of moments; from each on, its time goes to one reason, until the next. So the reasons add up
   to the elapsed time by construction, however many attempts there were and wherever they broke.
2. A step's work is booked where the step began: the open partial step at a crash belongs to the span after the last
   step that ended, and the first new step is productive although it ends later.
3. An attempt has the time from where its processes run to where those of the next one do. What is told of it for
   another time, by a clock that is wrong, moves no other attempt.
4. On top of that lie planned stops (over everything but new steps), then what saves stopped training for (over steps,
   new or repeated), then slowness (over new steps). Where two windows of a kind overlap, their time counts once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from clusterwatch.goodput.ledger import Ledger, Reason, Span
from clusterwatch.goodput.moments import Moment, moments_of
from clusterwatch.goodput.slowness import slow_windows
from clusterwatch.model import Attempt, Checkpoint, Edge, Interruption, Job, Progress

_TRAINING = frozenset({Reason.PRODUCTIVE, Reason.RECOMPUTE})
_NOT_PRODUCTIVE = frozenset(Reason) - {Reason.PRODUCTIVE}
_NEW_STEPS = frozenset({Reason.PRODUCTIVE})

_Window = tuple[datetime, datetime]


def account(
    job: Job,
    attempts: Sequence[Attempt],
    interruptions: Iterable[Interruption],
    now: datetime,
    checkpoints: Iterable[Checkpoint] = (),
    progress: Sequence[Progress] = (),
) -> Ledger:
    """Return where the time of *job* went from its start to its end, or to *now* while it runs.

    Args:
        job: The job; its GPUs are those held all the time.
        attempts: All of them, oldest first.
        interruptions: Of this job, in any order; hangs that ended by themselves are found here.
        now: End of the account while the job has none.
        checkpoints: Of this job, in any order: what saving them stopped training for is lost too.
        progress: Of this job, oldest first: without it no slowness is found.
    """
    end = max(job.ended_at or now, job.started_at)
    stops = list(interruptions)
    spans = list(_spans(moments_of(job, attempts, stops, end), end))
    spans = list(_overlaid(spans, _merged(_planned(stops, end)), Reason.PLANNED, _NOT_PRODUCTIVE))
    spans = list(_overlaid(spans, _merged(map(_stall, checkpoints)), Reason.CHECKPOINT, _TRAINING))
    slow = slow_windows(spans, progress)
    return Ledger(job.id, job.gpus, tuple(_overlaid(spans, slow, Reason.STRAGGLER, _NEW_STEPS)))


def _spans(moments: Sequence[Moment], end: datetime) -> Iterator[Span]:
    for moment, following in zip(moments, [*moments[1:], None], strict=True):
        until = min(following.at, end) if following is not None else end
        if until > moment.at:
            yield Span(moment.reason, moment.at, until, moment.attempt)


def _planned(stops: Iterable[Interruption], end: datetime) -> Iterator[_Window]:
    for stop in stops:
        if stop.planned and stop.edges:
            yield min(stop.edges.values()), stop.edges.get(Edge.FIRST_NEW_STEP, end)


def _stall(saved: Checkpoint) -> _Window:
    """Return when training stood still for a save: at its beginning, what is written in the background comes after."""
    stall = max(saved.stall_seconds, 0.0)
    began = saved.saved_at - timedelta(seconds=max(saved.save_seconds, stall))
    return began, began + timedelta(seconds=stall)


def _merged(windows: Iterable[_Window]) -> list[_Window]:
    """Return *windows* in the order of time, those that overlap or touch as one, empty ones left out."""
    merged: list[_Window] = []
    for begins, ends in sorted(windows):
        if begins >= ends:
            continue
        if merged and begins <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], ends))
        else:
            merged.append((begins, ends))
    return merged


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
