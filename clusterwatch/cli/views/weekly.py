"""A report of reliability to what the owners of a cluster and its vendor read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from clusterwatch.app.weekly import Automation, Offender, Report, Row
from clusterwatch.cli.output import encode
from clusterwatch.cli.page import Page, Phrase, Section, Table, quiet, strong
from clusterwatch.cli.views.cost import ledger_json
from clusterwatch.cli.views.reliability import band_json, band_words, reliability_json, reliability_words
from clusterwatch.cli.wording import amount, or_dash, percent, stamp, three_figures
from clusterwatch.goodput.offenders import Standing

_SHOWN = 20


def report_json(report: Report) -> dict[str, Any]:
    """Return the report for scripts; rates are per 1,000 node-days, bands hold the true value with 95 %."""
    return {
        "from": encode(report.from_at),
        "to": encode(report.to_at),
        "jobs": [
            {"id": one.job.id, "name": one.job.name, "gpus": one.job.gpus, "ledger": ledger_json(one.ledger)}
            for one in report.jobs
        ],
        "ettr": report.ettr,
        "ettr_unplanned": report.ettr_unplanned,
        "gpu_hours_by_reason": {reason.value: round(hours, 6) for reason, hours in report.gpu_hours.items()},
        **reliability_json(report.reliability),
        "table5": [_row_json(row) for row in report.rows],
        "components": [_row_json(row) for row in report.components],
        "offenders": [_offender_json(each) for each in report.offenders],
        "watched": [_standing_json(each) for each in report.watched],
        "automation": encode(report.automation),
        "questions": list(report.questions),
    }


def _row_json(row: Row) -> dict[str, Any]:
    return {
        "name": row.name,
        "category": row.category or None,
        "count": row.count,
        "share": row.share,
        "per_1000_node_days": band_json(row.rate),
        "lost_gpu_hours": round(row.lost_gpu_hours, 6),
        "published_count": row.published,
        "published_per_1000_node_days": band_json(row.published_rate),
    }


def _standing_json(standing: Standing) -> dict[str, Any]:
    answer: dict[str, Any] = encode(standing)
    return answer


def _offender_json(offender: Offender) -> dict[str, Any]:
    told = ("causes", "parts", "serials", "incidents")
    return {**_standing_json(offender.standing), **{name: list(getattr(offender, name)) for name in told}}


def report_page(report: Report) -> Page:
    """Return the report for people: the verdict first, what is left to them last."""
    return (
        Section("HOW WELL IT RAN", _verdict(report)),
        Section("WHERE THE GPU-HOURS WENT", (_reasons(report),)),
        Section("WHAT BROKE", (_causes(report.rows),)),
        Section("WHICH PARTS", (_components(report.components),)),
        Section("REPEAT OFFENDERS", (*map(_offender, report.offenders), *_standings(report))),
        Section("WHAT AUTOMATION DID", _automation(report.automation)),
        Section("OPEN QUESTIONS", _questions(report.questions)),
    )


def _verdict(report: Report) -> tuple[str | Phrase, ...]:
    held = sum(report.gpu_hours.values())
    return (
        f"{stamp(report.from_at)} to {stamp(report.to_at)}",
        f"{amount(len(report.jobs), 'job')}, {three_figures(held)} GPU-hours",
        strong(f"ETTR {percent(report.ettr, 2)}; outside planned stops {percent(report.ettr_unplanned, 2)}"),
        *reliability_words(report.reliability),
    )


def _reasons(report: Report) -> Table:
    held = sum(report.gpu_hours.values())
    spent = sorted(report.gpu_hours.items(), key=lambda pair: -pair[1])
    rows = tuple((reason.value, three_figures(hours), percent(hours / held, 2)) for reason, hours in spent)
    return Table(("REASON", "GPU-HOURS", "SHARE"), rows)


def _causes(rows: Sequence[Row]) -> Table:
    """Return what broke here beside Table 5 of the published run (arXiv 2407.21783), which broke nothing else."""
    headings = (
        "CAUSE",
        "CATEGORY",
        "HERE",
        "SHARE",
        "PER 1,000 NODE-DAYS",
        "LOST GPU-HOURS",
        "PUBLISHED",
        "PER 1,000 NODE-DAYS THERE",
    )
    return Table(headings, tuple(map(_cause, rows)))


def _cause(row: Row) -> tuple[str, ...]:
    return (
        row.name,
        or_dash(row.category),
        str(row.count),
        percent(row.share, 1),
        band_words(row.rate),
        three_figures(row.lost_gpu_hours),
        or_dash(row.published),
        band_words(row.published_rate),
    )


def _components(rows: Sequence[Row]) -> Table | Phrase:
    if not rows:
        return quiet("none")
    told = tuple((row.name, str(row.count), percent(row.share, 1), band_words(row.rate)) for row in rows)
    return Table(("FIRST SUSPECT", "INTERRUPTIONS", "SHARE", "PER 1,000 NODE-DAYS"), told)


def _offender(offender: Offender) -> Phrase:
    known = "; ".join(offender.serials) or "no serial number was told"
    return strong(
        f"{offender.standing.node}: {', '.join(offender.causes)}; {', '.join(offender.parts)}; {known}; "
        f"incidents {', '.join(offender.incidents) or 'none'}"
    )


def _standings(report: Report) -> tuple[str | Phrase | Table, ...]:
    shown = [*(each.standing for each in report.offenders), *report.watched][:_SHOWN]
    if not shown:
        return (quiet("no node had a hardware fault"),)
    rows = tuple(
        (
            each.node,
            "repeat offender" if each.is_offender else "chance explains it",
            str(each.faults),
            f"{each.days:.1f}",
            f"{each.expected:.2g}",
            f"{each.adjusted:.2g}",
            f"{each.times_worse:.1f}",
        )
        for each in shown
    )
    return (Table(("NODE", "VERDICT", "FAULTS", "DAYS IN JOBS", "EXPECTED", "CHANCE", "TIMES WORSE"), rows),)


def _automation(found: Automation) -> tuple[str | Phrase | Table, ...]:
    if not found.decisions:
        return (quiet("nothing was decided"),)
    modes = ", ".join(f"{count} {mode}" for mode, count in found.by_mode.items())
    asked = f"a person was asked {amount(found.asked, 'time')}"
    rows = tuple(
        (kind, str(sum(states.values())), ", ".join(f"{count} {state}" for state, count in states.items()))
        for kind, states in found.steps.items()
    )
    return (f"{amount(found.decisions, 'decision')} ({modes}); {asked}", Table(("STEP", "TIMES", "BECAME"), rows))


def _questions(questions: Sequence[str]) -> tuple[str | Phrase, ...]:
    if not questions:
        return (quiet("none"),)
    more = len(questions) - _SHOWN
    return (*questions[:_SHOWN], *((quiet(f"and {more} more: see the JSON"),) if more > 0 else ()))
