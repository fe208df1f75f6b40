"""A kind of fault and a node to the very part that breaks there, and to everyone it strikes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from clusterwatch.model import Cause, Component, ComponentKind
from simulators.cluster import ClusterSpec, part_ids
from simulators.fleet_wording import Blast, FaultKind

T = TypeVar("T")

_SERVICES: Mapping[Cause, str] = {Cause.STORAGE: "checkpoint-storage"}
_SPINES = 16
_OTHER_SERVICE = "rendezvous-store"


@dataclass(frozen=True, slots=True)
class Struck:
    """What broke, and the nodes that are struck; the one that holds the part comes first."""

    component: Component
    nodes: tuple[str, ...]


class Placer:
    """Finds parts on the nodes of a cluster. *job_of* returns the id of the job on a node, "" where there is none."""

    def __init__(self, cluster: ClusterSpec, job_of: Callable[[str], str]) -> None:
        self._cluster, self._job_of = cluster, job_of

    def struck(self, kind: FaultKind, node: str, place: float) -> Struck:
        """Return what breaks when a fault of *kind* begins on *node*; *place* (0-1) says which of its parts."""
        component = self._component(kind, node, place)
        return Struck(component, self._reach(kind.blast, node))

    def parts_per_node(self, kind: ComponentKind) -> int:
        """Return how many parts of *kind* a node has that can break; 1 for what is no part of a node."""
        return max(1, len(part_ids(kind, self._cluster.gpus_per_node)))

    def _component(self, kind: FaultKind, node: str, place: float) -> Component:
        parts = part_ids(kind.component, self._cluster.gpus_per_node)
        if parts:
            return Component(kind.component, _at(parts, place), node)
        make = _ELSEWHERE.get(kind.component)
        return Component(kind.component, node, node) if make is None else make(self, kind, node, place)

    def _link(self, kind: FaultKind, node: str, place: float) -> Component:
        return Component(ComponentKind.LINK, _at(self._cluster.links_of(node), place).id, node)

    def _switch(self, kind: FaultKind, node: str, place: float) -> Component:
        if kind.blast is Blast.TOR:
            return Component(ComponentKind.SWITCH, self._cluster.tor_of(node))
        # One path of many is lost: the switch is one of those above the racks.
        return Component(ComponentKind.SWITCH, f"spine{1 + int(place * _SPINES):02d}")

    def _job(self, kind: FaultKind, node: str, place: float) -> Component:
        return Component(ComponentKind.JOB, self._job_of(node))

    def _service(self, kind: FaultKind, node: str, place: float) -> Component:
        return Component(ComponentKind.SERVICE, _SERVICES.get(kind.cause, _OTHER_SERVICE))

    def _rank(self, kind: FaultKind, node: str, place: float) -> Component:
        return Component(kind.component, str(int(place * self._cluster.gpus_per_node)), node)

    def _reach(self, blast: Blast, node: str) -> tuple[str, ...]:
        reached = {
            Blast.NODE: (node,),
            Blast.TOR: self._cluster.nodes_of_tor(self._cluster.tor_of(node)),
            Blast.POWER: self._cluster.nodes_of_power_domain(self._cluster.power_domain_of(node)),
        }[blast]
        # Whoever trained beside somebody else's node is struck alone.
        job = self._job_of(node)
        return (node, *(other for other in reached if other != node and self._job_of(other) == job))


_ELSEWHERE: Mapping[ComponentKind, Callable[[Placer, FaultKind, str, float], Component]] = {
    ComponentKind.LINK: Placer._link,
    ComponentKind.SWITCH: Placer._switch,
    ComponentKind.JOB: Placer._job,
    ComponentKind.SERVICE: Placer._service,
    ComponentKind.RANK: Placer._rank,
    ComponentKind.PROCESS: Placer._rank,
}


def _at(choices: Sequence[T], place: float) -> T:
    return choices[int(place * len(choices))]
