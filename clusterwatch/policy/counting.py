"""What automation did of late, counted from recorded decisions."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import takewhile

from clusterwatch.model import CLUSTER, Decision, Step, StepKind, StepState
from clusterwatch.policy.situation import Cluster

_NOT_DONE = frozenset({StepState.CANCELLED, StepState.REFUSED, StepState.FAILED})


def steps_of_late(cluster: Cluster, now: datetime, within: timedelta) -> Iterator[tuple[Decision, Step]]:
    """Yield the steps that were decided *within* so long before *now*, newest decision first."""
    recent = takewhile(lambda each: now - each.made_at < within, reversed(cluster.recent))
    return ((decision, step) for decision in recent for step in decision.steps)


def used(cluster: Cluster, kind: StepKind, now: datetime, within: timedelta, job_id: str | None = None) -> int:
    """Count steps of *kind* that were done or may be yet; those that were refused, failed or cancelled cost nothing."""
    return sum(
        step.kind is kind and step.state not in _NOT_DONE and (job_id is None or decision.job_id == job_id)
        for decision, step in steps_of_late(cluster, now, within)
    )


def taken_out(cluster: Cluster, now: datetime) -> frozenset[str]:
    """Return the nodes that ClusterWatch has out of service, or is about to take out."""
    drained = {node.name for node in cluster.drained()}
    about_to_be = {
        str(step.arguments.get("node"))
        for _, step in steps_of_late(cluster, now, timedelta(hours=1))
        if step.kind is StepKind.DRAIN and step.state in (StepState.RECORDED, StepState.BEGUN)
    }
    return frozenset(drained | about_to_be)


def counted_since(cluster: Cluster, now: datetime, within: timedelta) -> datetime:
    """Return from when on the breaker counts: a reset begins anew."""
    last = cluster.holds.get(CLUSTER)
    since = now - within
    return max(since, last.lifted_at) if last is not None and last.lifted_at is not None else since
