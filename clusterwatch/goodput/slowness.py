"""Progress to the time that a job's steps took beyond its own normal.

1. Progress is kept once a minute. From one row to the next of the same attempt, so many steps took so much of the time
   that was productive: pauses, saves and repeated steps are already out of it.
2. The job's normal at any time is the median of that over the half day before or the half day after, whichever is
   slower. So a longer sequence or a bigger batch is a new normal from where it begins, and so is whatever lasts longer
   than six hours. Where the record is shorter than half a day on one side the other decides; on both, all of it does.
3. Steps that take a tenth more than normal are slow; all that they take beyond normal is lost. Below that is noise.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from clusterwatch.goodput.ledger import Reason, Span
from clusterwatch.model import Progress

SLOW_FROM = 1.1
"""Times the normal step time."""

AROUND = timedelta(hours=12)
"""How far before and after it a step is compared with others."""

_AROUND_SECONDS = AROUND.total_seconds()

FEWEST = 10
"""Before there are so many rows to compare with, nothing is normal."""

_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class _Stretch:
    """New steps between two rows, and the productive *pieces* of time they took."""

    at: datetime
    steps: int
    pieces: tuple[tuple[datetime, datetime], ...]

    @property
    def step_seconds(self) -> float:
        return sum((ends - begins for begins, ends in self.pieces), timedelta()) / _SECOND / self.steps


def slow_windows(spans: Sequence[Span], progress: Sequence[Progress]) -> list[tuple[datetime, datetime]]:
    """Return what of the productive *spans* was lost to slow steps: the end of each stretch, in the order of time.

    Args:
        spans: Of the whole job, in the order of time.
        progress: Of the same job, oldest first.
    """
    stretches = list(_stretches(spans, progress))
    return [
        window
        for stretch, normal in zip(stretches, _normals(stretches), strict=True)
        if normal is not None and stretch.step_seconds > SLOW_FROM * normal
        for window in _beyond(stretch, stretch.steps * normal)
    ]


def _stretches(spans: Sequence[Span], progress: Sequence[Progress]) -> Iterator[_Stretch]:
    productive = [span for span in spans if span.reason is Reason.PRODUCTIVE]
    first = 0
    for before, after in pairwise(progress):
        while first < len(productive) and productive[first].to_at <= before.at:
            first += 1
        if before.attempt == after.attempt and after.step > before.step:
            pieces = tuple(_pieces(productive, first, before.at, after.at))
            if pieces:
                yield _Stretch(after.at, after.step - before.step, pieces)


def _pieces(
    productive: Sequence[Span], first: int, begins: datetime, ends: datetime
) -> Iterator[tuple[datetime, datetime]]:
    while first < len(productive) and productive[first].from_at < ends:
        yield max(productive[first].from_at, begins), min(productive[first].to_at, ends)
        first += 1


def _normals(stretches: Sequence[_Stretch]) -> list[float | None]:
    """Return for each stretch what was normal for the job then; None where that is not known."""
    seconds = [stretch.step_seconds for stretch in stretches]
    ages = [(stretch.at - stretches[0].at) / _SECOND for stretch in stretches]
    before = _medians(ages, seconds)
    after = _medians([ages[-1] - age for age in reversed(ages)], seconds[::-1])[::-1] if ages else []
    whole = sorted(seconds)[(len(seconds) - 1) // 2] if len(seconds) >= FEWEST else None
    return [
        max((each for each in sides if each is not None), default=None if _is_long(ages) else whole)
        for sides in zip(before, after, strict=True)
    ]


def _is_long(ages: Sequence[float]) -> bool:
    return ages[-1] > 2 * _AROUND_SECONDS


def _medians(ages: Sequence[float], seconds: Sequence[float]) -> list[float | None]:
    """Return for each the median of *seconds* in the time before it; None where the record does not go back so far."""
    found: list[float | None] = []
    near: list[float] = []
    low = 0
    for age, value in zip(ages, seconds, strict=True):
        insort(near, value)
        while ages[low] < age - _AROUND_SECONDS:
            del near[bisect_left(near, seconds[low])]
            low += 1
        is_known = age >= _AROUND_SECONDS and len(near) >= FEWEST
        found.append(near[(len(near) - 1) // 2] if is_known else None)
    return found


def _beyond(stretch: _Stretch, normal_seconds: float) -> Iterator[tuple[datetime, datetime]]:
    """Yield the pieces of *stretch* that are left when *normal_seconds* of it are taken from its beginning."""
    left = timedelta(seconds=normal_seconds)
    for begins, ends in stretch.pieces:
        kept = min(left, ends - begins)
        left -= kept
        if begins + kept < ends:
            yield begins + kept, ends
