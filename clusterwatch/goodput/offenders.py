"""Faults and time in jobs, node by node, to the nodes that break more often than chance explains.

1. Three faults in 54 days and three in one day are not the same. If all nodes were alike, the faults of a cluster would
   fall on its nodes in proportion to the time each was in a job. How likely a node would then have had as many as it
   had is the tail of a binomial distribution; the rate of the cluster need not be known for it. (J. Przyborowski and
   H. Wilenski, "Homogeneity of results in testing samples from Poisson series", Biometrika 31, 1940.)
2. Of thousands of nodes some look bad by chance. So that at most a twentieth of those named are, likelihoods are held
   against their rank. (Y. Benjamini and Y. Hochberg, "Controlling the false discovery rate", Journal of the Royal
   Statistical Society B 57, 1995.)
3. One fault alone names nobody: a node needs two.
4. How much worse a node is, is drawn towards the cluster: with a gamma distribution of rates over the nodes, fitted to
   all of them, the expected rate of one is (shape + faults) / (shape / mean rate + time). (C. N. Morris, "Parametric
   empirical Bayes inference", Journal of the American Statistical Association 78, 1983.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, lgamma, log, log1p

FALSE_SHARE = 0.05
"""Largest expected share of nodes that are named and only had bad luck."""

FEWEST = 2
"""Faults before a node can be a repeat offender."""

# A prior as strong as so many faults means: the nodes do not differ as far as anyone can tell.
_STRONGEST = 100.0


@dataclass(frozen=True, slots=True)
class Standing:
    """How a node compares.

    Attributes:
        days: It was in a job.
        expected: Faults that its share of all time would have brought it.
        chance: How likely as many faults or more are if it is like the others, 0-1.
        adjusted: The same, held against its rank among all nodes; at most `FALSE_SHARE` for an offender.
        times_worse: Its rate over that of the cluster, drawn towards 1 the less is known of it.
    """

    node: str
    faults: int
    days: float
    expected: float
    chance: float
    adjusted: float
    times_worse: float

    @property
    def is_offender(self) -> bool:
        """Whether chance does not explain it."""
        return self.faults >= FEWEST and self.adjusted <= FALSE_SHARE


def standings(faults: Mapping[str, int], days: Mapping[str, float]) -> list[Standing]:
    """Return how each node that had a fault compares, the least explained by chance first.

    Args:
        faults: By node; those of nodes that were in no job are left out.
        days: That each node was in a job, by name, those without a fault included.
    """
    exposed = {node: span for node, span in days.items() if span > 0}
    counted = {node: faults.get(node, 0) for node in exposed}
    total, all_days = sum(counted.values()), sum(exposed.values())
    struck = [node for node, count in counted.items() if count]
    if not struck:
        return []
    chances = {node: binomial_tail(total, exposed[node] / all_days, counted[node]) for node in struck}
    ranked = sorted(struck, key=lambda node: (chances[node], node))
    adjusted = _adjusted([chances[node] for node in ranked], len(exposed))
    rate = total / all_days
    shape = _shape([(counted[node], rate * exposed[node]) for node in exposed])
    return [
        Standing(
            node=node,
            faults=counted[node],
            days=exposed[node],
            expected=rate * exposed[node],
            chance=chances[node],
            adjusted=held,
            times_worse=(shape + counted[node]) / (shape + rate * exposed[node]),
        )
        for node, held in zip(ranked, adjusted, strict=True)
    ]


def binomial_tail(trials: int, share: float, least: int) -> float:
    """Return the probability of *least* or more successes in *trials* of probability *share* each."""
    if least <= 0:
        return 1.0
    if share <= 0.0:
        return 0.0
    if share >= 1.0:
        return 1.0 if least <= trials else 0.0
    terms = (
        exp(
            lgamma(trials + 1)
            - lgamma(count + 1)
            - lgamma(trials - count + 1)
            + count * log(share)
            + (trials - count) * log1p(-share)
        )
        for count in range(least, trials + 1)
    )
    return min(sum(terms), 1.0)


def _adjusted(chances: Sequence[float], tests: int) -> list[float]:
    """Return *chances* (smallest first) held against their rank among *tests*; the others are taken for 1."""
    lowest, adjusted = 1.0, []
    for rank in range(len(chances), 0, -1):
        lowest = min(lowest, chances[rank - 1] * tests / rank)
        adjusted.append(lowest)
    return adjusted[::-1]


def _shape(pairs: Sequence[tuple[int, float]]) -> float:
    """Return the shape of the gamma distribution of rates from (faults, expected faults) of every node, by moments.

    Faults of nodes that are alike vary as much as a Poisson count does; what they vary beyond that is the nodes'.
    """
    beyond = sum((count - expected) ** 2 - expected for count, expected in pairs)
    spread = beyond / sum(expected**2 for _, expected in pairs)
    return min(1.0 / spread, _STRONGEST) if spread > 0 else _STRONGEST
