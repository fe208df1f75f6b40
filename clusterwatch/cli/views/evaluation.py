"""An evaluation to the JSON that scripts rely on, to tables for people, and to a page of the docs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from clusterwatch.app.evaluating import Evaluation
from clusterwatch.classify.scoring import Answered, Bin, Scores
from clusterwatch.cli.output import encode
from clusterwatch.cli.page import Page, Section, Table
from clusterwatch.cli.views.diagnosis import suspect_json

_CASES_KEPT = 50


def evaluation_json(evaluation: Evaluation) -> dict[str, Any]:
    """Return the figures as scripts read them; shares are 0-1."""
    scores = evaluation.scores
    by_cause = {
        cause: {
            "n": tally.cases,
            "predicted": tally.predicted,
            "correct": tally.correct,
            "precision": round(tally.precision, 4),
            "recall": round(tally.recall, 4),
            "f1": round(tally.f1, 4),
        }
        for cause, tally in scores.by_cause.items()
    }
    figures = {name: round(value, 4) for name, value in _figures(scores)}
    reliability = [encode(each) for each in scores.reliability]
    misses = [_miss_json(each) for each in evaluation.misses]
    rest = {"by_cause": by_cause, "confusion": encode(scores.confusion), "reliability": reliability, "misses": misses}
    return {"n": scores.n, **figures, **rest}


def predicted_lines(evaluation: Evaluation) -> str:
    """Return what was said of each case, one JSON object a line."""
    return "".join(f"{json.dumps(_predicted(each))}\n" for each in evaluation.answers)


def evaluation_page(evaluation: Evaluation) -> Page:
    """Return the figures, the causes, what was confused, and how far confidence can be trusted."""
    return tuple(Section(title, (Table(headings, rows),)) for title, headings, rows in _tables(evaluation) if rows)


def evaluation_markdown(evaluation: Evaluation) -> str:
    """Return the same tables as Markdown, a heading each."""
    return "\n".join(
        f"### {title.capitalize()}\n\n{_markdown(headings, rows)}"
        for title, headings, rows in _tables(evaluation)
        if rows
    )


_Rows = tuple[tuple[str, ...], ...]


def _tables(evaluation: Evaluation) -> Iterable[tuple[str, tuple[str, ...], _Rows]]:
    scores = evaluation.scores
    yield (
        "FIGURES",
        ("FIGURE", "VALUE"),
        (("cases", str(scores.n)), *((_WORDS[name], f"{value:.3f}") for name, value in _figures(scores))),
    )
    yield (
        "BY CAUSE",
        ("CAUSE", "CASES", "PRECISION", "RECALL", "F1"),
        tuple(
            (cause, str(each.cases), f"{each.precision:.2f}", f"{each.recall:.2f}", f"{each.f1:.2f}")
            for cause, each in scores.by_cause.items()
        ),
    )
    yield (
        "RELIABILITY",
        ("CONFIDENCE", "CASES", "MEAN", "VERY CAUSE", "OR ACCEPTABLE"),
        tuple(map(_bin_row, filter(_has_cases, scores.reliability))),
    )
    yield "TAKEN FOR ANOTHER", ("CAUSE", "TAKEN FOR"), tuple(_confused(scores))
    yield "MISSES", ("CASE", "CAUSE", "SAID", "CONFIDENCE"), tuple(map(_miss_row, evaluation.misses[:_CASES_KEPT]))


_WORDS = {
    "top1": "right",
    "top1_lenient": "right or acceptable",
    "macro_f1": "macro-F1 (acceptable counts)",
    "macro_f1_strict": "macro-F1 (strict)",
    "false_hardware_blame": "healthy hardware blamed",
    "culprit_accuracy": "culprit named first",
}


def _figures(scores: Scores) -> list[tuple[str, float]]:
    return [(name, getattr(scores, name)) for name in _WORDS]


def _has_cases(each: Bin) -> bool:
    return each.n > 0


def _bin_row(each: Bin) -> tuple[str, ...]:
    shares = (f"{share:.2f}" for share in (each.confidence, each.exact, each.right))
    return f"{each.low:.1f}-{each.high:.1f}", str(each.n), *shares


def _confused(scores: Scores) -> Iterable[tuple[str, str]]:
    for label, said in scores.confusion.items():
        others = ", ".join(f"{cause} {count}" for cause, count in said.items() if cause != label)
        if others:
            yield label, others


def _miss_row(each: Answered) -> tuple[str, ...]:
    return each.case.id, each.case.cause.value, each.prediction.cause.value, f"{each.prediction.confidence:.2f}"


def _miss_json(each: Answered) -> dict[str, Any]:
    said = each.prediction
    return {"id": each.case.id, "cause": each.case.cause.value, "said": said.cause.value, "confidence": said.confidence}


def _predicted(each: Answered) -> dict[str, Any]:
    said = each.prediction
    suspects = [suspect_json(suspect) for suspect in said.suspects]
    return {"id": each.case.id, "cause": said.cause.value, "confidence": said.confidence, "suspects": suspects}


def _markdown(headings: Sequence[str], rows: _Rows) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
