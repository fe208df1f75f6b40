"""A table of one's own incidents (CSV) to a schedule; flags say which column holds what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from clusterwatch.model import Cause
from simulators.trace.checks import NO_FAULTS
from simulators.trace.converting import Failure, Into, collected, rows_of, schedule_of, time_in
from simulators.trace.counting import Kinds
from simulators.trace.records import Assumption, Schedule

_LONGEST_REPAIR_HOURS = 8_784.0


@dataclass(frozen=True, slots=True)
class Columns:
    """Names of the columns of a table.

    Attributes:
        at: When it failed: ISO 8601, or seconds since 1970.
        cause: Why: a cause of ClusterWatch, or a word that *words* maps to one.
        node: On which node; "" where the table has no such column.
        repair_hours: How long the repair took; "" where the table has no such column.
        words: Causes by the table's own words, in lower case; a word that is mapped to None is passed over.
        time_form: How *at* is written, such as "%d/%m/%Y %H:%M"; "" for the forms above.
    """

    at: str
    cause: str
    node: str = ""
    repair_hours: str = ""
    words: Mapping[str, Cause | None] = field(default_factory=dict)
    time_form: str = ""


def from_incidents(path: Path, columns: Columns, into: Into, kinds: Kinds) -> Schedule:
    """Return the rows of *path* as the faults of one job.

    Raises:
        ConfigError: Something in the table is wrong: holds all mistakes, with their lines.
        SourceError: It cannot be read.
    """

    def failure_in(row: Mapping[str, str]) -> Failure | None:
        cause = _cause(row[columns.cause], columns.words)
        if cause is None:
            return None
        node = row[columns.node].strip() if columns.node else ""
        repair = row[columns.repair_hours].strip() if columns.repair_hours else ""
        return Failure(
            time_in(row[columns.at], columns.time_form), {cause: 1.0}, node, _repair_seconds(repair) if repair else None
        )

    named = (columns.at, columns.cause, columns.node, columns.repair_hours)
    failures = collected(rows_of(path, filter(None, named)), failure_in, str(path))
    words = f"the rows of {path.name}"
    return schedule_of(failures, into, kinds, {"incidents": Assumption(len(failures), "rows", words, published=False)})


def _cause(word: str, words: Mapping[str, Cause | None]) -> Cause | None:
    name = word.strip().lower()
    if name in words:
        return words[name]
    found = next((cause for cause in Cause if cause.value == name), None)
    if found is None:
        raise ValueError(
            f'no cause is {word.strip()[:60]!r}: say which of ours it is, with --map "{word.strip()[:60]}=CAUSE"'
        )
    if found in NO_FAULTS:
        raise ValueError(f"{found} is no fault: pass such rows over, with --map {found}=")
    return found


def _repair_seconds(text: str) -> float:
    try:
        hours = float(text)
    except ValueError:
        raise ValueError(f"{text[:20]!r} is no number of hours: write 1.5") from None
    if not 0 <= hours <= _LONGEST_REPAIR_HOURS:
        raise ValueError(f"a repair of {text[:20]} hours: must be 0 to {_LONGEST_REPAIR_HOURS:,.0f}")
    return hours * 3_600.0
