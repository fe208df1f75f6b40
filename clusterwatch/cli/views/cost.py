"""Ledgers to what was lost: seconds by reason, GPU-hours, and the share of time that trained."""

from __future__ import annotations

from typing import Any

from clusterwatch.cli.wording import duration, percent
from clusterwatch.goodput import Ledger, Reason, costs
from clusterwatch.model import Interruption

_SHOWN_FROM_SECONDS = 0.05


def cost_of(interruption: Interruption, ledger: Ledger) -> Ledger:
    """Return the part of *ledger* that *interruption* took: from its last step to its first new one, or to its end."""
    found = costs(ledger, [interruption])
    return found[0].ledger if found else Ledger(ledger.job_id, ledger.gpus, ())


def cost_json(cost: Ledger | None) -> dict[str, Any]:
    """Return what was lost; zeros when nothing was interrupted."""
    if cost is None:
        return {"lost_seconds": 0.0, "lost_gpu_hours": 0.0, "by_reason": {}}
    return {
        "lost_seconds": _exact(cost.lost_seconds),
        "lost_gpu_hours": _exact(cost.lost_gpu_hours),
        "by_reason": _lost_by_reason(cost),
    }


def ledger_json(ledger: Ledger) -> dict[str, Any]:
    """Return where all the time went; productive and lost seconds add up to the elapsed ones."""
    return {
        "elapsed_seconds": _exact(ledger.elapsed_seconds),
        "productive_seconds": _exact(ledger.productive_seconds),
        "lost_seconds": _exact(ledger.lost_seconds),
        "lost_gpu_hours": _exact(ledger.lost_gpu_hours),
        "ettr": ledger.ettr,
        "ettr_unplanned": ledger.ettr_unplanned,
        "by_reason": {reason.value: _exact(seconds) for reason, seconds in ledger.seconds_by_reason().items()},
    }


def cost_words(cost: Ledger) -> str:
    """Return what one interruption cost, in one line."""
    reasons = _reasons(cost)
    lost = f"{duration(cost.lost_seconds)} lost, {_gpu_hours(cost)}"
    return f"this interruption: {lost}" + (f" ({reasons})" if reasons else "")


def ledger_words(ledger: Ledger) -> tuple[str, ...]:
    """Return where all the time went, in two lines."""
    elapsed = duration(ledger.elapsed_seconds)
    productive, lost = duration(ledger.productive_seconds), duration(ledger.lost_seconds)
    whole = f"the whole job: {elapsed} elapsed = {productive} productive + {lost} lost; ETTR {percent(ledger.ettr, 1)}"
    reasons = _reasons(ledger)
    return (whole, f"lost to: {reasons}; {_gpu_hours(ledger)}") if reasons else (whole,)


def _reasons(ledger: Ledger) -> str:
    lost = _lost_by_reason(ledger).items()
    return ", ".join(f"{reason} {duration(seconds)}" for reason, seconds in lost if seconds >= _SHOWN_FROM_SECONDS)


def _gpu_hours(ledger: Ledger) -> str:
    hours = ledger.lost_gpu_hours
    return f"{hours:,.1f} GPU-hours" if hours >= 10 else f"{hours:.3g} GPU-hours"


def _lost_by_reason(ledger: Ledger) -> dict[str, float]:
    spent = ledger.seconds_by_reason().items()
    return {reason.value: _exact(seconds) for reason, seconds in spent if reason is not Reason.PRODUCTIVE}


def _exact(number: float) -> float:
    # The moments have microseconds; what is finer comes from adding floats.
    return round(number, 6)
