"""Labelled cases through the same diagnosis that `clusterwatch diagnose` makes, and how often it is right."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from clusterwatch import detect
from clusterwatch.app.offline import diagnose_text
from clusterwatch.classify.scoring import Answered, Case, Culprit, Prediction, Scores, score
from clusterwatch.detect import Catalog
from clusterwatch.errors import SourceError
from clusterwatch.model import Cause, Diagnosis, Knowledge

NOTHING_FOUND_CONFIDENCE = 0.75
"""How often nothing is wrong where nothing was found; measured on cases nobody had looked at (docs/accuracy.md)."""

_CAUSES = {cause.value: cause for cause in Cause}
_CODE_HOSTS = frozenset({"github.com", "gitlab.com", "raw.githubusercontent.com", "huggingface.co"})


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Every case with its answer, and the figures."""

    answers: tuple[Answered, ...]
    scores: Scores

    @property
    def misses(self) -> tuple[Answered, ...]:
        """The cases whose cause is not acceptable."""
        return tuple(each for each in self.answers if not each.is_acceptable)


def cases_under(paths: Iterable[Path]) -> tuple[Case, ...]:
    """Return the cases in the files at *paths*, and in every *.jsonl of those that are folders.

    Raises:
        SourceError: As `cases_in`, or a folder holds no such file.
    """
    return tuple(case for path in paths for file in _files(path) for case in cases_in(file))


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(path.glob("*.jsonl"))
    if not files:
        raise SourceError(f"{path} holds no *.jsonl file")
    return files


def cases_in(path: Path) -> tuple[Case, ...]:
    """Return the cases in the file at *path*, one JSON object a line; further keys are passed over.

    Raises:
        SourceError: It cannot be read, or a line is no case; the message names the line and what is wrong.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"cases in {path} cannot be read: {error}") from error
    found = tuple(_case(line, f"{path}:{number}") for number, line in enumerate(lines, start=1) if line.strip())
    if not found:
        raise SourceError(f"{path} holds no case: expected one JSON object a line with id, text and cause")
    return found


def evaluate(
    cases: tuple[Case, ...], catalog: Catalog, now: datetime, on_case: Callable[[], None] = lambda: None
) -> Evaluation:
    """Return what *catalog* makes of *cases*; *on_case* is called after each."""
    return _evaluation(((case, catalog) for case in cases), now, on_case)


def evaluate_unseen(
    cases: tuple[Case, ...], catalog: Catalog, now: datetime, on_case: Callable[[], None] = lambda: None
) -> Evaluation:
    """Return what *catalog* makes of each case without the rules and weights that come only from the case's source."""
    catalogs: dict[str, Catalog] = {}

    def without(source: str) -> Catalog:
        if source not in catalogs:
            catalogs.clear()  # cases of one source stand together; a catalogue is large
            catalogs[source] = without_source(catalog, source)
        return catalogs[source]

    ordered = sorted(cases, key=lambda case: origin_of(case.source))
    return _evaluation(((case, without(origin_of(case.source))) for case in ordered), now, on_case)


def prediction_of(diagnoses: tuple[Diagnosis, ...]) -> Prediction:
    """Return what *diagnoses* of one excerpt, gravest first, come to."""
    if not diagnoses:
        return Prediction(Cause.BENIGN, NOTHING_FOUND_CONFIDENCE)
    first = diagnoses[0]
    return Prediction(first.cause, first.confidence, first.suspects)


@lru_cache(maxsize=4_096)
def origin_of(source: str) -> str:
    """Return what two sources share when one learns from the other: the repository, or the site."""
    place = urlsplit(source if "//" in source else f"//{source}")
    host = (place.hostname or "").removeprefix("www.")
    parts = [part for part in place.path.split("/") if part]
    return "/".join([host, *parts[:2]]).lower() if host in _CODE_HOSTS else host


def without_source(catalog: Catalog, origin: str) -> Catalog:
    """Return *catalog* without the rules, and the meanings, of which *origin* is the only source."""

    def has_other(sources: tuple[str, ...]) -> bool:
        return any(origin_of(source) != origin for source in sources)

    if not origin:
        return catalog
    knowledge = Knowledge(
        signal if has_other(signal.sources) else replace(signal, weights={}) for signal in catalog.knowledge
    )
    rules = tuple(rule for rule in catalog.rules if has_other(rule.sources))
    # A fast matcher takes long to build, for the few excerpts of one origin; most are the only source of no rule.
    matcher = catalog.matcher if len(rules) == len(catalog.rules) else detect.compile_rules(rules, "python")
    return replace(catalog, rules=rules, knowledge=knowledge, matcher=matcher)


def _evaluation(asked: Iterator[tuple[Case, Catalog]], now: datetime, on_case: Callable[[], None]) -> Evaluation:
    answers = []
    for case, catalog in asked:
        answers.append(Answered(case, prediction_of(diagnose_text(case.text, catalog, now))))
        on_case()
    return Evaluation(tuple(answers), score(answers))


def _case(line: str, place: str) -> Case:
    try:
        entry = json.loads(line)
        return Case(
            id=str(entry["id"]),
            text=_text(entry["text"]),
            cause=_CAUSES[entry["cause"]],
            also_acceptable=frozenset(_CAUSES[name] for name in _listed(entry.get("also_acceptable"))),
            culprits=tuple(_culprit(each) for each in entry.get("culprit") or ()),
            source=str(entry.get("source") or ""),
        )
    except (ValueError, TypeError, AttributeError) as error:
        raise SourceError(f"{place}: not a case: {error}") from error
    except KeyError as error:
        known = f"; causes are {', '.join(_CAUSES)}" if error.args[0] not in {"id", "text", "cause", "kind"} else ""
        raise SourceError(f"{place}: not a case: {error} is missing or unknown{known}") from error


def _listed(value: object) -> list[Any]:
    if not isinstance(value, list | None):
        raise TypeError("also_acceptable must be a list of causes")
    return value or []


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("text must be a text")
    return value


def _culprit(entry: Mapping[str, Any]) -> Culprit:
    rank, gpu = entry.get("rank"), entry.get("gpu")
    return Culprit(
        kind=str(entry["kind"]),
        id=str(entry.get("id", "")),
        node=entry.get("node"),
        gpu=None if gpu is None else str(gpu),
        rank=None if rank is None else int(rank),
    )
