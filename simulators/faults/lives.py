"""How old each part is. Age runs on the life of the part: a job that restarts makes no part young again.

1. A part ages whether a job runs on it or not.
2. Only the replacement of a part begins a new life, and only that of the part that was replaced.
3. A part that is being replaced does not age and cannot break.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from random import Random

from simulators.faults.laws import Law


class Lives:
    """The parts of one sort, by number. *ages* are their ages in seconds at time 0."""

    def __init__(self, ages: Sequence[float]) -> None:
        self._born_at = [-age for age in ages]

    def __len__(self) -> int:
        return len(self._born_at)

    def age(self, part: int, now: float) -> float:
        """Return the age of *part* at *now*, in seconds; 0 while it is being replaced."""
        return max(0.0, now - self._born_at[part])

    def replace(self, part: int, at: float) -> None:
        """Let *part* be a new one from *at* on."""
        self._born_at[part] = at

    def next_failure(self, part: int, now: float, law: Law, rng: Random) -> float:
        """Return when *part* breaks, not having broken by *now*.

        Asked again at a later time, as after a restart, the answer is another draw from the same life.
        """
        begins = max(now, self._born_at[part])
        return begins + law.residual(self.age(part, begins), rng)


def failures(
    lives: Lives, law_of: Callable[[int], Law], span: float, repair: Callable[[], float], rng: Random
) -> Iterator[tuple[float, int, float]]:
    """Yield (when, part, seconds until it was replaced) for each time a part breaks before *span*, part by part.

    A broken part is replaced by a new one, which can break again.
    """
    for part in range(len(lives)):
        at = lives.next_failure(part, 0.0, law_of(part), rng)
        while at < span:
            repair_seconds = repair()
            yield at, part, repair_seconds
            lives.replace(part, at + repair_seconds)
            at = lives.next_failure(part, at + repair_seconds, law_of(part), rng)
