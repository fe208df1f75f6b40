"""The dumps of ranks to process groups, each with what its ranks recorded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from clusterwatch.model.collectives import CallState, Dump, GroupTrace


@dataclass(slots=True)
class Standing:
    """Ranks that stand alike in their group: the same calls, come equally far.

    Attributes:
        trace: What one of them recorded.
        ranks: All of them.
        since_ns: When the first of them made the call that it waits in.
        finished: The newest sequence number up to which all is finished; *trace.last* where states are not told.
    """

    trace: GroupTrace
    finished: int
    ranks: list[int] = field(default_factory=list)
    since_ns: int = 0


@dataclass(slots=True)
class Group:
    """A process group: its members, and how those with a dump stand. *members* is empty where no dump tells them."""

    name: str
    description: str
    members: tuple[int, ...]
    standings: dict[tuple[int, ...], Standing] = field(default_factory=dict)
    traced: dict[int, GroupTrace] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The name that the program gave the group, else the library's."""
        return self.description or self.name

    @property
    def tells_states(self) -> bool:
        """Whether it is known how far the devices came."""
        return all(each.trace.tells_states for each in self.standings.values())

    def add(self, ranks: Sequence[int], trace: GroupTrace) -> None:
        """Take what each of *ranks* recorded."""
        self.traced.update(dict.fromkeys(ranks, trace))
        # Recorded calls are shared between ranks: the same object is the same call.
        alike = (trace.first, *map(id, trace.recorded))
        standing = self.standings.get(alike)
        if standing is None:
            standing = self.standings[alike] = Standing(trace, finished_up_to(trace), since_ns=trace.since_ns)
        standing.ranks.extend(ranks)
        standing.since_ns = min(standing.since_ns, trace.since_ns)


def finished_up_to(trace: GroupTrace) -> int:
    """Return the newest sequence number of *trace* up to which every call is finished."""
    if not trace.tells_states:
        return trace.last
    for place, recorded in enumerate(trace.recorded):
        if recorded is not None and recorded.state is not CallState.COMPLETED:
            return trace.first + place - 1
    return trace.last


def groups_in(dumps: Iterable[Dump]) -> list[Group]:
    """Return every group that a rank recorded a call of, in the order in which they are met."""
    # Members are up to all ranks of a job: they are compared once for each of their few copies, not for each rank.
    known: dict[tuple[str, int], Group] = {}
    groups: dict[tuple[str, tuple[int, ...]], Group] = {}
    for dump in dumps:
        for trace in dump.groups:
            copy = (trace.name, id(trace.members))
            group = known.get(copy)
            if group is None:
                fresh = Group(trace.name, trace.description, trace.members)
                group = known[copy] = groups.setdefault((trace.name, trace.members), fresh)
            group.add(dump.ranks, trace)
    return list(groups.values())


def ranks_expected(dumps: Sequence[Dump]) -> frozenset[int]:
    """Return every rank that a dump names as a member of a group, and those that there are dumps of."""
    lists = {id(members): members for dump in dumps for _, members in dump.configured}
    lists |= {id(trace.members): trace.members for dump in dumps for trace in dump.groups}
    return frozenset().union(*(dump.ranks for dump in dumps), *lists.values())
