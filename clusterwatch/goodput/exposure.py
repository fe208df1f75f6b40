"""Attempts and the nodes they ran on to how long each node was in a job: what faults must be counted against."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from clusterwatch.model import Attempt, Job

DAY_SECONDS = 86_400.0


def held_seconds(
    job: Job,
    attempts: Sequence[Attempt],
    nodes_of: Mapping[int, Iterable[str]],
    from_at: datetime,
    to_at: datetime,
) -> dict[str, float]:
    """Return how many seconds of *from_at* to *to_at* the job held each node, by name.

    A node is held from where the processes of an attempt run to where those of the next one do, or the job ends: it can
    fail while the job restarts as well.

    Args:
        job: The job; its own nodes count for an attempt of which none are known.
        attempts: All of them, oldest first.
        nodes_of: Names by number of the attempt.
        from_at: Begin of the window.
        to_at: Its end.
    """
    found: dict[str, float] = {}
    until = min(job.ended_at or to_at, to_at)
    for attempt, following in zip(attempts, [*attempts[1:], None], strict=False):
        begins = max(_running_at(attempt), from_at)
        ends = min(_running_at(following), until) if following is not None else until
        seconds = (ends - begins) / timedelta(seconds=1)
        if seconds > 0:
            for name in sorted(set(nodes_of.get(attempt.number, ()) or job.nodes)):
                found[name] = found.get(name, 0.0) + seconds
    return found


def _running_at(attempt: Attempt) -> datetime:
    return attempt.running_at or attempt.started_at
