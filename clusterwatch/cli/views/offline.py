"""What logs say to a page: one block for each incident, gravest first, the verdict before what it rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusterwatch.cli.page import Page, Phrase, Section, quiet
from clusterwatch.cli.views.diagnosis import how_sure, which_part
from clusterwatch.cli.wording import amount
from clusterwatch.model import Cause, Diagnosis, WeighedLine
from clusterwatch.reading.nodelists import slurm_list

if TYPE_CHECKING:
    from clusterwatch.app.offline import Answer

_LINES_SHOWN = 6


def offline_page(answer: Answer) -> Page:
    """Return every incident that the logs hold; one sentence where they hold none."""
    if not answer.diagnoses:
        return (Section("", (nothing_found(answer),)),)
    many = len(answer.diagnoses) > 1
    told = tuple(
        section
        for number, diagnosis in enumerate(answer.diagnoses, start=1)
        for section in _sections(diagnosis, f"{number} OF {len(answer.diagnoses)}: " if many else "")
    )
    excluded = slurm_list(answer.nodes_to_exclude)
    return (*told, Section("NODES TO EXCLUDE", (excluded,))) if excluded else told


def nothing_found(answer: Answer) -> str:
    """Return the sentence that tells of a clean log."""
    return f"nothing that looks like a failure in {amount(answer.lines, 'line')}"


def read_words(answer: Answer) -> str:
    """Return how much was read."""
    return f"{amount(answer.lines, 'line')} in {amount(answer.files, 'file')} read"


def _sections(diagnosis: Diagnosis, number: str) -> Page:
    return (
        Section(f"{number}{_headline(diagnosis)}", (diagnosis.explanation,)),
        which_part(diagnosis),
        how_sure(diagnosis),
        Section("EVIDENCE", _evidence(diagnosis)),
        Section("WHAT TO DO", (diagnosis.advice,)),
    )


def _headline(diagnosis: Diagnosis) -> str:
    return "NOTHING IS WRONG" if diagnosis.cause is Cause.BENIGN else "WHAT HAPPENED"


def _evidence(diagnosis: Diagnosis) -> tuple[str | Phrase, ...]:
    """Return the lines in two rows each, so that they can be read on a narrow terminal."""
    rows = [row for line in diagnosis.evidence[:_LINES_SHOWN] for row in _rows(line)]
    hidden = len(diagnosis.evidence) - _LINES_SHOWN
    return (*rows, quiet(f"and {amount(hidden, 'more piece')} of evidence: see -o json")) if hidden > 0 else (*rows,)


def _rows(line: WeighedLine) -> tuple[str | Phrase, ...]:
    times = f", {line.count} times" if line.count > 1 else ""
    return (quiet(f"{line.origin or line.source} ({line.event}, weight {line.weight:+.1f}{times})"), f"  {line.text}")
