"""Quantiles to times: how long something takes, as it was measured or published."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, log

_INSTANT = 1e-3
"""Seconds that count as none: a logarithm needs more than zero."""

_LEVELS = (0.0, 0.5, 0.95, 0.99, 1.0)


@dataclass(frozen=True, slots=True)
class Latency:
    """A distribution of times, by the logarithms of its quantiles; between two of them the logarithm grows evenly."""

    levels: tuple[float, ...]
    logarithms: tuple[float, ...]

    def seconds(self, level: float) -> float:
        """Return the quantile at *level*, 0-1: a time, when *level* is drawn evenly."""
        upper = min(max(bisect_right(self.levels, level), 1), len(self.levels) - 1)
        (low, high), (begin, end) = self.levels[upper - 1 : upper + 1], self.logarithms[upper - 1 : upper + 1]
        return exp(begin + (end - begin) * (level - low) / (high - low))


def fixed(seconds: float) -> Latency:
    """Return a time that is always *seconds*."""
    return Latency((0.0, 1.0), (_logarithm(seconds),) * 2)


def from_quantiles(p50: float, p95: float, p99: float) -> Latency:
    """Return times with these quantiles, in seconds; the fastest is as far below the median as p95 is above it.

    Beyond p99 the slowest is as far as p99 is beyond p95.

    Raises:
        ValueError: If they do not grow.
    """
    if not 0.0 <= p50 <= p95 <= p99:
        raise ValueError(f"quantiles must grow, not {p50}, {p95}, {p99}")
    middle, high, higher = map(_logarithm, (p50, p95, p99))
    return Latency(_LEVELS, (2 * middle - high, middle, high, higher, 2 * higher - high))


def latency(told: object) -> Latency:
    """Return the latency that a table {"p50", "p95", "p99"} or a number of seconds tells.

    Raises:
        ValueError: If it is neither.
    """
    if isinstance(told, Mapping) and set(told) == {"p50", "p95", "p99"}:
        return from_quantiles(float(told["p50"]), float(told["p95"]), float(told["p99"]))
    if isinstance(told, int | float) and not isinstance(told, bool) and told >= 0:
        return fixed(float(told))
    raise ValueError(f"expected seconds, or p50, p95 and p99, not {told!r}")


def _logarithm(seconds: float) -> float:
    return log(max(seconds, _INSTANT))
