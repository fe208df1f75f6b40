"""What others wrote down of their failures, to a schedule that can be replayed.

Their records say when something failed and, at best, why and where. What they do not say is drawn by seed: the kind of
fault among those of its cause, the part of the node, the node where none is named, the length of the repair.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import chain, zip_longest
from math import ceil, inf
from pathlib import Path
from random import Random

from clusterwatch.errors import ConfigError, Mistake, SourceError
from clusterwatch.model import Cause
from simulators.cluster import ClusterSpec
from simulators.faults import Placer, Repairs
from simulators.faults.draws import by_share, one_of, seed_from
from simulators.schedule import seeded
from simulators.trace.checks import LONGEST_DAYS
from simulators.trace.counting import Kinds, shares_of
from simulators.trace.records import Assumption, Fault, JobPlan, Schedule
from simulators.trace.striking import away_seconds

MOST_ROWS = 5_000_000
"""Rows of the longest table that is read."""

# Around these, a time cannot be moved to another zone.
_FIRST_YEAR, _LAST_YEAR = 1970, 9000
_LONGEST_PIPELINE = 16
_SEPARATORS = (",", ";", "\t")
_COMPACT = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
"""Dates without separators by their digits: read as numbers, they were all within days of each other in 1970."""

_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Failure:
    """What a row of somebody's table says. *node* is their name of it, "" where they name none."""

    at: datetime
    causes: Mapping[Cause, float]
    node: str = ""
    repair_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Into:
    """What failures are made into: the name of the trace, how many nodes its job has, and the seed of what is drawn."""

    name: str
    nodes_total: int
    seed: int = 1
    spares_total: int = 32
    step_seconds: float = 6.2


def schedule_of(
    failures: Sequence[Failure], into: Into, kinds: Kinds, assumptions: Mapping[str, Assumption]
) -> Schedule:
    """Return *failures* as a schedule of one job, in the order of time, beginning a minute before the first.

    Raises:
        ConfigError: There are none, they name more nodes than the job has, or a cause has no kind of fault.
    """
    slots = _slots(failures, into)
    cluster = ClusterSpec(into.name, into.nodes_total, spares_total=into.spares_total)
    job = _job(into, cluster.gpus_per_node)
    placer, rng = Placer(cluster, lambda node: job.id), seeded(into.name, into.seed, "converted")
    start = min(failure.at for failure in failures).astimezone(UTC) - timedelta(minutes=1)
    faults = [
        _fault(failure, start, slots.get(failure.node) or one_of(cluster.training_nodes, rng), placer, kinds, rng)
        for failure in sorted(failures, key=lambda failure: failure.at)
    ]
    numbered = tuple(replace(fault, id=f"f{number:04d}") for number, fault in enumerate(faults, 1))
    days = max(1.0, float(ceil((faults[-1].at + 1.0) / _DAY)))
    if days > LONGEST_DAYS:
        raise ConfigError(into.name, [Mistake("times", f"span {days:,.0f} days, at most {LONGEST_DAYS:,.0f} are read")])
    return Schedule(into.name, into.seed, start, days, cluster, (job,), assumptions, numbered)


def rows_of(path: Path, needed: Iterable[str]) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Yield (line, row) for the rows of the CSV file *path*, by the names in its first line.

    Raises:
        ConfigError: A column of *needed* is not there, or the file is no CSV.
        SourceError: It cannot be read.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            reader = csv.reader(chain((first,), file), delimiter=max(_SEPARATORS, key=first.count))
            columns = [name.strip() for name in next(reader, [])]
            missing = [Mistake(name, _why_not(name, columns)) for name in needed if columns.count(name) != 1]
            if missing:
                raise ConfigError(str(path), missing)
            for cells in filter(None, reader):
                yield reader.line_num, _row(cells, columns, f"line {reader.line_num}", path)
                if reader.line_num > MOST_ROWS:
                    raise ConfigError(str(path), [Mistake("file", f"has more than {MOST_ROWS:,} rows: split it")])
    except OSError as cause:
        raise SourceError(f"{path} cannot be read: {cause.strerror or cause}") from cause
    except (csv.Error, UnicodeDecodeError) as cause:
        raise ConfigError(str(path), [Mistake("file", f"is no CSV in UTF-8 ({cause})")]) from cause


def _why_not(name: str, columns: Sequence[str]) -> str:
    if name in columns:
        return "two columns have this name: rename one"
    return f"no such column: there are {', '.join(columns)}" if columns else "no such column: the file is empty"


def _row(cells: Sequence[str], columns: Sequence[str], place: str, path: Path) -> Mapping[str, str]:
    beyond = [cell for cell in cells[len(columns) :] if cell.strip()]
    if beyond:
        words = f"has more cells than columns, the first of them {beyond[0][:40]!r}: quote what holds separators"
        raise ConfigError(str(path), [Mistake(place, words)])
    return dict(zip_longest(columns, cells[: len(columns)], fillvalue=""))


