"""The nodes that ClusterWatch leaves out of a job, each with why it stays so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from clusterwatch import policy
from clusterwatch.app import wiring
from clusterwatch.config import Settings
from clusterwatch.model import LeftOut
from clusterwatch.store import JobView, Store


@dataclass(frozen=True, slots=True)
class Excluded:
    """A node that is left out; *stays_because* is "" for one that returns with the next restart of the job."""

    left: LeftOut
    stays_because: str


def excluded_from(store: Store, settings: Settings, view: JobView, now: datetime) -> list[Excluded]:
    """Return the nodes that are left out of the job, in the order in which that was done."""
    world, _ = store.world(now)
    cluster = policy.Cluster(world.nodes, world.jobs, world.topology, world.maintenance, world.holds)
    limits = wiring.limits_of(settings, actuators=wiring.actuators_of(settings)).policy
    return [
        Excluded(left, policy.stays_out(left, view.job, view.attempts, cluster, limits, now))
        for left in view.job.left_out
    ]
