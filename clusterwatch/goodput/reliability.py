"""Interruptions and the time they were counted over to how often it breaks, and how far the count leaves that open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil, inf

from clusterwatch.goodput.theory import rate_interval
from clusterwatch.model import Cause, Component

CONFIDENCE = 0.95

PER_NODE_DAYS = 1000.0
"""Rates are per as many node-days: the unit in which clusters of different size are compared."""

_HOUR_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Failure:
    """An interruption with what it came to.

    Attributes:
        began_at: End of the last step; ended_at: first new step, None while it lasts.
        planned: Somebody wanted it: it is in no rate.
        cause: Of the latest diagnosis; unknown where there is none.
        suspect: The first suspect of that; None where no part is blamed.
    """

    job_id: str
    interruption_id: str
    incident_id: str
    began_at: datetime
    ended_at: datetime | None
    planned: bool
    cause: Cause
    suspect: Component | None = None


@dataclass(frozen=True, slots=True)
class Band:
    """A figure between *low* and *high*, in which the true one lies with 95 %; *high* may be infinite."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Recovery:
    """How long the interruptions that are over lasted, in seconds; None where there is none. *open_total*: not over."""

    mean_seconds: float | None
    median_seconds: float | None
    p95_seconds: float | None
    open_total: int


def failure_rate(count: int, node_days: float) -> Band | None:
    """Return failures per 1,000 node-days; None without exposure.

    The band is the exact one of a Poisson count, see `theory.rate_interval`: it takes failures to be independent.
    """
    if node_days <= 0:
        return None
    rate = rate_interval(count, node_days / PER_NODE_DAYS, CONFIDENCE)
    return Band(rate.rate, rate.low, rate.high)


def mean_hours_between(count: int, elapsed_seconds: float) -> Band | None:
    """Return the mean time between *count* failures in *elapsed_seconds* of jobs, in hours.

    Without a failure it is infinite, and the lower end is what the time without one still tells; None without time.
    """
    if elapsed_seconds <= 0:
        return None
    rate = rate_interval(count, elapsed_seconds / _HOUR_SECONDS, CONFIDENCE)
    return Band(1 / rate.rate if rate.rate else inf, 1 / rate.high, 1 / rate.low if rate.low else inf)


def recovery(failures: Iterable[Failure]) -> Recovery:
    """Return how long it took until the jobs trained again."""
    stops = list(failures)
    lasted = sorted((each.ended_at - each.began_at) / timedelta(seconds=1) for each in stops if each.ended_at)
    return Recovery(
        mean_seconds=sum(lasted) / len(lasted) if lasted else None,
        median_seconds=_quantile(lasted, 0.5),
        p95_seconds=_quantile(lasted, 0.95),
        open_total=len(stops) - len(lasted),
    )


def _quantile(values: Sequence[float], share: float) -> float | None:
    return values[max(ceil(share * len(values)) - 1, 0)] if values else None
