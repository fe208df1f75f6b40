"""A post-mortem to the document that is sent on after an incident."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from clusterwatch.app.postmortem import Postmortem
from clusterwatch.cli.output import encode
from clusterwatch.cli.page import Page, Phrase, Section, Table, quiet
from clusterwatch.cli.views.cost import cost_json
from clusterwatch.cli.views.decisions import decision_parts
from clusterwatch.cli.views.diagnosis import NOT_DIAGNOSED, evidence_section, how_sure, which_part
from clusterwatch.cli.views.goodput import reasons_words
from clusterwatch.cli.views.incidents import incident_view_json, revision_sections, signals_table, what_to_do
from clusterwatch.cli.wording import duration, or_dash, stamp, three_figures


def postmortem_json(found: Postmortem) -> dict[str, Any]:
    """Return the post-mortem for scripts."""
    return {
        **incident_view_json(found.view),
        "timeline": [encode(each) for each in found.timeline],
        "costs": [
            {"job": view.job.id, "interruption": cost.interruption.id, **cost_json(cost.ledger)}
            for view, cost in found.costs
        ],
        "events": [encode(event) for event in found.events],
    }


def postmortem_page(found: Postmortem) -> Page:
    """Return the post-mortem for people. It names no time by how long ago it was: it is read later."""
    incident, diagnosis = found.incident, found.diagnosis
    return (
        Section("SUMMARY", _summary(found)),
        Section("WHAT HAPPENED", (diagnosis.explanation if diagnosis else quiet(NOT_DIAGNOSED),)),
        which_part(diagnosis),
        how_sure(diagnosis),
        Section("WHAT IT COST", _cost(found)),
        Section("TIMELINE", (_timeline(found),)),
        evidence_section(diagnosis),
        Section("SIGNALS", (signals_table(incident.evidence),)),
        Section("WHAT WAS DONE", decision_parts(found.view.decisions) or (quiet("nothing was decided"),)),
        *revision_sections(found.view.diagnoses),
        Section("WHAT TO DO", (what_to_do(incident, diagnosis),)),
    )


def _summary(found: Postmortem) -> tuple[str | Phrase, ...]:
    incident = found.incident
    closed = f", closed {stamp(incident.closed_at)}" if incident.closed_at else ", not closed"
    lines = [
        f"{incident.severity.name.lower()}; {incident.state.value}; opened {stamp(incident.opened_at)}{closed}",
        f"jobs {or_dash(', '.join(incident.jobs))}; nodes {or_dash(', '.join(incident.nodes))}",
    ]
    if any(stop.planned for stop in found.view.interruptions):
        lines.append("planned: somebody wanted this stop")
    if incident.stale:
        lines.append("stale: its evidence was old when it arrived, so nothing was done about it")
    if incident.simulated:
        lines.append("simulated")
    return tuple(lines)


def _cost(found: Postmortem) -> tuple[str | Phrase | Table, ...]:
    if not found.costs:
        return (quiet("no job was interrupted"),)
    rows = tuple(
        (
            view.job.id,
            str(cost.interruption.attempt),
            duration(cost.ledger.lost_seconds),
            three_figures(cost.ledger.lost_gpu_hours),
            reasons_words(cost.ledger.seconds_by_reason()),
            "over" if cost.interruption.is_over else "not over",
        )
        for view, cost in found.costs
    )
    return (Table(("JOB", "ATTEMPT", "LOST", "GPU-HOURS", "TO", "STATE"), rows),)


def _timeline(found: Postmortem) -> Table | Phrase:
    if not found.timeline:
        return quiet("nothing is on record any more")
    rows = tuple((_to_the_millisecond(each.at), each.what, each.source, or_dash(each.where)) for each in found.timeline)
    return Table(("AT (UTC)", "WHAT", "SAID BY", "WHERE"), rows)


def _to_the_millisecond(at: datetime) -> str:
    told = at.astimezone(UTC)
    return f"{told:%Y-%m-%d %H:%M:%S}.{told.microsecond // 1000:03d}"
