"""A schedule to its figures: what fails how often, beside what is published, and who fails again and again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import exp, log

from clusterwatch.model import TABLE5_ROW, Table5Row
from simulators.trace.records import Fault, Schedule

OFFENDERS_SHOWN = 10
"""So many nodes with the most faults are told."""

_LLAMA3_NODE_DAYS = 54.0 * 2_048
_BAND = 0.95
_ELSE = "not in Table 5"


@dataclass(frozen=True, slots=True)
class RowStats:
    """One row of Table 5 in a trace.

    Attributes:
        expected: Faults that the rate of Llama 3 gives on as many node-days; None for what is no row there.
        least: Lower end of the 95 % Poisson band around that.
        most: Upper end of the band.
        mean_hours_between: None without a fault.
    """

    row: str
    category: str
    count: int
    expected: float | None
    least: int | None
    most: int | None
    mean_hours_between: float | None
    per_1000_node_days: float
    causes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Stats:
    """The figures of a trace; nodes and GPUs are those that train.

    Attributes:
        mean_hours_between_faults: None without a fault.
        repeat_offenders: The nodes with the most faults of their own parts, those with two and more.
        repeated_share: Share of such faults (0-1) that hit a node which had one before.
    """

    name: str
    seed: int
    days: float
    nodes: int
    gpus: int
    faults: int
    planned: int
    announced: int
    noise_records: int
    noise_seen: int
    mean_hours_between_faults: float | None
    per_1000_node_days: float
    rows: tuple[RowStats, ...]
    kinds: Mapping[str, int]
    repeat_offenders: Mapping[str, int]
    repeated_share: float


def stats_of(schedule: Schedule) -> Stats:
    """Return the figures of *schedule*."""
    nodes, node_days = schedule.cluster.training_nodes_total, schedule.days * schedule.cluster.training_nodes_total
    own = Counter(fault.component.node for fault in schedule.faults if fault.component.node)
    return Stats(
        name=schedule.name,
        seed=schedule.seed,
        days=schedule.days,
        nodes=nodes,
        gpus=schedule.cluster.gpus_total,
        faults=len(schedule.faults),
        planned=len(schedule.planned),
        announced=sum(stop.announced for stop in schedule.planned),
        noise_records=len(schedule.noise),
        noise_seen=sum(noise.count for noise in schedule.noise),
        mean_hours_between_faults=_hours_between(len(schedule.faults), schedule.days),
        per_1000_node_days=_rate(len(schedule.faults), node_days),
        rows=tuple(_rows(schedule.faults, schedule.days, node_days)),
        kinds=dict(Counter(fault.kind for fault in schedule.faults).most_common()),
        repeat_offenders={node: count for node, count in own.most_common(OFFENDERS_SHOWN) if count > 1},
        repeated_share=round(1 - len(own) / own.total(), 4) if own else 0.0,
    )


def poisson_band(mean: float, share: float = _BAND) -> tuple[int, int]:
    """Return the least and the most of the central *share* of what happens *mean* times (above 0) on the average."""
    tail, below, least, count = (1.0 - share) / 2.0, 0.0, -1, 0
    # Of the logarithm: the probability itself is nothing where the mean is large.
    likelihood = -mean
    while True:
        below += exp(likelihood)
        if least < 0 and below > tail:
            least = count
        if below >= 1.0 - tail:
            return least, count
        count += 1
        likelihood += log(mean / count)


def _rows(faults: Iterable[Fault], days: float, node_days: float) -> Iterable[RowStats]:
    by_row: dict[Table5Row | None, Counter[str]] = {row: Counter() for row in TABLE5_ROW.values() if row is not None}
    for fault in faults:
        by_row.setdefault(TABLE5_ROW[fault.cause], Counter())[fault.cause.value] += 1
    return (_row(row, causes, days, node_days) for row, causes in by_row.items())


def _row(row: Table5Row | None, causes: Counter[str], days: float, node_days: float) -> RowStats:
    count = causes.total()
    expected = None if row is None else row.count * node_days / _LLAMA3_NODE_DAYS
    least, most = (None, None) if expected is None else poisson_band(expected)
    return RowStats(
        row=_ELSE if row is None else row.name,
        category="" if row is None else row.category,
        count=count,
        expected=None if expected is None else round(expected, 2),
        least=least,
        most=most,
        mean_hours_between=_hours_between(count, days),
        per_1000_node_days=_rate(count, node_days),
        causes=dict(causes.most_common()),
    )


def _hours_between(count: int, days: float) -> float | None:
    return round(days * 24.0 / count, 3) if count else None


def _rate(count: int, node_days: float) -> float:
    return round(1_000.0 * count / node_days, 4)
