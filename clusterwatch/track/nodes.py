"""Events and suspicions to the state of each node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from clusterwatch.model import Event, Node, NodeState, StepKind, StepState, World, kinds

SEEN_EVERY = timedelta(minutes=1)
"""How exactly it is kept when a node was last seen: a row a minute, not one an event."""

_TAKEN_OUT = frozenset({StepKind.EXCLUDE.value, StepKind.DRAIN.value})


def node_states(world: World, events: Iterable[Event], suspects: Mapping[str, str], now: datetime) -> tuple[Node, ...]:
    """Return the nodes whose state changed.

    Args:
        world: With the nodes as they were; nodes of jobs and of working collectors count as known.
        events: Of this turn; a node that speaks is seen, a finished step may take one out or back.
        suspects: Node name to why its own sources blame it.
        now: The present.
    """
    events = tuple(events)
    names = {event.node for event in events} | {name for job in world.jobs.values() for name in job.nodes}
    names |= set(world.watched) | set(world.nodes) | set(suspects)
    moved = _moved_by_steps(events)
    after = (
        _after(world.nodes.get(name) or Node(name, NodeState.IN_SERVICE, now - SEEN_EVERY), moved, suspects)
        for name in sorted(names - {""})
    )
    speaking = {event.node for event in events} | set(world.watched)
    seen = (_seen(node, now) if node.name in speaking else node for node in after)
    return tuple(node for node in seen if world.nodes.get(node.name) != node)


def _moved_by_steps(events: Iterable[Event]) -> dict[str, NodeState]:
    moved = {}
    for event in events:
        if event.kind == kinds.STEP_CHANGED and event.fields.get("state") == StepState.DONE:
            name, kind = str(event.fields.get("node") or ""), event.fields.get("step_kind")
            if name and kind in _TAKEN_OUT:
                moved[name] = NodeState.DRAINED
            elif name and kind == StepKind.RELEASE:
                moved[name] = NodeState.IN_SERVICE
    return moved


def _after(node: Node, moved: Mapping[str, NodeState], suspects: Mapping[str, str]) -> Node:
    if node.name in moved:
        return replace(node, state=moved[node.name], reason=suspects.get(node.name, node.reason))
    if node.state is NodeState.DRAINED:
        return node
    if node.name in suspects:
        return replace(node, state=NodeState.SUSPECT, reason=suspects[node.name])
    return replace(node, state=NodeState.IN_SERVICE, reason="")


def _seen(node: Node, now: datetime) -> Node:
    return replace(node, seen_at=now) if now - node.seen_at >= SEEN_EVERY else node
