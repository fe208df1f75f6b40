"""What a person asks to be done to a node, as a decision like any other: recorded first, then carried out.

The brakes speak, and the person has the last word. What a person drained comes back on a person's word alone; what
ClusterWatch did not drain is not brought back at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from clusterwatch.model import Cause, Decision, Mode, NodeState, Step, StepKind
from clusterwatch.policy import counting
from clusterwatch.policy.brakes import drains_left
from clusterwatch.policy.limits import Limits
from clusterwatch.policy.situation import Cluster

ASKED = "asked by a person"
"""What stands for the rule in a decision that a person asked for."""


def objections(cluster: Cluster, node: str, limits: Limits, now: datetime) -> Iterator[str]:
    """Yield what would keep automation from draining *node* now."""
    if cluster.breaker is not None:
        yield f"the breaker is open ({cluster.breaker.reason})"
    hold = cluster.hold_on(f"node:{node}")
    if hold is not None:
        yield f"it is held ({hold.reason})"
    if node in cluster.in_maintenance(now):
        yield "people work on it"
    left, budget = drains_left(cluster, "", limits, now)
    if left <= 0:
        yield budget
    if cluster.spares(now) == 0:
        yield "no spare node could replace it"


def why_not_out(cluster: Cluster, node: str, now: datetime) -> str:
    """Return why nothing is to be drained; "" where something is."""
    known = cluster.nodes.get(node)
    if known is None:
        return f'no node is called {node}: "clusterwatch nodes list" names them'
    if known.state is NodeState.DRAINED or node in counting.taken_out(cluster, now):
        return f"{node} is out of service already"
    return ""


def why_not_back(cluster: Cluster, node: str) -> str:
    """Return why *node* cannot be brought back; "" where it can."""
    known = cluster.nodes.get(node)
    if known is None:
        return f'no node is called {node}: "clusterwatch nodes list" names them'
    if known.state is not NodeState.DRAINED:
        return f"{node} is not out of service"
    if not known.drained_by:
        return f"{node} was not drained by ClusterWatch: whoever drained it gives it back"
    return ""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person wants of a node.

    Attributes:
        kinds: Of the steps, in order.
        incident_id: Under which it is kept.
        actuator, target: Who carries it out, and on what: the job on the node, or the node itself.
        reason: In words, with who and why.
    """

    node: str
    kinds: tuple[StepKind, ...]
    incident_id: str
    actuator: str
    target: str
    reason: str


def asked_for(asked: Asked, limits: Limits, now: datetime) -> Decision:
    """Return the decision that carries out what a person asked for."""
    decision_id = f"dec-asked-{asked.kinds[-1]}-{asked.node}-{now:%Y%m%d%H%M%S}"
    about = {"node": asked.node, "incident": asked.incident_id, "cause": Cause.HOST_MAINTENANCE.value}
    until = now + limits.act_within
    steps = tuple(
        Step(f"{decision_id}.{order}", decision_id, order, kind, asked.actuator, asked.target, about, until)
        for order, kind in enumerate(asked.kinds, start=1)
    )
    return Decision(
        id=decision_id,
        incident_id=asked.incident_id,
        revision=0,
        job_id=None,
        # It was a person who asked: nothing is left to approve.
        mode=Mode.AUTO,
        reason=asked.reason,
        made_at=now,
        steps=steps,
        policy=limits.policy.name,
        rule=ASKED,
        cause=Cause.HOST_MAINTENANCE.value,
    )
