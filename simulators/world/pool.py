"""The nodes of a fleet: which slot of the job each holds, who stands by, who is broken, who is in repair."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence


class Pool:
    """Nodes by what they do.

    A slot is a place in the job, named by the node that held it first. When no node stands by, a cold one is brought
    in from outside the pool: it takes longer, and there is always one.

    Attributes:
        job: The node in each slot, in the order of rank.
        broken: The id of the fault that a node carries, by node, until it is repaired.
        out: Nodes that were taken out of service.
        left_out: Nodes in service or not that the job must not be given.
    """

    def __init__(self, job: Sequence[str], standby: Iterable[str]) -> None:
        self.job = list(job)
        self.broken: dict[str, str] = {}
        self.out: set[str] = set()
        self.left_out: set[str] = set()
        self._slots = {name: slot for slot, name in enumerate(job)}
        self._standby = deque(standby)
        self._cold_total = 0
        self._place = dict(self._slots)

    @property
    def standby_total(self) -> int:
        """How many nodes stand by."""
        return len(self._standby)

    def in_slot_of(self, name: str) -> str:
        """Return the node that holds the slot in which *name* began; *name* itself if it never had one."""
        slot = self._slots.get(name)
        return name if slot is None else self.job[slot]

    @property
    def slots(self) -> Mapping[str, int]:
        """The slot of each node that is in the job now."""
        return self._place

    def take_out(self, name: str) -> None:
        """Take *name* out of service; the job keeps it until it is started again."""
        self.out.add(name)
        if name in self._standby:
            self._standby.remove(name)

    def put_back(self, name: str) -> None:
        """Put *name* into service again: it stands by, unless the job holds it."""
        if name in self.out:
            self.out.discard(name)
            self._stand_by(name)

    def leave_out(self, name: str) -> None:
        """Give the job other nodes than *name*, from its next start on."""
        self.left_out.add(name)

    def readmit(self, name: str) -> None:
        """Let the job have *name* again: it stands by, if it is in service."""
        if name in self.left_out:
            self.left_out.discard(name)
            self._stand_by(name)

    def _stand_by(self, name: str) -> None:
        if name not in self._place and name not in self.left_out and name not in self.out:
            self._standby.append(name)

    def replace_missing(self) -> tuple[int, int]:
        """Give every slot whose node is out another node; return how many stood by and how many came cold."""
        warm = cold = 0
        for slot, name in enumerate(self.job):
            if name not in self.out and name not in self.left_out:
                continue
            if self._standby:
                replacement, warm = self._standby.popleft(), warm + 1
            else:
                self._cold_total, cold = self._cold_total + 1, cold + 1
                replacement = f"cold{self._cold_total:04d}"
            del self._place[name]
            self.job[slot] = replacement
            self._place[replacement] = slot
        return warm, cold
