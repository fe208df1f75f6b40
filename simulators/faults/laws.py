"""How likely a part is to break at an age: Weibull, of which the exponential is the one that does not age."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import gamma, log, sqrt
from random import Random


@dataclass(frozen=True, slots=True)
class Law:
    """A Weibull law. Shape below 1: young parts break most; 1: age does not matter; above 1: parts wear out.

    *scale_seconds* is the age by which 63 % have broken.
    """

    scale_seconds: float
    shape: float = 1.0

    @property
    def mean_seconds(self) -> float:
        """Mean life of a part."""
        return self.scale_seconds * gamma(1.0 + 1.0 / self.shape)

    def expected(self, age: float, span: float) -> float:
        """Return how many failures are expected over *span* seconds from *age* on, were a broken part to age on."""
        return float(((age + span) / self.scale_seconds) ** self.shape - (age / self.scale_seconds) ** self.shape)

    def residual(self, age: float, rng: Random) -> float:
        """Return how many seconds a part that is *age* seconds old has left."""
        if self.shape == 1.0:
            return -self.scale_seconds * log(1.0 - rng.random())
        survived = (age / self.scale_seconds) ** self.shape - log(1.0 - rng.random())
        return float(self.scale_seconds * survived ** (1.0 / self.shape) - age)

    def within(self, age: float, span: float, rng: Random) -> float:
        """Return when a part of *age* breaks that is known to break within *span* seconds, and seldom does."""
        if self.shape == 1.0:
            return span * rng.random()
        first, last = age**self.shape, (age + span) ** self.shape
        return float((first + rng.random() * (last - first)) ** (1.0 / self.shape) - age)


def scale_for(failures: float, ages: Iterable[float], span: float, shape: float) -> float:
    """Return the scale with which parts of *ages* break *failures* times in all over *span* seconds.

    Those that break are replaced by new ones, which can break again. To the second order: right while few parts
    break, and for any number where age does not matter.

    Raises:
        ValueError: *failures* or *span* is not positive, or there are no parts.
    """
    wear = [(age + span) ** shape - age**shape for age in ages]
    first = sum(wear)
    if not (failures > 0 and first > 0):
        raise ValueError(f"{failures} failures over {span} s of no parts have no rate")
    # A part breaks for the first time with 1 - exp(-wear), and its successor with what is left of the span.
    second = first * span**shape / (shape + 1.0) - sum(each * each for each in wear) / 2.0
    root = first * first + 4.0 * second * failures
    # The root of first * x + second * x^2 = failures, in the form that stays exact where second is nothing.
    rate = 2.0 * failures / (first + sqrt(root)) if root > 0 else failures / first
    return float(rate ** (-1.0 / shape))
