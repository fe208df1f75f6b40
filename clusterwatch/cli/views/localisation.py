"""Which ranks hold up a job: the JSON that scripts rely on, and a page for people."""

from __future__ import annotations

from typing import Any

from clusterwatch.cli.page import Page, Phrase, Section, Table, bad, doubtful, good, strong
from clusterwatch.localise import Culprit, Localisation, Status
from clusterwatch.model.ranks import as_text, merged

_CULPRITS_SHOWN = 64

_TONES = {
    Status.OK: good,
    Status.MISMATCH: bad,
    Status.STALLED: bad,
    Status.STRAGGLER: doubtful,
    Status.INCOMPLETE: doubtful,
}


def localisation_json(answer: Localisation) -> dict[str, Any]:
    """Return *answer* as scripts read it; confidence is 0-1."""
    return {
        "status": answer.status.value,
        "process_group": answer.process_group,
        "collective_seq": answer.collective_seq,
        "operation": answer.operation,
        "culprits": [_culprit_json(each) for each in answer.culprits],
        "waiting": answer.waiting,
        "missing_dumps": list(answer.missing_dumps),
        "explanation": answer.explanation,
    }


def _culprit_json(culprit: Culprit) -> dict[str, Any]:
    place = culprit.place
    return {
        "rank": culprit.rank,
        "node": place.node if place else None,
        "gpu": place.gpu if place else None,
        "kind": culprit.kind.value,
        "why": culprit.why,
        "confidence": culprit.confidence,
    }


def localisation_page(answer: Localisation) -> Page:
    """Return what holds up the job, the culprits, and which dumps are missing."""
    status = _TONES[answer.status](answer.status.value.upper())
    sections = [Section("", (status, answer.explanation))]
    if answer.culprits:
        headings = ("RANK", "NODE", "KIND", "SURE", "WHY")
        shown = answer.culprits[:_CULPRITS_SHOWN]
        rest = len(answer.culprits) - len(shown)
        table = Table(headings, tuple(map(_row, shown)))
        sections.append(Section("CULPRITS", (table, f"and {rest} more") if rest else (table,)))
    if answer.missing_dumps:
        missing = as_text(merged((rank, rank) for rank in answer.missing_dumps))
        sections.append(Section("RANKS WITHOUT A DUMP", (missing,)))
    return tuple(sections)


def _row(culprit: Culprit) -> tuple[str | Phrase, ...]:
    node = culprit.place.node if culprit.place else "-"
    return strong(str(culprit.rank)), node, culprit.kind.value, f"{culprit.confidence:.2f}", culprit.why
