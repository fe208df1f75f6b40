"""What a training loop reports of itself to sightings.

1. A step counts as one that was read from a log does, but goes before those, see `progress`.
2. Of checkpoints and sections only what the first rank says counts: all ranks say the same.
3. A time in a report is believed unless it lies in the future, or longer ago than anything that is still read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from clusterwatch.detect.progress import REPORT_RULE, progress_fields
from clusterwatch.detect.sightings import Sighting, default_component
from clusterwatch.model import Reading, Scalar, kinds
from clusterwatch.reading.reports import Report, Topic

OLDEST = timedelta(days=1)

_LOSS_NAN = "training.loss_nan"
_WRITE_FAILED = "checkpoint.write_failed"


def reported(report: Report, reading: Reading, rank: int | None) -> list[Sighting]:
    """Return what *report*, which stands in *reading*, says; *rank* is whose line it is, as far as the line says."""
    named = report.whole("rank")
    rank = named if named is not None else rank
    timed = replace(reading, happened_at=_happened_at(report.at, reading), rank=rank)
    return _SIGHTINGS_OF[report.topic](report, timed, rank)


def _step(report: Report, reading: Reading, rank: int | None) -> list[Sighting]:
    progress = progress_fields(report.values)
    found = [_sighting(kinds.PROGRESS, reading, progress)] if progress else []
    loss = report.values.get("loss")
    if not rank and isinstance(loss, float) and not math.isfinite(loss):
        found.append(_sighting(_LOSS_NAN, reading, {"step": report.whole("step"), "loss": str(loss)}))
    return found


def _checkpoint(report: Report, reading: Reading, rank: int | None) -> list[Sighting]:
    kind = _KIND_OF_CHECKPOINT.get(report.text("checkpoint"))
    if rank or kind is None:
        return []
    facts: dict[str, Scalar] = {
        "path": report.text("path") or None,
        "step": report.whole("step"),
        "load_seconds" if kind == kinds.CHECKPOINT_LOADED else "save_seconds": report.number("seconds"),
        "stall_seconds": report.number("stall"),
        "size_bytes": report.whole("bytes"),
        "complete": (report.text("checkpoint") == "end") if kind == kinds.CHECKPOINT_REPORTED else None,
    }
    return [_sighting(kind, reading, facts)]


def _section(report: Report, reading: Reading, rank: int | None) -> list[Sighting]:
    kind = _KIND_OF_SECTION.get(report.text("state"))
    if rank or kind is None:
        return []
    return [_sighting(kind, reading, {"section": report.text("section"), "seconds": report.number("seconds")})]


def _sighting(kind: str, reading: Reading, facts: Mapping[str, Scalar]) -> Sighting:
    known = {name: value for name, value in facts.items() if value is not None}
    return Sighting(reading, kind, default_component(reading, None), known, REPORT_RULE)


def _happened_at(at: datetime | None, reading: Reading) -> datetime | None:
    if at is None or at < reading.observed_at - OLDEST:
        return reading.happened_at
    return min(at, reading.observed_at)


_KIND_OF_CHECKPOINT = {
    "begin": kinds.CHECKPOINT_BEGUN,
    "background": kinds.CHECKPOINT_REPORTED,
    "end": kinds.CHECKPOINT_REPORTED,
    "failed": _WRITE_FAILED,
    "loaded": kinds.CHECKPOINT_LOADED,
}
_KIND_OF_SECTION = {"begin": kinds.SECTION_BEGUN, "end": kinds.SECTION_ENDED}
_SIGHTINGS_OF: Mapping[Topic, Callable[[Report, Reading, int | None], list[Sighting]]] = {
    Topic.STEP: _step,
    Topic.CHECKPOINT: _checkpoint,
    Topic.SECTION: _section,
}
