"""Which ranks a rank computes with: tensor, context, pipeline and data parallel groups, innermost first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

AXES = ("tp", "cp", "pp", "dp")
"""Axes in the order of ranks, innermost first: neighbours in tp have neighbouring ranks."""

# Collectives run over rings; a pipeline has two ends.
_RINGS = frozenset({"tp", "cp", "dp"})


@dataclass(frozen=True, slots=True)
class Parallelism:
    """How many ranks each axis has; rank = tp + TP * (cp + CP * (pp + PP * dp)).

    Source:
        The Llama 3 Herd of Models, arXiv 2407.21783, section 3.3.2: the order [TP, CP, PP, DP].
    """

    tp: int = 8
    pp: int = 16
    dp: int = 128
    cp: int = 1

    @property
    def world_size(self) -> int:
        """How many ranks there are."""
        return self.tp * self.cp * self.pp * self.dp

    def place_of(self, rank: int) -> Mapping[str, int]:
        """Return the position of *rank* on each axis.

        Raises:
            ValueError: There is no such rank.
        """
        if not 0 <= rank < self.world_size:
            raise ValueError(f"rank {rank} of {self.world_size}")
        return {axis: rank // stride % size for axis, size, stride in self._strides()}

    def group_of(self, rank: int, axis: str) -> tuple[int, ...]:
        """Return the ranks of the group of *rank* on *axis*, itself included, in their order on it."""
        size, stride = next((size, stride) for name, size, stride in self._strides() if name == axis)
        first = rank - self.place_of(rank)[axis] * stride
        return tuple(range(first, first + size * stride, stride))

    def groups_of(self, rank: int) -> dict[str, tuple[int, ...]]:
        """Return the group of *rank* on every axis that has more than one rank."""
        return {axis: self.group_of(rank, axis) for axis, size, _ in self._strides() if size > 1}

    def direct_peers(self, rank: int) -> frozenset[int]:
        """Return the ranks that *rank* talks to directly: its neighbours in each ring and in the pipeline."""
        return frozenset(
            peer for axis, group in self.groups_of(rank).items() for peer in _beside(group, rank, axis in _RINGS)
        ) - {rank}

    def _strides(self) -> Iterator[tuple[str, int, int]]:
        stride = 1
        for axis, size in zip(AXES, (self.tp, self.cp, self.pp, self.dp), strict=True):
            yield axis, size, stride
            stride *= size


def _beside(group: tuple[int, ...], rank: int, is_ring: bool) -> list[int]:
    at = group.index(rank)
    places = ((at - 1) % len(group), (at + 1) % len(group)) if is_ring else (at - 1, at + 1)
    return [group[place] for place in places if 0 <= place < len(group)]
