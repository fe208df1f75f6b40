"""The nodes of a simulated fleet: who is free, who is out of service, who is broken."""

from __future__ import annotations

from datetime import datetime

from simulators.schedule import Fault


class Nodes:
    """Which nodes can be given to a job.

    Attributes:
        broken: The fault that a node carries, by node, until it is repaired.
        out_since: When a node was taken out of service.
    """

    def __init__(self, names: list[str]) -> None:
        self.broken: dict[str, Fault] = {}
        self.out_since: dict[str, datetime] = {}
        self._spares = names

    def take(self, count: int) -> list[str]:
        """Return up to *count* spare nodes, which are spare no longer; the longest free first."""
        taken, self._spares = self._spares[:count], self._spares[count:]
        return taken

    def withdraw(self, node: str, at: datetime) -> None:
        """Take *node* out of service."""
        self.out_since.setdefault(node, at)
        self._spares = [spare for spare in self._spares if spare != node]

    def bring_back(self, node: str, *, in_use: bool) -> None:
        """Put *node* back into service, as a spare unless a job holds it still."""
        if self.out_since.pop(node, None) is not None and not in_use:
            self._spares.append(node)
