"""What can break: a kind, an id, and the node that holds it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ComponentKind(StrEnum):
    """What sort of thing a component is."""

    NODE = "node"
    GPU = "gpu"
    NVSWITCH = "nvswitch"
    NIC = "nic"
    LINK = "link"
    SWITCH = "switch"
    DISK = "disk"
    DIMM = "dimm"
    CPU = "cpu"
    PSU = "psu"
    FAN = "fan"
    SLOT = "slot"
    RACK = "rack"
    RANK = "rank"
    PROCESS = "process"
    JOB = "job"
    SERVICE = "service"


@dataclass(frozen=True, slots=True, order=True)
class Component:
    """One part of the cluster. *id* is unique among its kind on its *node* ("" when no node holds it)."""

    kind: ComponentKind
    id: str
    node: str = ""

    def __str__(self) -> str:
        place = f" on {self.node}" if self.node and self.kind is not ComponentKind.NODE else ""
        return f"{self.kind} {self.id}{place}"


def node(name: str) -> Component:
    """Return the component that is the node itself."""
    return Component(ComponentKind.NODE, name, name)
