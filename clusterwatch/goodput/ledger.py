"""What an account of a job's time says: spans that touch each other, each of one reason."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from operator import attrgetter


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


MEANING: dict[Reason, str] = {
    Reason.PRODUCTIVE: "steps that had never been done before",
    Reason.HANG: "from the end of the last step until somebody noticed that none ends any more; processes still ran",
    Reason.DETECT: "from the end of the last step, so the open step included, to the first event of what stopped it",
    Reason.DECIDE: "from that event until a plan was recorded",
    Reason.RESCHEDULE: "from the plan until processes run again, waiting for nodes included",
    Reason.START: "processes run and make no step yet: imports, communicators, compiling, filling the data loader",
    Reason.RESTORE: "loading the checkpoint, as far as a line told its beginning",
    Reason.RECOMPUTE: "steps that had been done before",
    Reason.CHECKPOINT: "training stood still to save; a save in the background costs only what it stalls",
    Reason.STRAGGLER: "steps took longer than the job's own normal: what they took beyond it",
    Reason.PLANNED: "a stop that somebody wanted, until the first new step",
    Reason.QUEUE: "before the first attempt",
    Reason.OTHER: "nothing on record tells: after the last step of a job that completes or falls silent",
}
"""What each reason covers, in one sentence."""


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
        return (self.to_at - self.from_at) / _SECOND


@dataclass(frozen=True, slots=True)
class Ledger:
    """Where a job's time went. *spans* touch each other and cover the elapsed time without a gap."""

    job_id: str
    gpus: int
    spans: tuple[Span, ...]

    @property
    def elapsed_seconds(self) -> float:
        """From the job's start to its end, or to now."""
        return _seconds(self.spans)

    def seconds_by_reason(self) -> dict[Reason, float]:
        """Return seconds by reason, reasons without time left out; they add up to the elapsed seconds."""
        spans: dict[Reason, list[Span]] = {}
        for span in self.spans:
            spans.setdefault(span.reason, []).append(span)
        return {reason: _seconds(of_it) for reason, of_it in spans.items()}

    def seconds_for(self, reason: Reason) -> float:
        """Return the seconds that went to *reason*."""
        return _seconds([span for span in self.spans if span.reason is reason])

    @property
    def productive_seconds(self) -> float:
        """Seconds in which steps were done that had never been done before."""
        return self.seconds_for(Reason.PRODUCTIVE)

    @property
    def lost_seconds(self) -> float:
        """Seconds that were not productive."""
        return _seconds([span for span in self.spans if span.reason is not Reason.PRODUCTIVE])

    @property
    def ettr(self) -> float | None:
        """Effective training time ratio, 0-1; None before any time has passed."""
        elapsed = self.elapsed_seconds
        return self.productive_seconds / elapsed if elapsed else None

    @property
    def ettr_unplanned(self) -> float | None:
        """The ratio over the time outside planned stops; None where there is none."""
        unplanned = _seconds([span for span in self.spans if span.reason is not Reason.PLANNED])
        return self.productive_seconds / unplanned if unplanned else None

    @property
    def lost_gpu_hours(self) -> float:
        """Lost seconds times GPUs held, in hours."""
        return self.gpu_hours(self.lost_seconds)

    def gpu_hours(self, seconds: float) -> float:
        """Return *seconds* times the GPUs held, in hours; a job without GPUs holds one of whatever it runs on."""
        return seconds * max(self.gpus, 1) / 3600

    def between(self, from_at: datetime, to_at: datetime) -> Ledger:
        """Return the part of the ledger from *from_at* to *to_at*: what one interruption cost, or the last day."""
        # In the order of time: of many interruptions each costs a few spans of tens of thousands.
        first = bisect_right(self.spans, from_at, key=attrgetter("to_at"))
        last = bisect_left(self.spans, to_at, lo=first, key=attrgetter("from_at"))
        part = self.spans[first:last]
        cut = (Span(span.reason, max(span.from_at, from_at), min(span.to_at, to_at), span.attempt) for span in part)
        return Ledger(self.job_id, self.gpus, tuple(span for span in cut if span.to_at > span.from_at))

    def by_attempt(self) -> dict[int, Ledger]:
        """Return the part of each attempt by its number, 0 for the time before the first; together they are all."""
        numbers = dict.fromkeys(span.attempt for span in self.spans)
        return {
            number: Ledger(self.job_id, self.gpus, tuple(span for span in self.spans if span.attempt == number))
            for number in numbers
        }


WINDOWS: dict[str, timedelta | None] = {
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "all": None,
}
"""How far back people look, by name; None is everything."""


def windows_of(ledger: Ledger, now: datetime) -> dict[str, Ledger]:
    """Return the part of *ledger* in each of the windows that end *now*."""
    return {name: ledger if length is None else ledger.between(now - length, now) for name, length in WINDOWS.items()}


_SECOND = timedelta(seconds=1)


def _seconds(spans: Iterable[Span]) -> float:
    # Times have whole microseconds, so that adding them up before dividing loses nothing.
    return sum((span.to_at - span.from_at for span in spans), timedelta()) / _SECOND
