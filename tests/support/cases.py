"""Real failures whose cause is known, from public reports; see tests/data/cases/README.md."""

from __future__ import annotations

from pathlib import Path

from clusterwatch.app.evaluating import cases_in
from clusterwatch.classify.scoring import Case

FOLDER = Path(__file__).parents[1] / "data" / "cases"


def all_cases() -> list[Case]:
    """Return every case, in the order of files and lines."""
    return [case for file in sorted(FOLDER.glob("*.jsonl")) for case in cases_in(file)]
