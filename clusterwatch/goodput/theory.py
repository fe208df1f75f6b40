"""What theory says of checkpoints and restarts: how often to save, and what share of the time is then useful.

A job computes for an interval, saves, and computes again. A failure loses what was computed since the last save, and
then a restart. Where failures come at a constant rate this can be solved; everything here is that, in seconds:

    save        time that one checkpoint stops training
    mtbf        mean time between failures of the whole job, in elapsed time
    restart     from the failure to the first step after loading: notice, decide, start, load
    interval    useful time between two saves
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, expm1, inf, lgamma, log, sqrt

_TINY = 1e-300
_CLOSE = 1e-14


def young_interval(save_seconds: float, mtbf_seconds: float) -> float:
    """Return the interval that loses least, to the first order, in seconds.

    Raises:
        ValueError: If either is not positive.

    Source:
        J. W. Young, "A first order approximation to the optimum checkpoint interval", CACM 17(9), 1974.
    """
    _require_positive(save_seconds=save_seconds, mtbf_seconds=mtbf_seconds)
    return sqrt(2.0 * save_seconds * mtbf_seconds)


def daly_first_order_interval(save_seconds: float, mtbf_seconds: float) -> float:
    """Return Young's interval less the save itself, in seconds; where nothing is left, the mean time between failures.

    Raises:
        ValueError: If either is not positive.

    Source:
        J. T. Daly, "A higher order estimate of the optimum checkpoint interval for restart dumps", Future Generation
        Computer Systems 22(3), 2006, section 2.
    """
    interval = young_interval(save_seconds, mtbf_seconds) - save_seconds
    return interval if interval > 0 else mtbf_seconds


def daly_interval(save_seconds: float, mtbf_seconds: float) -> float:
    """Return Daly's higher order estimate of the interval that loses least, in seconds.

    Raises:
        ValueError: If either is not positive.

    Source:
        J. T. Daly, the same article, equation 37.
    """
    young = young_interval(save_seconds, mtbf_seconds)
    if save_seconds >= 2.0 * mtbf_seconds:
        return mtbf_seconds
    ratio = save_seconds / (2.0 * mtbf_seconds)
    return young * (1.0 + sqrt(ratio) / 3.0 + ratio / 9.0) - save_seconds


def exact_interval(save_seconds: float, mtbf_seconds: float) -> float:
    """Return the interval that loses least when failures are exponential, in seconds.

    It is where the derivative of `exact_efficiency` is zero: (1 - x) e^(x + save/mtbf) = 1 with x = interval/mtbf.
    It does not depend on the time a restart takes.

    Raises:
        ValueError: If either is not positive.
    """
    _require_positive(save_seconds=save_seconds, mtbf_seconds=mtbf_seconds)
    cost = save_seconds / mtbf_seconds
    low, high = 0.0, 1.0
    # The left side falls from e^cost at 0 to 0 at 1. Halving needs no derivative and cannot leave the bracket.
    while high - low > _CLOSE:
        middle = (low + high) / 2.0
        low, high = (middle, high) if log(1.0 - middle) + middle + cost > 0.0 else (low, middle)
    return mtbf_seconds * (low + high) / 2.0


def exact_efficiency(
    interval_seconds: float, save_seconds: float, mtbf_seconds: float, restart_seconds: float = 0.0
) -> float:
    """Return the share of elapsed time that is useful, 0-1, exactly, where failures are exponential.

    A failure may also strike while saving and while restarting, which then begins again.

    Raises:
        ValueError: If the interval or the mean time is not positive, or another time is negative.

    Source:
        J. T. Daly, the same article, equation 20: the expected time of an interval is
        mtbf e^(restart/mtbf) (e^((interval + save)/mtbf) - 1).
    """
    _require_positive(interval_seconds=interval_seconds, mtbf_seconds=mtbf_seconds)
    _require_not_negative(save_seconds=save_seconds, restart_seconds=restart_seconds)
    try:
        segment = expm1((interval_seconds + save_seconds) / mtbf_seconds)
        return interval_seconds / (mtbf_seconds * exp(restart_seconds / mtbf_seconds) * segment)
    except OverflowError:
        return 0.0


def first_order_ettr(
    interval_seconds: float,
    save_seconds: float,
    mtbf_seconds: float,
    restart_seconds: float = 0.0,
    queue_seconds: float = 0.0,
) -> float:
    """Return the effective training time ratio to the first order, 0-1: good while little of the time is lost.

    *queue_seconds* is what the job waits for nodes after a failure, beside its restart.

    Raises:
        ValueError: If the interval or the mean time is not positive, or another time is negative.

    Source:
        The form follows A. Kokolis et al., "Revisiting Reliability in Large-Scale Machine Learning Research
        Clusters", HPCA 2025, arXiv 2410.21680, section on the expected ETTR.
    """
    _require_positive(interval_seconds=interval_seconds, mtbf_seconds=mtbf_seconds)
    _require_not_negative(save_seconds=save_seconds, restart_seconds=restart_seconds, queue_seconds=queue_seconds)
    kept = 1.0 - (restart_seconds + interval_seconds / 2.0) / mtbf_seconds
    return max(0.0, kept / (1.0 + save_seconds / interval_seconds + queue_seconds / mtbf_seconds))


def required_restart(
    efficiency: float, interval_seconds: float, save_seconds: float, mtbf_seconds: float
) -> float | None:
    """Return how long a restart may take for *efficiency* (0-1) to be reached, in seconds.

    None where saves and lost work alone cost more than that: no restart would be fast enough.

    Raises:
        ValueError: If the efficiency is not within 0-1, or a time is out of range.
    """
    if not 0.0 < efficiency < 1.0:
        raise ValueError(f"an efficiency lies between 0 and 1, not {efficiency}")
    at_once = exact_efficiency(interval_seconds, save_seconds, mtbf_seconds)
    return mtbf_seconds * log(at_once / efficiency) if at_once >= efficiency else None


@dataclass(frozen=True, slots=True)
class RateInterval:
    """A failure rate and how far counting leaves it open, per unit of the exposure. *high* may be infinite."""

    rate: float
    low: float
    high: float
    confidence: float


def rate_interval(failures: int, exposure: float, confidence: float = 0.95) -> RateInterval:
    """Return the rate of *failures* counted over *exposure* (hours, say), and its exact Poisson interval.

    Raises:
        ValueError: If the count is negative, the exposure not positive or the confidence not within 0-1.

    Source:
        F. Garwood, "Fiducial limits for the Poisson distribution", Biometrika 28, 1936.
    """
    _require_positive(exposure=exposure)
    _require_not_negative(failures=failures)
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"a confidence lies between 0 and 1, not {confidence}")
    tail = (1.0 - confidence) / 2.0
    low = gamma_quantile(failures, tail) if failures else 0.0
    high = gamma_quantile(failures + 1, 1.0 - tail)
    return RateInterval(failures / exposure, low / exposure, high / exposure, confidence)


def gamma_quantile(shape: float, probability: float) -> float:
    """Return below which value a gamma variable of *shape* and scale 1 stays with *probability*.

    Half of a chi-square variable of 2 *shape* degrees of freedom is one.

    Raises:
        ValueError: If the shape is not positive or the probability not within 0-1.
    """
    _require_positive(shape=shape)
    if not 0.0 <= probability < 1.0:
        raise ValueError(f"a probability lies between 0 and 1, not {probability}")
    low, high = 0.0, shape + 10.0
    while gamma_share(shape, high) < probability:
        high *= 2.0
    while high - low > _CLOSE * high:
        middle = (low + high) / 2.0
        if middle in (low, high):
            break
        low, high = (middle, high) if gamma_share(shape, middle) < probability else (low, middle)
    return (low + high) / 2.0


def gamma_share(shape: float, value: float) -> float:
    """Return the probability that a gamma variable of *shape* and scale 1 is at most *value*.

    Source:
        The series and the continued fraction of the NIST Digital Library of Mathematical Functions, 8.7.1 and 8.9.2.
    """
    if value <= 0.0:
        return 0.0
    front = exp(shape * log(value) - value - lgamma(shape))
    return front * _series(shape, value) if value < shape + 1.0 else 1.0 - front * _fraction(shape, value)


def _series(shape: float, value: float) -> float:
    term = total = 1.0 / shape
    divisor = shape
    while term > total * _CLOSE:
        divisor += 1.0
        term *= value / divisor
        total += term
    return total


def _fraction(shape: float, value: float) -> float:
    """Return the continued fraction of the upper tail, by Lentz's method."""
    below = value + 1.0 - shape
    ratio, inverse = inf, 1.0 / below
    result, step, number = inverse, 0.0, 0
    while abs(step - 1.0) > _CLOSE and number < 100_000:
        number += 1
        factor = -number * (number - shape)
        below += 2.0
        inverse = 1.0 / _off_zero(factor * inverse + below)
        ratio = _off_zero(below + factor / ratio)
        step = ratio * inverse
        result *= step
    return result


def _off_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def _require_positive(**values: float) -> None:
    for name, value in values.items():
        if not value > 0.0:
            raise ValueError(f"{name} must be positive, not {value}")


def _require_not_negative(**values: float) -> None:
    for name, value in values.items():
        if not value >= 0.0:
            raise ValueError(f"{name} must not be negative, not {value}")
