"""A job's account to where its time went, by reason, cause, attempt and incident."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from clusterwatch.app.reckoning import JobAccount
from clusterwatch.cli.output import encode
from clusterwatch.cli.page import Page, Section, Table
from clusterwatch.cli.views.cost import cost_json, ledger_json
from clusterwatch.cli.views.reliability import reliability_json, reliability_words
from clusterwatch.cli.wording import duration, or_dash, percent, stamp, three_figures
from clusterwatch.goodput import MEANING, Cost, Ledger, Reason, began_at, lost_by, windows_of

_SHOWN = 20

NO_INTERRUPTION = "no interruption"
"""Under what stands that was lost without one: saves, slowness, the queue."""


def goodput_json(found: JobAccount, window: str) -> dict[str, Any]:
    """Return the account for scripts; the seconds of each list add up to those of the ledger."""
    return {
        "job": found.job.id,
        "gpus": found.job.gpus,
        "window": window,
        "from": encode(found.from_at),
        "to": encode(found.to_at),
        "ledger": ledger_json(found.ledger),
        "windows": {name: ledger_json(part) for name, part in windows_of(found.whole, found.to_at).items()},
        "by_cause": {
            name or "no_interruption": _seconds_json(found.ledger, lost) for name, lost in _by_cause(found).items()
        },
        "attempts": [{"attempt": number, **ledger_json(part)} for number, part in found.ledger.by_attempt().items()],
        "interruptions": [_cost_json(found, cost) for cost in found.costs],
        "reliability": reliability_json(found.reliability),
    }


def _cost_json(found: JobAccount, cost: Cost) -> dict[str, Any]:
    stop = cost.interruption
    return {
        "id": stop.id,
        "incident": stop.incident_id,
        "cause": found.cause_of(stop),
        "planned": stop.planned,
        "attempt": stop.attempt,
        "began_at": encode(began_at(stop)),
        "edges": encode(stop.edges),
        **cost_json(cost.ledger),
    }


def _seconds_json(ledger: Ledger, lost: Mapping[Reason, float]) -> dict[str, Any]:
    seconds = sum(lost.values())
    return {
        "lost_seconds": round(seconds, 6),
        "lost_gpu_hours": round(ledger.gpu_hours(seconds), 6),
        "by_reason": {reason.value: round(spent, 6) for reason, spent in lost.items()},
    }


def _by_cause(found: JobAccount) -> dict[str, dict[Reason, float]]:
    return lost_by(found.ledger, found.costs, found.cause_of)


def goodput_page(found: JobAccount, window: str) -> Page:
    """Return the account for people."""
    ledger = found.ledger
    when = f"{stamp(found.from_at)} to {stamp(found.to_at)}"
    return (
        Section(f"GOODPUT OF {found.job.id}  {window}", (f"{when}; {found.job.gpus} GPUs held",)),
        Section("ETTR", (windows_table(found.whole, found),)),
        Section("WHERE THE TIME WENT", (reasons_table(ledger),)),
        Section("LOST BY CAUSE", (_causes_table(found),)),
        Section("COSTLIEST INTERRUPTIONS", (_costs_table(found),)),
        Section("ATTEMPTS", (_attempts_table(ledger),)),
        Section("HOW OFTEN IT BREAKS", reliability_words(found.reliability)),
    )


def windows_table(ledger: Ledger, found: JobAccount) -> Table:
    """Return the ratios in each of the windows."""
    rows = tuple(
        (
            name,
            duration(part.elapsed_seconds),
            percent(part.ettr, 2),
            percent(part.ettr_unplanned, 2),
            three_figures(part.lost_gpu_hours),
        )
        for name, part in windows_of(ledger, found.to_at).items()
    )
    return Table(("WINDOW", "ELAPSED", "ETTR", "WITHOUT PLANNED STOPS", "LOST GPU-HOURS"), rows)


def reasons_table(ledger: Ledger) -> Table:
    """Return every reason that took time, most first; the last row is their sum."""
    elapsed = ledger.elapsed_seconds
    spent = sorted(ledger.seconds_by_reason().items(), key=lambda pair: -pair[1])
    rows = [
        (
            reason.value,
            duration(seconds),
            percent(seconds / elapsed, 2),
            three_figures(ledger.gpu_hours(seconds)),
            MEANING[reason],
        )
        for reason, seconds in spent
    ]
    total = (
        "all",
        duration(elapsed),
        percent(1.0 if elapsed else None, 2),
        three_figures(ledger.gpu_hours(elapsed)),
        "",
    )
    return Table(("REASON", "TIME", "SHARE", "GPU-HOURS", "WHAT IT IS"), (*rows, total))


def _causes_table(found: JobAccount) -> Table:
    counts: dict[str, int] = {}
    for cost in found.costs:
        name = found.cause_of(cost.interruption)
        counts[name] = counts.get(name, 0) + 1
    lost = sorted(_by_cause(found).items(), key=lambda pair: -sum(pair[1].values()))
    rows = tuple(
        (
            name or NO_INTERRUPTION,
            str(counts.get(name, "-")),
            duration(sum(reasons.values())),
            three_figures(found.ledger.gpu_hours(sum(reasons.values()))),
            reasons_words(reasons),
        )
        for name, reasons in lost
    )
    return Table(("CAUSE", "INTERRUPTIONS", "LOST", "GPU-HOURS", "TO"), rows)


def _costs_table(found: JobAccount) -> Table | str:
    costly = sorted(found.costs, key=lambda cost: -cost.ledger.lost_seconds)[:_SHOWN]
    rows = tuple(
        (
            or_dash(cost.interruption.incident_id),
            found.cause_of(cost.interruption) + (" (planned)" if cost.interruption.planned else ""),
            stamp(began_at(cost.interruption)),
            duration(cost.ledger.lost_seconds),
            three_figures(cost.ledger.lost_gpu_hours),
            reasons_words(cost.ledger.seconds_by_reason()),
        )
        for cost in costly
    )
    return Table(("INCIDENT", "CAUSE", "BEGAN", "LOST", "GPU-HOURS", "TO"), rows) if rows else "none"


def _attempts_table(ledger: Ledger) -> Table:
    parts = list(ledger.by_attempt().items())[-_SHOWN:]
    rows = tuple(
        (
            str(number) if number else "before the first",
            stamp(part.spans[0].from_at),
            duration(part.elapsed_seconds),
            duration(part.productive_seconds),
            reasons_words(part.seconds_by_reason()),
        )
        for number, part in parts
    )
    return Table(("ATTEMPT", "FROM", "TIME", "PRODUCTIVE", "LOST TO"), rows)


def reasons_words(reasons: Mapping[Reason, float]) -> str:
    """Return what was lost to each reason, in one line."""
    lost: Iterable[tuple[Reason, float]] = ((key, spent) for key, spent in reasons.items() if key in _LOST)
    return or_dash(", ".join(f"{reason.value} {duration(seconds)}" for reason, seconds in lost if seconds >= 0.05))


_LOST = frozenset(Reason) - {Reason.PRODUCTIVE}
