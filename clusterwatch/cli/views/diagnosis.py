"""A diagnosis to the JSON that scripts rely on, and to the sentences people read first."""

from __future__ import annotations

import re
from typing import Any

from clusterwatch.cli.page import Phrase, Section, Table, quiet, strong
from clusterwatch.cli.wording import or_dash, percent, sureness
from clusterwatch.model import TABLE5_ROW, Cause, ComponentKind, Diagnosis, Suspect, WeighedLine

NOT_DIAGNOSED = "not diagnosed yet: the evidence is still coming in"
"""What stands where a diagnosis will be."""

_NUMBERED = re.compile(r"(?P<source>.+):(?P<line>\d+)")


def diagnosis_json(diagnosis: Diagnosis | None) -> dict[str, Any]:
    """Return *diagnosis* as every command prints it; with None the same keys, holding nothing.

    A line of evidence names its file, or its collector where there is no file, as "source", and the number in it
    as "line"; that is a record's sequence number for /dev/kmsg, and null where there is none.
    """
    if diagnosis is None:
        return _nothing()
    row = TABLE5_ROW[diagnosis.cause]
    return {
        "cause": diagnosis.cause.value,
        "table5": row.name if row else None,
        "category": row.category if row else None,
        "confidence": diagnosis.confidence,
        "alternatives": [
            {"cause": other.cause.value, "confidence": other.confidence} for other in diagnosis.alternatives
        ],
        "suspects": [suspect_json(suspect) for suspect in diagnosis.suspects],
        "evidence": [_line_json(line) for line in diagnosis.evidence],
        "absent": list(diagnosis.absent),
        "explanation": diagnosis.explanation,
        "advice": diagnosis.advice,
    }


def _nothing() -> dict[str, Any]:
    return {
        "cause": None,
        "table5": None,
        "category": None,
        "confidence": None,
        "alternatives": [],
        "suspects": [],
        "evidence": [],
        "absent": [],
        "explanation": "",
        "advice": "",
    }


def suspect_json(suspect: Suspect) -> dict[str, Any]:
    """Return *suspect* as scripts see it; what is not known is null."""
    return {
        "kind": suspect.component.kind.value,
        "id": suspect.component.id,
        "node": suspect.component.node or None,
        "gpu": gpu_of(suspect),
        "rank": rank_of(suspect),
        "score": suspect.score,
    }


def rank_of(suspect: Suspect) -> int | None:
    """Return the rank that *suspect* is or runs."""
    if suspect.rank is None and suspect.component.kind is ComponentKind.RANK and suspect.component.id.isdecimal():
        return int(suspect.component.id)
    return suspect.rank


def gpu_of(suspect: Suspect) -> str | None:
    """Return the GPU that *suspect* is or uses."""
    if suspect.gpu is None and suspect.component.kind is ComponentKind.GPU:
        return suspect.component.id
    return suspect.gpu


def place_of(line: WeighedLine) -> tuple[str, int | None]:
    """Return the file or collector a line of evidence stands in, and the number in it."""
    numbered = _NUMBERED.fullmatch(line.origin)
    if numbered:
        return numbered["source"], int(numbered["line"])
    return line.origin or line.source, None


def _line_json(line: WeighedLine) -> dict[str, Any]:
    source, number = place_of(line)
    return {
        "source": source,
        "line": number,
        "text": line.text,
        "event": line.event,
        "weight": line.weight,
        "node": line.node or None,
    }


def suspect_words(suspect: Suspect) -> str:
    """Return *suspect* with everything that helps to find it: "rank 2 on node001, GPU 2"."""
    kind, rank, gpu = suspect.component.kind, rank_of(suspect), gpu_of(suspect)
    words = [str(suspect.component)]
    if rank is not None and kind is not ComponentKind.RANK:
        words.append(f"rank {rank}")
    if gpu is not None and kind is not ComponentKind.GPU:
        words.append(f"GPU {gpu}")
    return ", ".join(words)


def cause_words(cause: Cause) -> str:
    """Return *cause* with the row it is counted under: "gpu_hbm (GPU HBM3 Memory)"."""
    row = TABLE5_ROW[cause]
    return f"{cause.value} ({row.name})" if row else cause.value


def which_part(diagnosis: Diagnosis | None) -> Section:
    """Return the suspects, most suspect first."""
    if diagnosis is None:
        return Section("WHICH PART", (quiet(NOT_DIAGNOSED),))
    if not diagnosis.suspects:
        return Section("WHICH PART", ("no part in particular: the evidence names none",))
    first, *others = diagnosis.suspects
    rest = [f"or {suspect_words(suspect)} ({percent(suspect.score)} of the blame)" for suspect in others]
    return Section("WHICH PART", (_first_suspect(first), *rest))


def _first_suspect(suspect: Suspect) -> Phrase:
    return strong(f"{suspect_words(suspect)} ({percent(suspect.score)} of the blame)")


def how_sure(diagnosis: Diagnosis | None) -> Section:
    """Return the cause with its confidence, the other causes, and what is missing for more."""
    if diagnosis is None:
        return Section("HOW SURE", (quiet(NOT_DIAGNOSED),))
    lines: list[str | Phrase] = [strong(_verdict(diagnosis))]
    if diagnosis.alternatives:
        others = ", ".join(f"{other.cause.value} {percent(other.confidence)}" for other in diagnosis.alternatives)
        lines.append(f"also possible: {others}")
    lines += [f"expected, but absent: {absent}" for absent in diagnosis.absent]
    if not diagnosis.node_confirmed:
        lines.append("no source of a node itself confirms it: only what the job wrote speaks for it")
    return Section("HOW SURE", tuple(lines))


def _verdict(diagnosis: Diagnosis) -> str:
    if diagnosis.is_undetermined:
        return f"{diagnosis.cause.value}: {percent(diagnosis.confidence)}, the evidence does not tell the cause"
    return f"{cause_words(diagnosis.cause)}: {percent(diagnosis.confidence)}, {sureness(diagnosis.confidence)}"


def evidence_section(diagnosis: Diagnosis | None) -> Section:
    """Return the lines for and against, each with where it can be read again."""
    if diagnosis is None or not diagnosis.evidence:
        return Section("EVIDENCE", (quiet("no line was kept"),))
    rows = tuple(
        (
            str(number),
            or_dash(line.node),
            line.origin or line.source,
            f"{line.weight:+.1f}",
            line.event,
            f"x{line.count}",
            or_dash(line.text),
        )
        for number, line in enumerate(diagnosis.evidence, start=1)
    )
    return Section("EVIDENCE", (Table(("#", "NODE", "WHERE", "WEIGHT", "EVENT", "TIMES", "TEXT"), rows),))
