"""How long it takes until a broken part is mended."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from simulators.faults.draws import lognormal


@dataclass(frozen=True, slots=True)
class Repairs:
    """Repairs take a lognormal time: half of them at most *median_seconds*, some of them many times that.

    Source:
        LANL's 23,000 failures: B. Schroeder, G. Gibson, "A large-scale study of failures in high-performance computing
        systems", DSN 2006 (lognormal). The median is an assumption of whoever makes one.
    """

    median_seconds: float = 43_200.0
    sigma: float = 1.2

    @classmethod
    def of_reboots(cls, median_seconds: float = 900.0) -> Repairs:
        """Return how long nodes are away that reboot and have nothing to be mended: about *median_seconds*."""
        return cls(median_seconds, sigma=0.5)

    def seconds(self, rng: Random) -> float:
        """Return how long one repair takes, to the millisecond."""
        return round(lognormal(self.median_seconds, self.sigma, rng), 3)
