"""Nodes that break again and again: a few of them have a good part of all faults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from simulators.faults.draws import one_of, some_of


@dataclass(frozen=True, slots=True)
class Offenders:
    """Who breaks how often. *faults_share* (0-1) is the share of all faults that the *lemons* have."""

    nodes: tuple[str, ...]
    lemons: tuple[str, ...] = ()
    faults_share: float = 0.0

    @classmethod
    def among(cls, nodes: Sequence[str], nodes_share: float, faults_share: float, rng: Random) -> Offenders:
        """Return *nodes* with so many lemons among them that they are *nodes_share* (0-1) of them."""
        lemons = tuple(some_of(nodes, round(len(nodes) * nodes_share), rng))
        return cls(tuple(nodes), lemons, faults_share if lemons else 0.0)

    def one(self, rng: Random) -> str:
        """Return the node that breaks next."""
        if self.lemons and rng.random() < self.faults_share:
            return one_of(self.lemons, rng)
        return one_of(self.nodes, rng)

    def hazard_of(self, node: str) -> float:
        """Return how often *node* breaks, as a multiple of the mean of all."""
        rest = 1.0 - self.faults_share
        if node not in self.lemons:
            return rest
        return rest + self.faults_share * len(self.nodes) / len(self.lemons)