def whole_in(text: str, most: int) -> int:
    """Return the whole number that *text* says, 0 where it is empty; "8.0" is one too.

    Raises:
        ValueError: It says none, or one that is negative or above *most*.
    """
    try:
        number = float(text or 0)
    except ValueError:
        number = inf
    if not 0 <= number <= most:
        raise ValueError(f"{text[:40]!r} is no number of 0 to {most:,}")
    return int(number)


def time_in(text: str, form: str = "") -> datetime:
    """Return the time that *text* says: ISO 8601 (UTC where no zone is named), or seconds since 1970.

    With a *form*, such as "%d/%m/%Y %H:%M", only what is written so.

    Raises:
        ValueError: It says none.
    """
    text = text.strip()
    wanted = form or "2026-03-04T12:00:00Z, or seconds since 1970"
    try:
        found = _formed(text, form) if form else _compact(text) or _seconds(text) or _iso(text)
    except (OverflowError, OSError, ValueError) as cause:
        raise ValueError(f"{text[:40]!r} is no time: write {wanted}") from cause
    if not _FIRST_YEAR <= found.year <= _LAST_YEAR:
        raise ValueError(f"{text[:40]!r} is no time between {_FIRST_YEAR} and {_LAST_YEAR}")
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _formed(text: str, form: str) -> datetime:
    if "%z" in form:
        return datetime.strptime(text, form).astimezone(UTC)
    return datetime.strptime(f"{text} +0000", f"{form} %z")


def _compact(text: str) -> datetime | None:
    form = _COMPACT.get(len(text)) if text.isascii() and text.isdigit() else None
    try:
        return _formed(text, form) if form else None
    except ValueError:
        return None


def _iso(text: str) -> datetime:
    for word in (" UTC", " GMT"):
        text = text.removesuffix(word)
    return datetime.fromisoformat(text)


def _seconds(text: str) -> datetime | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return datetime.fromtimestamp(seconds, UTC)


def collected(
    rows: Iterable[tuple[int, Mapping[str, str]]], make: Callable[[Mapping[str, str]], Failure | None], origin: str
) -> list[Failure]:
    """Return what *make* gives for *rows*, without the rows that it passes over.

    Raises:
        ConfigError: It raised ValueError for some: holds all of them, with their lines.
    """
    found: list[Failure] = []
    mistakes: list[Mistake] = []
    for line, row in rows:
        try:
            failure = make(row)
        except ValueError as cause:
            mistakes.append(Mistake(f"line {line}", str(cause)))
        else:
            found += [failure] if failure is not None else []
    if mistakes:
        raise ConfigError(origin, mistakes[:100])
    return found


def _slots(failures: Sequence[Failure], into: Into) -> dict[str, str]:
    """Return our node for each of theirs, in the order in which they fail first."""
    if not failures:
        raise ConfigError(
            into.name, [Mistake("rows", "none of them is a failure that counts: look at what the flags name")]
        )
    if into.nodes_total < 1:
        raise ConfigError(into.name, [Mistake("nodes", "the job must have at least one node: say how many, --nodes N")])
    named = dict.fromkeys(failure.node for failure in sorted(failures, key=lambda each: each.at) if failure.node)
    if len(named) > into.nodes_total:
        words = f"{len(named)} of them fail, and the job has {into.nodes_total}: give it as many as there are"
        raise ConfigError(into.name, [Mistake("nodes", words)])
    ours = ClusterSpec(into.name, into.nodes_total).training_nodes
    return dict(zip(named, ours, strict=False))


def _job(into: Into, gpus_per_node: int) -> JobPlan:
    pipeline = max(size for size in range(1, _LONGEST_PIPELINE + 1) if into.nodes_total % size == 0)
    return JobPlan(
        id=into.name,
        name=into.name,
        user="converted",
        nodes_total=into.nodes_total,
        framework="megatron",
        scheduler_id=7100,
        tp=gpus_per_node,
        pp=pipeline,
        dp=into.nodes_total // pipeline,
        step_seconds=((0.0, into.step_seconds),),
    )


def _fault(failure: Failure, start: datetime, node: str, placer: Placer, kinds: Kinds, rng: Random) -> Fault:
    cause = by_share(failure.causes, rng)
    kind = kinds[by_share(shares_of(kinds, cause), rng)]
    struck = placer.struck(kind, node, rng.random())
    drawn = away_seconds(kind, Repairs(), Repairs.of_reboots(), rng)
    repair_seconds = drawn if failure.repair_seconds is None else round(failure.repair_seconds, 3)
    at = round((failure.at - start).total_seconds(), 3)
    return Fault(at, "", cause, kind.name, struck.component, struck.nodes, repair_seconds, seed_from(rng))
