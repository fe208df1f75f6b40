"""All groups that stand still to the ones in which it began."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from clusterwatch.localise.problems import Problem, Stop, Suspicion

SURE_OF_A_CIRCLE = 0.4
"""Of ranks that wait for each other in different groups: one of them went another way, nothing tells which."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where it began, and who is suspected in all groups that stand still for the same reason.

    Attributes:
        stop: The group that stood still first of those in which it may have begun.
        suspicions: Of that group and of all others in which it may have begun alike.
        is_circle: Whether every group waits for another.
    """

    stop: Stop
    suspicions: Mapping[int, Suspicion]
    is_circle: bool = False


def origin_of(stops: Sequence[Stop]) -> Origin | None:
    """Return in which of *stops* it began; None without any."""
    if not stops:
        return None
    waits = Counter(rank for stop in stops for rank in stop.waiting)
    kept = [_unexcused(stop, waits) for stop in stops]
    origins = [stop for stop in kept if stop.suspicions]
    # Whoever is missed elsewhere because it waits where nobody is behind: that is where it began.
    untold = [stop for stop in stops if not stop.suspicions]
    is_circle = not origins and not untold
    first = min(origins or untold or stops, key=_rank_of)
    if is_circle:
        return Origin(first, {rank: _doubted(each) for rank, each in first.suspicions.items()}, is_circle)
    alike = sorted((stop for stop in origins if stop.problem is first.problem), key=_rank_of, reverse=True)
    return Origin(first, {rank: each for stop in alike for rank, each in stop.suspicions.items()})


def _unexcused(stop: Stop, waits: Counter[int]) -> Stop:
    """Return *stop* without the suspicions against ranks that wait in another; *waits* counts in how many each does."""
    if stop.problem is Problem.MISMATCH:
        return stop
    free = {rank: each for rank, each in stop.suspicions.items() if waits[rank] == (rank in stop.waiting)}
    return replace(stop, suspicions=free)


def _rank_of(stop: Stop) -> tuple[Problem, int, str, int]:
    return stop.problem, stop.since_ns, stop.group, stop.sequence


def _doubted(suspicion: Suspicion) -> Suspicion:
    return replace(suspicion, confidence=min(suspicion.confidence, SURE_OF_A_CIRCLE))
