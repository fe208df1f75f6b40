"""What lines say of where ranks run to one place for each rank."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from clusterwatch.model import Placement
from clusterwatch.reading.sources import RankSeen

_MOST_PLACED = 65_536


@dataclass(slots=True)
class Places:
    """Ranks seen one by one, and where each of them is.

    Of a job's many communicators the largest numbers the ranks as everybody else does.
    """

    _placed: dict[int, RankSeen] = field(default_factory=dict)
    _largest: int = 0

    def note(self, seen: RankSeen, node_of_file: str) -> None:
        """Note that a line placed a rank; *node_of_file* is its node where the line names none."""
        if not seen.ranks:
            if len(self._placed) < _MOST_PLACED:
                self._placed.setdefault(seen.rank, seen)
        elif seen.rank < seen.ranks:
            self._note_member(seen, node_of_file)

    def node_of(self, rank: str) -> str:
        """Return the node that *rank* runs on; "" where no line told."""
        placed = self._placed.get(int(rank)) if rank.isdecimal() else None
        return placed.node if placed else ""

    def placements(self, job: str) -> list[Placement]:
        """Return where the ranks of *job* run, in the order of rank."""
        return [Placement(job, 1, rank, seen.node, seen.gpu) for rank, seen in sorted(self._placed.items())]

    def _note_member(self, seen: RankSeen, node_of_file: str) -> None:
        if seen.ranks > self._largest:
            self._placed = {rank: each for rank, each in self._placed.items() if not each.ranks}
            self._largest = seen.ranks
        if seen.ranks < self._largest or len(self._placed) >= _MOST_PLACED:
            return
        known = self._placed.get(seen.rank)
        # Who names the node knows better than who leaves it to the name of the file.
        if known is None or not known.ranks or seen.node:
            self._placed[seen.rank] = replace(seen, node=seen.node or node_of_file)
