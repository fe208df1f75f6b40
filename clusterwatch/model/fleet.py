"""The nodes, who is near whom, and who watches what."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class NodeState(StrEnum):
    """Whether a node is in service."""

    IN_SERVICE = "in_service"
    SUSPECT = "suspect"
    DRAINED = "drained"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Node:
    """A node as it stands.

    Attributes:
        drained_by: The decision that drained it; "" when ClusterWatch did not.
        suspected_by: The incident in which its own sources blamed its hardware, the latest; "" when none did. The
            node stays suspect when that incident is over, until it is rebooted, released or drained, or passes a check.
        addresses: IP addresses by which others name it.
    """

    name: str
    state: NodeState
    seen_at: datetime
    boot_id: str = ""
    gpus: int = 0
    reason: str = ""
    drained_by: str = ""
    suspected_by: str = ""
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Topology:
    """Which nodes share a switch, a rack or a power domain; without an entry a node is its own neighbourhood."""

    neighbourhoods: dict[str, frozenset[str]] = field(default_factory=dict)

    def near(self, node: str) -> frozenset[str]:
        """Return the neighbourhoods of *node*: itself and everything it hangs on."""
        return self.neighbourhoods.get(node, frozenset()) | {node}

    def places(self, nodes: Iterable[str]) -> set[str]:
        """Return the neighbourhoods of all *nodes*, themselves included."""
        names = set(nodes)
        return names.union(*(self.neighbourhoods[name] for name in names & self.neighbourhoods.keys()))


@dataclass(frozen=True, slots=True)
class MaintenanceWindow:
    """Time in which work on *nodes* is planned: what happens to them there is no fault."""

    id: str
    nodes: tuple[str, ...]
    starts_at: datetime
    ends_at: datetime
    reason: str
    made_by: str


CLUSTER = "cluster"
"""Subject of the breaker: a hold on everything."""


@dataclass(frozen=True, slots=True)
class Hold:
    """What automation must leave alone: "cluster" (the breaker), "job:ID" or "node:NAME".

    A hold that was lifted says since when counting begins anew.
    """

    subject: str
    reason: str
    made_by: str
    made_at: datetime
    lifted_at: datetime | None = None
    lifted_by: str = ""

    @property
    def is_active(self) -> bool:
        """Whether nobody lifted it yet."""
        return self.lifted_at is None


@dataclass(frozen=True, slots=True)
class CollectorStatus:
    """How a collector does. *condition* is a stated condition ("no NVIDIA driver here"); *error* a failure."""

    node: str
    name: str
    last_success_at: datetime | None
    last_run_at: datetime | None
    seconds: float = 0.0
    condition: str = ""
    error: str = ""
    readings_total: int = 0
    failures_total: int = 0
