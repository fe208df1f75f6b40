"""A few numbers to a cluster: nodes, racks, pods, power domains, and every link with both its ends."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Annotated

from clusterwatch.model import Topology
from simulators.cluster.hardware import nic_device, nic_pci
from simulators.cluster.site import Diurnal, Power, Storage
from simulators.tables import Range

LARGEST_CLUSTER = 1_000_000
"""Nodes of the largest cluster that is simulated."""

AtLeastOne = Annotated[int, Range(1, LARGEST_CLUSTER)]
OrNone = Annotated[int, Range(0, LARGEST_CLUSTER)]


@dataclass(frozen=True, slots=True)
class Link:
    """A cable: a port of a node's NIC at one end, a port of its ToR at the other."""

    node: str
    nic: str
    nic_pci: str
    tor: str
    port: str

    @property
    def id(self) -> str:
        """Its name, by its far end: "tor0001/eth1/5/1"."""
        return f"{self.tor}/{self.port}"


@dataclass(frozen=True, slots=True)
class ClusterSpec:
    """A cluster. Nodes are numbered from 1: first those that train, then the spares, then those of others.

    Attributes:
        training_nodes_total: Nodes of the jobs at the start.
        spares_total: Nodes that stand by.
        others_total: Nodes in the same halls that belong to somebody else.
        racks_per_power_domain: Racks that lose power together.
        oversubscription: Of the links between pods; 7 means that a seventh of the bandwidth is there.
        pod_switches_fail: Whether a switch of a pod can fail, so that a pod is a neighbourhood.
        nic_gigabits_per_second: Of each NIC; a GPU has one.
    """

    name: str
    training_nodes_total: AtLeastOne
    spares_total: OrNone = 0
    others_total: OrNone = 0
    gpus_per_node: Annotated[int, Range(1, 8)] = 8
    nodes_per_rack: AtLeastOne = 2
    racks_per_pod: AtLeastOne = 192
    racks_per_power_domain: AtLeastOne = 4
    oversubscription: Annotated[float, Range(1.0, 1000.0)] = 7.0
    pod_switches_fail: bool = False
    nic_gigabits_per_second: Annotated[float, Range(above=0.0)] = 400.0
    storage: Storage = field(default_factory=Storage)
    power: Power = field(default_factory=Power)
    diurnal: Diurnal = field(default_factory=Diurnal)

    @property
    def nodes_total(self) -> int:
        """All nodes, whoever uses them."""
        return self.training_nodes_total + self.spares_total + self.others_total

    @property
    def gpus_total(self) -> int:
        """GPUs of the nodes that train."""
        return self.training_nodes_total * self.gpus_per_node

    @property
    def nodes(self) -> tuple[str, ...]:
        """Names of all nodes, in the order of their numbers."""
        return _names(self.nodes_total)

    @property
    def training_nodes(self) -> tuple[str, ...]:
        """Names of the nodes that train at the start."""
        return self.nodes[: self.training_nodes_total]

    @property
    def spares(self) -> tuple[str, ...]:
        """Names of the nodes that stand by at the start."""
        return self.nodes[self.training_nodes_total : self.training_nodes_total + self.spares_total]

    @property
    def others(self) -> tuple[str, ...]:
        """Names of the nodes that belong to somebody else."""
        return self.nodes[self.training_nodes_total + self.spares_total :]

    def has_node(self, node: str) -> bool:
        """Return whether there is a node of that name."""
        digits = node.removeprefix("node")
        return digits.isascii() and digits.isdigit() and len(digits) <= 9 and node in _name_set(self.nodes_total)

    def tor_of(self, node: str) -> str:
        """Return the switch at the top of the rack of *node*."""
        return f"tor{self._rack(node) + 1:04d}"

    def pod_of(self, node: str) -> str:
        """Return the pod of *node*."""
        return f"pod{self._rack(node) // self.racks_per_pod + 1:02d}"

    def power_domain_of(self, node: str) -> str:
        """Return what *node* loses power with."""
        return f"power{self._rack(node) // self.racks_per_power_domain + 1:04d}"

    def nodes_of_tor(self, tor: str) -> tuple[str, ...]:
        """Return the nodes of one rack, in order; () where there is no such switch."""
        return self._behind(tor, "tor", 1)

    def nodes_of_power_domain(self, domain: str) -> tuple[str, ...]:
        """Return the nodes of one power domain, in order; () where there is none such."""
        return self._behind(domain, "power", self.racks_per_power_domain)

    def nodes_of_pod(self, pod: str) -> tuple[str, ...]:
        """Return the nodes of one pod, in order; () where there is none such."""
        return self._behind(pod, "pod", self.racks_per_pod)

    def links_of(self, node: str) -> tuple[Link, ...]:
        """Return the links of *node*, in the order of its NICs."""
        tor, first = self.tor_of(node), _number(node) % self.nodes_per_rack * self.gpus_per_node
        return tuple(
            Link(node, nic_device(nic), nic_pci(nic), tor, f"eth1/{first + nic + 1}/1")
            for nic in range(self.gpus_per_node)
        )

    def bandwidth_between(self, node: str, other: str) -> float:
        """Return what a GPU of *node* can send to one of *other* while everybody sends, in gigabits per second."""
        share = 1.0 if self.pod_of(node) == self.pod_of(other) else 1.0 / self.oversubscription
        return self.nic_gigabits_per_second * share

    def topology(self) -> Topology:
        """Return who shares a switch or a power domain with whom."""
        return _topology(self)

    def _rack(self, node: str) -> int:
        return _number(node) // self.nodes_per_rack

    def _behind(self, name: str, prefix: str, racks: int) -> tuple[str, ...]:
        digits = name.removeprefix(prefix)
        if not name.startswith(prefix) or not (digits.isascii() and digits.isdigit()) or int(digits) < 1:
            return ()
        size = racks * self.nodes_per_rack
        return self.nodes[(int(digits) - 1) * size : int(digits) * size]


def _number(node: str) -> int:
    return int(node.removeprefix("node")) - 1


@cache
def _names(total: int) -> tuple[str, ...]:
    return tuple(f"node{number:04d}" for number in range(1, total + 1))


@cache
def _name_set(total: int) -> frozenset[str]:
    return frozenset(_names(total))


@cache
def _topology(spec: ClusterSpec) -> Topology:
    # Nodes of one rack share one set: 2,048 nodes need 1,024 small sets, not 2,048.
    racks: dict[str, frozenset[str]] = {}
    for node in spec.nodes:
        tor = spec.tor_of(node)
        if tor not in racks:
            pods = (spec.pod_of(node),) if spec.pod_switches_fail else ()
            racks[tor] = frozenset((tor, spec.power_domain_of(node), *pods))
    return Topology({node: racks[spec.tor_of(node)] for node in spec.nodes})
