"""Draws from `Random.random()` alone, which Python keeps the same from version to version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import cos, exp, log, pi, sqrt
from random import Random
from typing import TypeVar

T = TypeVar("T")


def seed_from(rng: Random) -> int:
    """Return a seed, 0 to 2^31 - 1."""
    return int(rng.random() * 2**31)


def one_of(choices: Sequence[T], rng: Random) -> T:
    """Return one of *choices*, each as likely as the others."""
    return choices[int(rng.random() * len(choices))]


def by_share(shares: Mapping[T, float], rng: Random) -> T:
    """Return one of the keys of *shares*, each as likely as its share says; shares need not add up to 1."""
    left = rng.random() * sum(shares.values())
    for choice, share in shares.items():
        left -= share
        if left < 0:
            return choice
    # Rounding can leave a rest of nothing.
    return next(choice for choice in list(shares)[::-1] if shares[choice] > 0)


def some_of(choices: Sequence[T], total: int, rng: Random) -> list[T]:
    """Return *total* different ones of *choices*, in their order; all where there are fewer."""
    marked = sorted(range(len(choices)), key=lambda _: rng.random())[:total]
    return [choices[place] for place in sorted(marked)]


def exponential(mean: float, rng: Random) -> float:
    """Return a time with mean *mean* that does not age."""
    return -mean * log(1.0 - rng.random())


def lognormal(median: float, sigma: float, rng: Random) -> float:
    """Return a positive number with median *median*; *sigma* is the deviation of its logarithm.

    Source:
        G. E. P. Box, M. E. Muller, "A note on the generation of random normal deviates", 1958.
    """
    normal = sqrt(-2.0 * log(1.0 - rng.random())) * cos(2.0 * pi * rng.random())
    return median * exp(sigma * normal)


def poisson(mean: float, rng: Random) -> int:
    """Return how many of something happen that happens *mean* times on the average."""
    total, at = 0, exponential(1.0, rng)
    while at < mean:
        total += 1
        at += exponential(1.0, rng)
    return total


def apportioned(total: int, shares: Mapping[T, float]) -> dict[T, int]:
    """Return whole numbers in proportion to *shares* that add up to *total*: the largest remainders are rounded up."""
    sum_of_shares = sum(shares.values())
    exact = {name: total * share / sum_of_shares for name, share in shares.items()}
    counts = {name: int(value) for name, value in exact.items()}
    by_rest = sorted(exact, key=lambda name: counts[name] - exact[name])
    for name in by_rest[: total - sum(counts.values())]:
        counts[name] += 1
    return counts
