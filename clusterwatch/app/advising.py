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
        write_seconds: How long a checkpoint takes until it is whole; no shorter interval can be kept, and a failure
            loses that much more where it is longer than the save stops training.
        mtbf_seconds: Mean time between failures of the job, in elapsed time; its interval is that of the failure rate.
        confidence: Of that interval; None where the mean time was given and not counted.
        intervals: One for each method; "exact" is the advice.
        band_seconds: The exact interval at the ends of the mean time.
        now: The interval that the job has, where that is known.
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
    write_seconds: float = 0.0
    now: Interval | None = None

    @property
    def best(self) -> Interval:
        """The interval to take."""
        return self.intervals[-1]


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


def advice(
    save_seconds: float,
    mtbf: Spread,
    restart_seconds: float,
    confidence: float | None = None,
    write_seconds: float = 0.0,
    now_seconds: float | None = None,
) -> Advice:
    """Return how often to save.

    Args:
        save_seconds: How long a save stops training.
        mtbf: Mean time between failures, in seconds.
        restart_seconds: From a failure to the first step after loading.
        confidence: Of the interval of *mtbf*; None where it was not counted.
        write_seconds: Until a checkpoint is whole, where that goes on in the background.
        now_seconds: The interval that the job has, to be compared.

    Raises:
        ValueError: If a time is not positive.
    """
    # What is still being written when a failure strikes is lost with what was computed meanwhile.
    lost_seconds = restart_seconds + max(write_seconds - save_seconds, 0.0)

    def interval(method: str, seconds: float) -> Interval:
        return Interval(method, seconds, _efficiency(seconds, save_seconds, mtbf, lost_seconds))

    def exact(mtbf_seconds: float) -> float:
        return max(theory.exact_interval(save_seconds, mtbf_seconds), write_seconds)

    intervals = tuple(interval(name, max(of(save_seconds, mtbf.value), write_seconds)) for name, of in METHODS.items())
    best = intervals[-1].seconds
    return Advice(
        save_seconds,
        restart_seconds,
        mtbf,
        confidence,
        intervals,
        (exact(mtbf.low), exact(mtbf.high)),
        {f"{target:.2f}": theory.required_restart(target, best, save_seconds, mtbf.value) for target in TARGETS},
        write_seconds,
        interval("now", now_seconds) if now_seconds else None,
    )


def _efficiency(interval: float, save: float, mtbf: Spread, restart: float) -> Spread:
    value, low, high = (
        theory.exact_efficiency(interval, save, each, restart) for each in (mtbf.value, mtbf.low, mtbf.high)
    )
    return Spread(value, low, high)
