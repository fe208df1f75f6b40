"""How often each kind of evidence comes of late and nothing follows."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import timedelta

from clusterwatch.model.job import names_in
from clusterwatch.model.world import world_with
from clusterwatch.turning.state import Turning

_FORGOTTEN = 0.05

_DAY = timedelta(days=1)


def uncounted(turn: Turning) -> float:
    """Return for how many nodes with jobs the count of what nothing follows is missing still: it takes a day or two.

    As the count of what came fades, so does what was not counted before.
    """
    world = turn.world
    nodes = set[str]().union(*(names_in(job.nodes) for job in world.jobs.values()))
    return len(nodes) * math.exp(-max(turn.now - world.watching_since, timedelta(0)) / _DAY)


def count_murmurs(turn: Turning, told: Iterable[tuple[str, str]]) -> None:
    """Count what nothing came of on nodes with jobs, by kind; what was counted fades within a day or two.

    What nodes without a job do, such as being rebooted, says nothing of how often it happens where one runs.

    Args:
        turn: Whose world keeps the counts.
        told: What nothing came of, as (kind, node).
    """
    world = turn.world
    passed = (turn.now - (world.murmured_at or turn.now)) / _DAY
    counted = {kind: count * math.exp(-passed) for kind, count in world.murmurs.items()}
    for kind, node in told:
        if not any(node in names_in(job.nodes) for job in world.jobs.values()):
            continue
        counted[kind] = counted.get(kind, 0.0) + 1.0
    kept = {kind: count for kind, count in counted.items() if count > _FORGOTTEN}
    turn.world = world_with(world, murmurs=kept, murmured_at=turn.now)
