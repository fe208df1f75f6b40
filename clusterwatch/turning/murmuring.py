"""How often each kind of evidence comes of late and nothing follows."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime, timedelta

from clusterwatch.model import World
from clusterwatch.model.job import names_of_jobs
from clusterwatch.model.world import world_with
from clusterwatch.turning.state import Turning

_FORGOTTEN = 0.05

_DAY = timedelta(days=1)


def uncounted(turn: Turning) -> float:
    """Return for how many nodes with jobs the count of what nothing follows is missing still: it takes a day or two.

    As the count of what came fades, so does what was not counted before.
    """
    world = turn.world
    nodes = names_of_jobs(world.jobs.values())
    return len(nodes) * math.exp(-max(turn.now - world.watching_since, timedelta(0)) / _DAY)


def murmurs(world: World, now: datetime) -> dict[str, float]:
    """Return how often in a day each kind comes of late and nothing follows: what was counted has faded since."""
    left = math.exp(-((now - (world.murmured_at or now)) / _DAY))
    faded = ((kind, count * left) for kind, count in world.murmurs.items())
    return {kind: count for kind, count in faded if count > _FORGOTTEN}


def count_murmurs(turn: Turning, told: Iterable[tuple[str, str]]) -> None:
    """Count what nothing came of on nodes with jobs, by kind; what was counted fades within a day or two.

    What nodes without a job do, such as being rebooted, says nothing of how often it happens where one runs.

    Args:
        turn: Whose world keeps the counts.
        told: What nothing came of, as (kind, node).
    """
    with_jobs = names_of_jobs(turn.world.jobs.values())
    heard = [kind for kind, node in told if node in with_jobs]
    if not heard:
        return
    counted = murmurs(turn.world, turn.now)
    for kind in heard:
        counted[kind] = counted.get(kind, 0.0) + 1.0
    turn.world = world_with(turn.world, murmurs=counted, murmured_at=turn.now)
