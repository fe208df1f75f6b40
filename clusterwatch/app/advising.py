"""A failure rate and the cost of a save to how often to save, by every formula, with what the rate leaves open."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf

from clusterwatch.goodput import theory

HOUR = 3600.0
TARGETS = (0.90, 0.95, 0.97)
"""Shares of useful time of which the longest bearable restart is told."""

METHODS: Mapping[str, Callable[[float, float], float]] = {
    "young": theory.young_interval,
    "daly_first_order": theory.daly_first_order_interval,
    "daly": theory.daly_interval,
    "exact": theory.exact_interval,
}
"""From (save, mean time between failures) to the interval, all in seconds."""


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure with the interval in which it lies; where none is known, both ends are the figure."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Interval:
    """How often to save by one method, and the share of useful time that gives at the rate's value and its ends."""

    method: str
    seconds: float
    efficiency: Spread


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do and what it brings.

    Attributes:
        mtbf_seconds: Mean time between failures of the job, in elapsed time; its interval is that of the failure rate.
        confidence: Of that interval; None where the mean time was given and not counted.
        intervals: One for each method; "exact" is the advice.
        band_seconds: The exact interval at the ends of the mean time.
        restart_seconds_for: By share of useful time, the longest restart that reaches it with the exact interval;
            None where no restart is fast enough.
    """

    save_seconds: float
    restart_seconds: float
    mtbf_seconds: Spread
    confidence: float | None
    intervals: tuple[Interval, ...]
    band_seconds: tuple[float, float]
    restart_seconds_for: Mapping[str, float | None]


def mtbf_counted(failures: int, hours: float, confidence: float = 0.95) -> Spread:
    """Return the mean time between failures, in seconds, of *failures* counted in *hours*.

    A job's own measured failures come in here as well: what counts them needs to know nothing of checkpoints.

    Raises:
        ValueError: If nothing failed, or a number is out of range.
    """
    if failures < 1:
        raise ValueError("without a failure there is no rate to advise from: give the mean time between failures")
    rate = theory.rate_interval(failures, hours * HOUR, confidence)
    return Spread(1.0 / rate.rate, 1.0 / rate.high, 1.0 / rate.low if rate.low else inf)


def advice(save_seconds: float, mtbf: Spread, restart_seconds: float, confidence: float | None = None) -> Advice:
    """Return how often to save.

    Raises:
        ValueError: If a time is not positive.
    """
    intervals = tuple(
        Interval(method, seconds, _efficiency(seconds, save_seconds, mtbf, restart_seconds))
        for method, seconds in ((name, of(save_seconds, mtbf.value)) for name, of in METHODS.items())
    )
    exact = intervals[-1].seconds
    band = (theory.exact_interval(save_seconds, mtbf.low), theory.exact_interval(save_seconds, mtbf.high))
    bearable = {f"{target:.2f}": theory.required_restart(target, exact, save_seconds, mtbf.value) for target in TARGETS}
    return Advice(save_seconds, restart_seconds, mtbf, confidence, intervals, band, bearable)


def _efficiency(interval: float, save: float, mtbf: Spread, restart: float) -> Spread:
    value, low, high = (
        theory.exact_efficiency(interval, save, each, restart) for each in (mtbf.value, mtbf.low, mtbf.high)
    )
    return Spread(value, low, high)
