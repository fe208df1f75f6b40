"""Rates, means and bands to words and JSON."""

from __future__ import annotations

from math import isfinite
from typing import Any

from clusterwatch.app.reckoning import Reliability
from clusterwatch.cli.wording import amount, duration
from clusterwatch.goodput.reliability import Band, Recovery


def band_json(band: Band | None) -> dict[str, float | None] | None:
    """Return *band*; what is infinite is null, because JSON has no word for it."""
    if band is None:
        return None
    ends = {"value": band.value, "low": band.low, "high": band.high}
    return {name: value if isfinite(value) else None for name, value in ends.items()}


def band_words(band: Band | None, unit: str = "") -> str:
    """Return "3.79 (3.43 to 4.17)"; without an upper end "more than 6.50"."""
    if band is None:
        return "-"
    if not isfinite(band.value):
        return f"more than {_figure(band.low)}{unit}"
    return f"{_figure(band.value)}{unit} ({_figure(band.low)} to {_figure(band.high)})"


def _figure(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def reliability_json(found: Reliability) -> dict[str, Any]:
    """Return how often it broke; bands hold the true value with 95 %."""
    return {
        "interruptions": {
            "total": found.planned + found.unexpected,
            "planned": found.planned,
            "unexpected": found.unexpected,
        },
        "node_days": round(found.node_days, 6),
        "mttf_hours": band_json(found.mean_hours),
        "per_1000_node_days": band_json(found.rate),
        "recovery_seconds": _recovery_json(found.recovery),
    }


def _recovery_json(found: Recovery) -> dict[str, Any]:
    return {
        "mean": found.mean_seconds,
        "median": found.median_seconds,
        "p95": found.p95_seconds,
        "not_over": found.open_total,
    }


def reliability_words(found: Reliability) -> tuple[str, ...]:
    """Return how often it broke, line by line."""
    lines = [f"{amount(found.unexpected, 'unexpected interruption')}, {found.planned} planned"]
    if found.mean_hours is not None:
        lines.append(f"mean time between unexpected interruptions {band_words(found.mean_hours, ' h')}")
    if found.rate is not None:
        lines.append(
            f"per 1,000 node-days {band_words(found.rate)}; {found.node_days:,.1f} node-days in jobs were counted"
        )
    over = found.recovery
    if over.mean_seconds is not None and over.median_seconds is not None and over.p95_seconds is not None:
        lines.append(
            f"until it trained again: {duration(over.mean_seconds)} on average, "
            f"{duration(over.median_seconds)} in the median, {duration(over.p95_seconds)} at most in 95 %"
        )
    if over.open_total:
        lines.append(f"{amount(over.open_total, 'interruption')} not over")
    return tuple(lines)
