"""Events and suspicions to the state of each node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta

from clusterwatch.model import Diagnosis, Event, Node, NodeState, StepKind, StepState, World, kinds
from clusterwatch.model.making import changer, replace

SCHEDULER = "scheduler"
"""Who put a node back that no step of a plan put back."""

SEEN_EVERY = timedelta(minutes=1)
"""How exactly it is kept when a node was last seen: a row a minute, not one an event."""

_TOLD_BY_SCHEDULER = {
    kinds.REBOOTED: NodeState.IN_SERVICE,
    kinds.NODE_BACK: NodeState.IN_SERVICE,
    kinds.NODE_DRAINED: NodeState.DRAINED,
    kinds.NODE_DOWN: NodeState.SILENT,
}
"""What a node's own start, and the scheduler's word, make of it."""

_changed = changer(Node)
"""`dataclasses.replace` costs more than the rest of what is done to a node that was only seen."""

_NAMING_NODES = frozenset({kinds.JOB_STARTED, kinds.ATTEMPT_STARTED})

_MOVED_BY = {
    StepKind.DRAIN.value: NodeState.DRAINED,
    StepKind.RELEASE.value: NodeState.IN_SERVICE,
    StepKind.CHECK.value: NodeState.IN_SERVICE,
}
"""What a finished step makes of its node. Leaving a node out of one job takes it away from nobody else."""


def node_states(
    world: World,
    events: Iterable[Event],
    blamed: Mapping[str, Diagnosis],
    doubted: AbstractSet[tuple[str, str]],
    now: datetime,
) -> tuple[Node, ...]:
    """Return the nodes whose state changed.

    Args:
        world: With the nodes as they were; nodes of jobs that start and of collectors found at work count as known.
        events: Of this turn; a node that speaks is seen, a finished step may take one out or back.
        blamed: Node name to the diagnosis in which its own sources blame its hardware.
        doubted: Nodes that incidents blamed before they were diagnosed anew, with the id of the incident: it may do
            so no more.
        now: The present.
    """
    events = tuple(events)
    moved = _moved(events)
    known_by = {event.node: _addresses(event) for event in events if event.kind == kinds.NODE_ADDRESSES}
    speaking = world.heard.union(event.node for event in events)
    changing = _may_change(world, events, speaking, now)
    nodes = []
    for name in sorted(
        (changing | moved.keys() | blamed.keys() | known_by.keys()).union(name for name, _ in doubted) - {""}
    ):
        before = world.nodes.get(name) or Node(name, NodeState.IN_SERVICE, now - SEEN_EVERY)
        after = _after(before, moved.get(name), blamed.get(name), doubted)
        if name in known_by:
            after = replace(after, addresses=known_by[name])
        nodes.append(_seen(after, now) if name in speaking else after)
    return tuple(node for node in nodes if world.nodes.get(node.name) != node)


def _may_change(world: World, events: Iterable[Event], speaking: frozenset[str], now: datetime) -> set[str]:
    """Return the nodes that are new, or heard again after a while.

    The others stay as they are and are not looked at: a fleet has too many for that in each turn.
    """
    known = world.nodes
    started = {event.job for event in events if event.kind in _NAMING_NODES and event.job in world.jobs}
    named = speaking.union(*(world.jobs[job].nodes for job in started if job is not None))
    heard = {name for name in speaking if name in known and now - known[name].seen_at >= SEEN_EVERY}
    return heard.union(name for name in named if name not in known)


@dataclass(frozen=True, slots=True)
class _Move:
    """Where a node was put, and by whom: a decision's id, the scheduler, or "" for its own start.

    One that only *has_passed* a check is suspect no more, and stays where it is if it is out of service.
    """

    state: NodeState
    by: str = ""
    has_passed: bool = False


def _moved(events: Iterable[Event]) -> dict[str, _Move]:
    """Return where finished steps, reboots and the scheduler put nodes."""
    moved = {}
    for event in events:
        if event.kind in _TOLD_BY_SCHEDULER:
            moved[event.node] = _Move(
                _TOLD_BY_SCHEDULER[event.kind], SCHEDULER if event.kind == kinds.NODE_BACK else ""
            )
        elif event.kind == kinds.STEP_CHANGED and event.fields.get("state") == StepState.DONE:
            state = _MOVED_BY.get(str(event.fields.get("step_kind")))
            if state is not None and event.fields.get("node"):
                decision_id = str(event.fields.get("step_id") or "").rpartition(".")[0]
                has_passed = event.fields.get("step_kind") == StepKind.CHECK
                moved[str(event.fields["node"])] = _Move(state, decision_id, has_passed)
    return moved


def _after(node: Node, moved: _Move | None, diagnosis: Diagnosis | None, doubted: AbstractSet[tuple[str, str]]) -> Node:
    if moved is not None:
        node = _put(node, moved)
    if diagnosis is not None:
        reason = f"{diagnosis.cause} ({diagnosis.incident_id})"
        state = NodeState.DRAINED if node.state is NodeState.DRAINED else NodeState.SUSPECT
        return replace(node, state=state, reason=reason, suspected_by=diagnosis.incident_id)
    if moved is None and node.state is NodeState.SUSPECT and (node.name, node.suspected_by) in doubted:
        # The incident says something else by now.
        return replace(node, state=NodeState.IN_SERVICE, reason="", suspected_by="")
    return node


def _put(node: Node, moved: _Move) -> Node:
    """Return *node* where it was put: one that ClusterWatch drained does not come back by merely starting anew."""
    if moved.has_passed and node.state is not NodeState.SUSPECT:
        return node
    if moved.state is not NodeState.IN_SERVICE:
        drained_by = moved.by if moved.state is NodeState.DRAINED and moved.by else node.drained_by
        return replace(node, state=moved.state, drained_by=drained_by)
    if not moved.by and node.drained_by:
        return node
    return replace(node, state=NodeState.IN_SERVICE, reason="", suspected_by="", drained_by="")


def _addresses(event: Event) -> tuple[str, ...]:
    return tuple(filter(None, str(event.fields.get("addresses") or "").split(",")))


def _seen(node: Node, now: datetime) -> Node:
    return _changed(node, {"seen_at": now}) if now - node.seen_at >= SEEN_EVERY else node
