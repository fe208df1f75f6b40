"""Suspects to the nodes that are to blame.

1. A node is singled out when its parts bear at least SINGLED_OUT of the blame; below that, nodes would be left out by
   chance.
2. Nodes that bear about as much as the worst one, and share a switch, a rack or a power domain, are to blame together.
   The rest of the neighbourhood goes with them where half of it is suspect.
3. A suspect that no node holds, such as a switch, stands for the nodes of the job behind it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from clusterwatch.model import Diagnosis, Topology

SINGLED_OUT = 0.4
NEXT_TO_IT = 0.8
"""Share of the worst node's blame from which another one may as well be meant: then neither is singled out."""

ABOUT_AS_MUCH = 0.5
"""Share of the worst node's blame from which another one is as suspect as it."""

MOST_OF_IT = 0.5
"""Share of a neighbourhood that must be suspect for the rest of it to be left out too."""

MOST_BEHIND_ONE = 64
"""A neighbourhood with more nodes of the job than this is no rack: who shares it says nothing."""


class Scope(StrEnum):
    """How far the blame reaches."""

    NONE = "none"
    NODE = "node"
    RACK = "rack"
    MANY = "many"


@dataclass(frozen=True, slots=True)
class Blame:
    """The *nodes* of a job that are to blame, worst first; *ranked* are all that are suspect at all, worst first."""

    scope: Scope
    nodes: tuple[str, ...] = ()
    ranked: tuple[str, ...] = ()


def blame_in(diagnosis: Diagnosis, job_nodes: Sequence[str], topology: Topology) -> Blame:
    """Return which of *job_nodes* are to blame."""
    members = frozenset(job_nodes)
    scores: dict[str, float] = {}
    places: dict[str, float] = {}
    for suspect in diagnosis.suspects:
        where = suspect.component
        if where.node in members:
            scores[where.node] = scores.get(where.node, 0.0) + suspect.score
        elif not where.node or where.node == where.id:
            places[where.id] = places.get(where.id, 0.0) + suspect.score
    ranked = tuple(sorted(scores, key=lambda name: (-scores[name], name)))
    place = max(places, key=lambda name: places[name], default=None)
    if place is not None and places[place] >= max([SINGLED_OUT, *(scores[name] for name in ranked[:1])]):
        behind = nodes_behind(place, job_nodes, topology)
        return Blame(Scope.RACK, behind, behind) if behind else Blame(Scope.NONE, (), ranked)
    return _among_nodes(scores, ranked, job_nodes, topology)


def _among_nodes(
    scores: Mapping[str, float], ranked: tuple[str, ...], job_nodes: Sequence[str], topology: Topology
) -> Blame:
    if not ranked:
        return Blame(Scope.NONE)
    alike = [name for name in ranked if scores[name] >= ABOUT_AS_MUCH * scores[ranked[0]]]
    shared = frozenset.intersection(*(topology.near(name) for name in alike[: MOST_BEHIND_ONE + 1]))
    if len(alike) > 1 and shared and sum(scores[name] for name in alike) >= SINGLED_OUT:
        behind = min(
            filter(None, (nodes_behind(place, job_nodes, topology) for place in sorted(shared))), key=len, default=()
        )
        if behind:
            together = behind if len(alike) >= MOST_OF_IT * len(behind) else tuple(alike)
            return Blame(Scope.RACK, tuple(sorted(together, key=lambda name: -scores.get(name, 0.0))), ranked)
    runner_up = max((scores[name] for name in ranked[1:2]), default=0.0)
    if scores[ranked[0]] >= SINGLED_OUT and runner_up < NEXT_TO_IT * scores[ranked[0]]:
        return Blame(Scope.NODE, ranked[:1], ranked)
    return Blame(Scope.MANY if len(alike) > 1 else Scope.NONE, (), ranked)


def nodes_behind(place: str, job_nodes: Sequence[str], topology: Topology) -> tuple[str, ...]:
    """Return the nodes of a job that share *place*; none where they are so many that sharing it says nothing."""
    behind = tuple(name for name in job_nodes if place in topology.near(name))
    return behind if len(behind) <= min(MOST_BEHIND_ONE, len(job_nodes) - 1) else ()
