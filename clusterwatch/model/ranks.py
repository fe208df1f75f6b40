"""Ranks as people write many of them: "0-7,12"."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

Ranges = tuple[tuple[int, int], ...]
"""First and last of each unbroken run of ranks, in order, with a gap between two of them."""


def ranges_in(text: str) -> Ranges:
    """Return the ranks that *text* writes; "" is none.

    Raises:
        ValueError: If it is not written so.
    """
    pairs = [part.partition("-") for part in text.split(",") if part.strip()]
    if len(pairs) == 1 and not pairs[0][1]:
        return ((int(text), int(text)),)
    return merged((int(first), int(last if dash else first)) for first, dash, last in pairs)


def as_text(ranges: Ranges) -> str:
    """Return *ranges* as `ranges_in` reads them."""
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)


def count(ranges: Ranges) -> int:
    """Return how many ranks there are in *ranges*."""
    return sum(last - first + 1 for first, last in ranges)


def with_rank(ranges: Ranges, rank: int) -> Ranges:
    """Return *ranges* with *rank* among them."""
    place = bisect_right(ranges, rank, key=_first)
    if place and rank <= ranges[place - 1][1]:
        return ranges
    # Only a neighbour on either side can touch it.
    start, end = max(place - 1, 0), place + 1
    return ranges[:start] + merged((*ranges[start:end], (rank, rank))) + ranges[end:]


def merged(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Return all ranks of *ranges*, which may overlap and stand in any order."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return tuple(found)


def _first(pair: tuple[int, int]) -> int:
    return pair[0]
