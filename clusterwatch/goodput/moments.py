"""Attempts and interruptions to the moments from which on a job's time goes to another reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from clusterwatch.goodput.ledger import Reason
from clusterwatch.model import Attempt, Edge, Interruption, Job

SILENT_REPORTS = 10
SHORTEST_SILENCE = timedelta(minutes=10)
"""A job that nobody called stopped, and that reported no step for so many of its intervals and for so long, is not
taken to train: it may have ended without a mark, unseen."""


@dataclass(frozen=True, slots=True)
class Moment:
    """From *at* on, time goes to *reason*."""

    at: datetime
    reason: Reason
    attempt: int


def moments_of(
    job: Job, attempts: Sequence[Attempt], interruptions: Sequence[Interruption], end: datetime
) -> list[Moment]:
    """Return all moments of *job* up to *end* in the order of time; the first is its start."""
    moments = [Moment(job.started_at, Reason.QUEUE, 0)]
    highest, floor = 0, job.started_at
    for attempt, following in zip(attempts, [*attempts[1:], None], strict=False):
        begins = max(_running_at(attempt), floor)
        ends = max(_running_at(following), begins) if following is not None else None
        life = _Life(job, attempt, begins, ends, end)
        own = [*life.moments(highest), *_recovered_hangs(interruptions, attempt, job.step_seconds)]
        moments += _within(own, begins, ends)
        highest, floor = max(highest, attempt.last_step or 0), begins
    return moments


def _running_at(attempt: Attempt) -> datetime:
    return attempt.running_at or attempt.started_at


def _within(moments: Iterable[Moment], begins: datetime, ends: datetime | None) -> list[Moment]:
    held = [replace(moment, at=max(begins, moment.at if ends is None else min(moment.at, ends))) for moment in moments]
    return sorted(held, key=lambda moment: moment.at)


@dataclass(frozen=True, slots=True)
class _Life:
    """One attempt: it has the time from *begins* to *ends*, where the next one begins; None for the last."""

    job: Job
    attempt: Attempt
    begins: datetime
    ends: datetime | None
    now: datetime

    def moments(self, highest_before: int) -> Iterator[Moment]:
        """Yield what each moment begins; moments that were never reached are left out."""
        yield self._moment(self.begins, Reason.START)
        yield from self._loading()
        yield from self._steps(highest_before)
        yield from self._stop()

    def _moment(self, at: datetime, reason: Reason) -> Moment:
        return Moment(at, reason, self.attempt.number)

    @property
    def _first_step_began(self) -> datetime | None:
        if self.attempt.first_step_at is None:
            return None
        return max(self.begins, self.attempt.first_step_at - timedelta(seconds=self.job.step_seconds or 0.0))

    def _loading(self) -> Iterator[Moment]:
        """Yield when the checkpoint was loaded: told by lines, so only where somebody prints them."""
        until = self._first_step_began or self.attempt.interrupted_at or self.attempt.ended_at or self.now
        ended = self.attempt.checkpoint_loaded_at
        # Frameworks that tell only the end of loading begin it when the ranks have found each other.
        began = self.attempt.checkpoint_loading_at or (self.attempt.communicators_ready_at if ended else None)
        if began is None or began >= until:
            return
        yield self._moment(began, Reason.RESTORE)
        if ended is not None and began <= ended < until:
            yield self._moment(ended, Reason.START)

    def _steps(self, highest_before: int) -> Iterator[Moment]:
        attempt, began = self.attempt, self._first_step_began
        if began is None or attempt.first_step is None:
            return
        if attempt.first_step <= highest_before:
            yield self._moment(began, Reason.RECOMPUTE)
        if attempt.first_new_step_at is not None:
            step = timedelta(seconds=self.job.step_seconds or 0.0)
            yield self._moment(max(began, attempt.first_new_step_at - step), Reason.PRODUCTIVE)

    def _stop(self) -> Iterator[Moment]:
        attempt, noticed = self.attempt, self._noticed_at
        if noticed is None:
            if self._has_ended_unseen and attempt.last_step_at is not None:
                yield self._moment(attempt.last_step_at, Reason.OTHER)
            return
        # Before its first step an attempt does what its processes do; nobody waits for a step yet.
        if attempt.last_step_at is not None:
            hung = attempt.hung and noticed == attempt.interrupted_at
            yield self._moment(min(attempt.last_step_at, noticed), Reason.HANG if hung else Reason.DETECT)
        yield self._moment(noticed, Reason.DECIDE)
        if attempt.decided_at is not None:
            yield self._moment(max(attempt.decided_at, noticed), Reason.RESCHEDULE)

    @property
    def _noticed_at(self) -> datetime | None:
        """When somebody noticed that the attempt stopped for good; None if it did not, as far as anyone knows."""
        attempt = self.attempt
        if attempt.interrupted_at is None or attempt.last_step_at is None:
            return attempt.interrupted_at
        moved_on = attempt.last_step_at > attempt.interrupted_at
        if moved_on and (attempt.ended_at is None or attempt.last_step_at <= attempt.ended_at):
            # What was noticed passed, and it made steps again, though none that was new.
            return attempt.ended_at or self.ends
        return attempt.interrupted_at

    @property
    def _has_ended_unseen(self) -> bool:
        """Whether it trains no more, though nobody noticed that it stopped: its job completed, or fell silent."""
        if self.attempt.ended_at or self.ends or self.job.ended_at:
            return True
        usual = max(self.job.report_seconds or 0.0, self.job.step_seconds or 0.0)
        silence = max(SILENT_REPORTS * timedelta(seconds=usual), SHORTEST_SILENCE)
        return self.attempt.last_step_at is not None and self.now - self.attempt.last_step_at > silence


def _recovered_hangs(
    interruptions: Iterable[Interruption], attempt: Attempt, step_seconds: float | None
) -> Iterator[Moment]:
    """Yield the pauses of hangs that ended without a restart: the attempt itself does not keep them."""
    for interruption in interruptions:
        began, ended = interruption.edges.get(Edge.LAST_STEP), interruption.edges.get(Edge.FIRST_NEW_STEP)
        if interruption.attempt != attempt.number or began is None or ended is None:
            continue
        if attempt.ended_at is None or ended <= attempt.ended_at:
            yield Moment(began, Reason.HANG, attempt.number)
            yield Moment(max(began, ended - timedelta(seconds=step_seconds or 0.0)), Reason.PRODUCTIVE, attempt.number)
