"""Nodes by their names where a log names them by address: who is named so is no other node."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from clusterwatch.model import ComponentKind, Event, Node
from clusterwatch.model.making import replace

_ADDRESS = re.compile(r"[\d.]{7,15}|[\da-fA-F]{0,4}:[\da-fA-F:.]{2,40}")


def by_name(events: Iterable[Event], nodes: Mapping[str, Node]) -> list[Event]:
    """Return *events*, in their order, with nodes by their names where a log names them by address.

    Args:
        events: As they were told.
        nodes: What is known of nodes, by name; their addresses among it.
    """
    events = list(events)
    unknown = frozenset(name for name in {event.node for event in events} - {""} if _may_be_address(name, nodes))
    names = _names_of(unknown, nodes) if unknown else {}
    if not names:
        return events
    return [_renamed(event, names[event.node]) if event.node in names else event for event in events]


def _may_be_address(name: str, nodes: Mapping[str, Node]) -> bool:
    node = nodes.get(name)
    return node is None or (not node.addresses and _ADDRESS.fullmatch(name) is not None)


def _names_of(addresses: frozenset[str], nodes: Mapping[str, Node]) -> dict[str, str]:
    told = (node for node in nodes.values() if not addresses.isdisjoint(node.addresses))
    return {address: node.name for node in told for address in addresses.intersection(node.addresses)}


def _renamed(event: Event, node: str) -> Event:
    component = event.component
    own_name = node if component.kind is ComponentKind.NODE else component.id
    return replace(event, component=replace(component, id=own_name, node=node))
