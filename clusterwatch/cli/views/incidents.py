"""Incidents to a list, and one incident to everything known of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from clusterwatch.cli.output import Column, encode
from clusterwatch.cli.page import Page, Phrase, Section, Table, Tone, quiet
from clusterwatch.cli.views.decisions import decision_json, decision_parts
from clusterwatch.cli.views.diagnosis import (
    NOT_DIAGNOSED,
    diagnosis_json,
    evidence_section,
    how_sure,
    suspect_words,
    which_part,
)
from clusterwatch.cli.views.interruptions import interruption_json, interruption_table
from clusterwatch.cli.wording import age, clock_time, or_dash, percent, stamp
from clusterwatch.model import Diagnosis, Evidence, Incident, Severity

if TYPE_CHECKING:
    from clusterwatch.store import IncidentView

Explained = tuple[Incident, Diagnosis | None]

_TONE = {Severity.FATAL: Tone.BAD, Severity.ERROR: Tone.BAD, Severity.WARNING: Tone.DOUBTFUL}


def severity_phrase(severity: Severity) -> Phrase:
    """Return the name of *severity*, the grave ones marked."""
    return Phrase(severity.name.lower(), _TONE.get(severity, Tone.PLAIN))


def incident_json(explained: Explained) -> dict[str, Any]:
    """Return an incident with its latest diagnosis, as the list and the single view have it."""
    incident, diagnosis = explained
    return {
        "id": incident.id,
        "state": incident.state.value,
        "severity": incident.severity.name.lower(),
        **diagnosis_json(diagnosis),
        "opened_at": encode(incident.opened_at),
        "updated_at": encode(incident.updated_at),
        "observed_at": encode(incident.observed_at),
        "closed_at": encode(incident.closed_at),
        "jobs": list(incident.jobs),
        "nodes": list(incident.nodes),
        "revision": incident.revision,
        "stale": incident.stale,
        "merged_into": incident.merged_into,
        "simulated": incident.simulated,
    }


def incident_columns(now: datetime) -> tuple[Column[Explained], ...]:
    """Return the columns of a list of incidents."""
    return (
        Column("ID", lambda each: each[0].id),
        Column("STATE", lambda each: each[0].state.value),
        Column("SEVERITY", lambda each: severity_phrase(each[0].severity)),
        Column("CAUSE", lambda each: each[1].cause.value if each[1] else "-"),
        Column("SURE", lambda each: percent(each[1].confidence if each[1] else None)),
        Column("FIRST SUSPECT", _first_suspect),
        Column("JOBS", lambda each: or_dash(", ".join(each[0].jobs))),
        Column("OPENED", lambda each: age(each[0].opened_at, now)),
        Column("CHANGED", lambda each: age(each[0].updated_at, now)),
    )


def _first_suspect(explained: Explained) -> str:
    diagnosis = explained[1]
    return suspect_words(diagnosis.suspects[0]) if diagnosis and diagnosis.suspects else "-"


def incident_view_json(view: IncidentView) -> dict[str, Any]:
    """Return everything known of one incident."""
    return {
        **incident_json((view.incident, view.diagnosis)),
        "revisions": [_revision_json(diagnosis) for diagnosis in view.diagnoses],
        "signals": [_signal_json(evidence) for evidence in view.incident.evidence],
        "decisions": [decision_json(decision) for decision in view.decisions],
        "interruptions": [interruption_json(interruption) for interruption in view.interruptions],
    }


def _revision_json(diagnosis: Diagnosis) -> dict[str, Any]:
    return {
        "revision": diagnosis.revision,
        "cause": diagnosis.cause.value,
        "confidence": diagnosis.confidence,
        "made_at": encode(diagnosis.made_at),
    }


def _signal_json(evidence: Evidence) -> dict[str, Any]:
    shown = ("kind", "component", "severity", "trust", "first_at", "last_at", "count")
    return {name: encode(getattr(evidence, name)) for name in shown}


def incident_page(view: IncidentView, now: datetime) -> Page:
    """Return one incident: the verdict first, then what it rests on and what was done."""
    diagnosis = view.diagnosis
    return (
        _head(view.incident, now),
        Section("WHAT HAPPENED", (diagnosis.explanation if diagnosis else quiet(NOT_DIAGNOSED),)),
        which_part(diagnosis),
        how_sure(diagnosis),
        evidence_section(diagnosis),
        Section("SIGNALS", (signals_table(view.incident.evidence),)),
        Section("WHAT WAS DONE", decision_parts(view.decisions) or (quiet("nothing was decided"),)),
        *_interrupted(view),
        *revision_sections(view.diagnoses),
        Section("WHAT TO DO", (what_to_do(view.incident, diagnosis),)),
    )


def what_to_do(incident: Incident, diagnosis: Diagnosis | None) -> str:
    """Return what is left for a person, even if that is nothing."""
    if incident.merged_into:
        return f'it is part of {incident.merged_into}: see "clusterwatch incidents show {incident.merged_into}"'
    advice = diagnosis.advice if diagnosis else ""
    if incident.is_open:
        return advice or "wait for the diagnosis"
    return f"nothing now: it is {incident.state.value}." + (f" The advice was: {advice}" if advice else "")


def _head(incident: Incident, now: datetime) -> Section:
    lines: list[str | Phrase] = [
        f"opened {stamp(incident.opened_at)} ({age(incident.opened_at, now)}), changed {age(incident.updated_at, now)}",
        f"jobs {or_dash(', '.join(incident.jobs))}; nodes {or_dash(', '.join(incident.nodes))}",
    ]
    if incident.stale:
        lines.append("stale: its evidence was old when it arrived, so nothing is done about it")
    if incident.simulated:
        lines.append("simulated")
    title = f"INCIDENT {incident.id}  {incident.severity.name.lower()}  {incident.state.value}"
    return Section(title, tuple(lines))


def signals_table(evidence: Sequence[Evidence]) -> Table:
    """Return folded evidence in the order given."""
    rows = tuple(
        (
            clock_time(each.first_at),
            clock_time(each.last_at),
            severity_phrase(each.severity),
            each.kind,
            str(each.component),
            f"x{each.count}",
            each.trust.value,
        )
        for each in evidence
    )
    return Table(("FIRST", "LAST", "SEVERITY", "EVENT", "COMPONENT", "TIMES", "WORD OF"), rows)


def _interrupted(view: IncidentView) -> tuple[Section, ...]:
    if not view.interruptions:
        return ()
    return (Section("INTERRUPTED", (interruption_table(view.interruptions),)),)


def revision_sections(diagnoses: Sequence[Diagnosis]) -> tuple[Section, ...]:
    """Return how the diagnosis changed; nothing where it did not."""
    if len(diagnoses) < 2:
        return ()
    rows = tuple(
        (str(each.revision), clock_time(each.made_at), each.cause.value, percent(each.confidence)) for each in diagnoses
    )
    return (Section("HOW THE DIAGNOSIS CHANGED", (Table(("REVISION", "AT", "CAUSE", "SURE"), rows),)),)
