"""Time to training steps and checkpoints: the arithmetic of one job that trains undisturbed.

Times are seconds since the trace began. A step ends or it does not; a save blocks training between two steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from simulators.cluster import Diurnal

FOLD_SECONDS = 60.0
"""Progress is told once a minute, as an agent keeps it, and whenever something grave follows."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a step takes.

    Attributes:
        ramps: (from when, seconds of a step), in the order of time, the first from 0; batch and context grow.
        diurnal: How much slower warm hours are. start: When second 0 is.
    """

    ramps: tuple[tuple[float, float], ...]
    diurnal: Diurnal
    start: datetime

    def step_seconds(self, at: float) -> float:
        """Return the seconds of a step that begins at *at*."""
        base = self.ramps[-1][1] if self.ramps[-1][0] <= at else self._base_before_last(at)
        return base / self.diurnal.throughput_at(self.start + timedelta(0, at))

    def _base_before_last(self, at: float) -> float:
        return next(seconds for begins, seconds in reversed(self.ramps) if begins <= at)

    def slower(self, factor: float) -> Pace:
        """Return the pace at which every step takes *factor* times as long."""
        return replace(self, ramps=tuple((begins, factor * seconds) for begins, seconds in self.ramps))


@dataclass(frozen=True, slots=True)
class Progress:
    """Steps *first* to *last* and when they ended."""

    first: int
    first_at: float
    last: int
    last_at: float


@dataclass(frozen=True, slots=True)
class Saved:
    """A checkpoint of *step* that was complete at *at*; training stood still for *seconds* before that."""

    step: int
    at: float
    seconds: float


@dataclass(slots=True)
class Training:
    """One attempt from the checkpoint it resumed on.

    Attributes:
        save_seconds: How long a save that begins at some second takes.
        step: The last that ended; at: when it ended, or when training began.
        saved_at: When the last save ended, or when training began.
        saving_until: End of a save that began at *at*; *at* itself when none is under way.
    """

    pace: Pace
    save_every_seconds: float
    save_seconds: Callable[[float], float]
    step: int
    at: float
    saved_at: float = -1.0
    saving_until: float = -1.0

    def __post_init__(self) -> None:
        """Let the first interval begin now."""
        self.saved_at = self.saving_until = self.at

    def advance(self, until: float) -> Iterator[Progress | Saved]:
        """Train on and yield what was done up to *until*: progress by the minute, and saves, in the order of time.

        However *until* is cut into pieces, the same steps end at the same times.
        """
        first, first_at = self.step + 1, 0.0
        minute = self.at // FOLD_SECONDS
        while True:
            if self.saving_until > self.at:
                if self.saving_until > until:
                    break
                if self.step >= first:
                    yield Progress(first, first_at, self.step, self.at)
                    first = self.step + 1
                seconds, self.at = self.saving_until - self.at, self.saving_until
                self.saved_at = self.at
                yield Saved(self.step, self.at, seconds)
            ends = self.at + self.pace.step_seconds(self.at)
            if ends > until:
                break
            if self.step >= first and ends // FOLD_SECONDS != minute:
                yield Progress(first, first_at, self.step, self.at)
                first = self.step + 1
            if self.step + 1 == first:
                first_at, minute = ends, ends // FOLD_SECONDS
            self.step, self.at = self.step + 1, ends
            is_due = ends - self.saved_at >= self.save_every_seconds
            self.saving_until = ends + self.save_seconds(ends) if is_due else ends
        if self.step >= first:
            yield Progress(first, first_at, self.step, self.at)

    def is_saving(self, at: float) -> bool:
        """Return whether a save was under way at *at*, which must not be before what was advanced to."""
        return self.at < at < self.saving_until
