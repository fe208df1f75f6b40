"""Events and suspicions to the state of each node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import datetime, timedelta

from clusterwatch.model import Diagnosis, Event, Node, NodeState, StepKind, StepState, World, kinds

SEEN_EVERY = timedelta(minutes=1)
"""How exactly it is kept when a node was last seen: a row a minute, not one an event."""

_TOLD_BY_SCHEDULER = {
    kinds.REBOOTED: NodeState.IN_SERVICE,
    kinds.NODE_BACK: NodeState.IN_SERVICE,
    kinds.NODE_DRAINED: NodeState.DRAINED,
    kinds.NODE_DOWN: NodeState.SILENT,
}
"""What a node's own start, and the scheduler's word, make of it."""

_MOVED_BY = {StepKind.DRAIN.value: NodeState.DRAINED, StepKind.RELEASE.value: NodeState.IN_SERVICE}
"""What a finished step makes of its node. Leaving a node out of one job takes it away from nobody else."""


def node_states(
    world: World, events: Iterable[Event], blamed: Mapping[str, Diagnosis], diagnosed: frozenset[str], now: datetime
) -> tuple[Node, ...]:
    """Return the nodes whose state changed.

    Args:
        world: With the nodes as they were; nodes of jobs and of working collectors count as known.
        events: Of this turn; a node that speaks is seen, a finished step may take one out or back.
        blamed: Node name to the diagnosis in which its own sources blame its hardware.
        diagnosed: Ids of all incidents of this turn: one that blamed a node before may do so no more.
        now: The present.
    """
    events = tuple(events)
    moved = _moved(events)
    speaking = {event.node for event in events} | world.watched.keys()
    nodes = []
    for name in sorted((_may_change(world, speaking, now) | moved.keys() | blamed.keys()) - {""}):
        before = world.nodes.get(name) or Node(name, NodeState.IN_SERVICE, now - SEEN_EVERY)
        after = _after(before, moved.get(name), blamed.get(name), diagnosed)
        nodes.append(_seen(after, now) if name in speaking else after)
    return tuple(node for node in nodes if world.nodes.get(node.name) != node)


def _may_change(world: World, speaking: AbstractSet[str], now: datetime) -> set[str]:
    """Return the nodes that are new, suspect, or heard again after a while; the others stay as they are."""
    known = world.nodes
    named = set(speaking).union(*(job.nodes for job in world.jobs.values()))
    heard = {name for name in speaking & known.keys() if now - known[name].seen_at >= SEEN_EVERY}
    suspect = {name for name, node in known.items() if node.state is NodeState.SUSPECT}
    return (named - known.keys()) | heard | suspect


def _moved(events: Iterable[Event]) -> dict[str, NodeState]:
    """Return where finished steps, reboots and the scheduler put nodes."""
    moved = {}
    for event in events:
        if event.kind in _TOLD_BY_SCHEDULER:
            moved[event.node] = _TOLD_BY_SCHEDULER[event.kind]
        elif event.kind == kinds.STEP_CHANGED and event.fields.get("state") == StepState.DONE:
            state = _MOVED_BY.get(str(event.fields.get("step_kind")))
            if state is not None and event.fields.get("node"):
                moved[str(event.fields["node"])] = state
    return moved


def _after(node: Node, moved: NodeState | None, diagnosis: Diagnosis | None, diagnosed: frozenset[str]) -> Node:
    if diagnosis is not None:
        reason = f"{diagnosis.cause} ({diagnosis.incident_id})"
        is_out = moved is NodeState.DRAINED or (moved is None and node.state is NodeState.DRAINED)
        state = NodeState.DRAINED if is_out else NodeState.SUSPECT
        return replace(node, state=state, reason=reason, suspected_by=diagnosis.incident_id)
    if moved is NodeState.IN_SERVICE and not node.drained_by:
        return replace(node, state=NodeState.IN_SERVICE, reason="", suspected_by="")
    if moved is not None:
        return replace(node, state=moved)
    if node.state is NodeState.SUSPECT and node.suspected_by in diagnosed:
        # The incident says something else by now.
        return replace(node, state=NodeState.IN_SERVICE, reason="", suspected_by="")
    return node


def _seen(node: Node, now: datetime) -> Node:
    return replace(node, seen_at=now) if now - node.seen_at >= SEEN_EVERY else node
