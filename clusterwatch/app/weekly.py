"""The records of some weeks to a report of reliability: what broke, how often, what it cost, who is to be asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from clusterwatch.app.reckoning import JobAccount, Reliability, job_account, present_of, reliability
from clusterwatch.errors import ClusterWatchError
from clusterwatch.goodput import Reason, lost_by
from clusterwatch.goodput.exposure import DAY_SECONDS
from clusterwatch.goodput.offenders import Standing, standings
from clusterwatch.goodput.reliability import Band, Failure, failure_rate
from clusterwatch.model import (
    HARDWARE_CAUSES,
    TABLE5_ROW,
    UNDETERMINED_CAUSES,
    Cause,
    Decision,
    Event,
    Interruption,
    Mode,
    Node,
    NodeState,
    StepKind,
    StepState,
    Table5Row,
)
from clusterwatch.store import Reader

PUBLISHED_NODE_DAYS = 2048 * 54
"""Of the published run: 16,384 GPUs, eight a node, for 54 days (arXiv 2407.21783, section 3.3.4)."""

UNEXPLAINED_SHARE = 0.01
"""A job of which more goes to no known reason is asked about."""

_SERIAL_FIELDS = ("serial", "uuid")
_PUZZLING = frozenset({StepState.UNKNOWN, StepState.FAILED, StepState.REFUSED})
_SEEN_EVENTS = 100


@dataclass(frozen=True, slots=True)
class Row:
    """What fell under one name: unexpected interruptions, per 1,000 node-days, and what they cost in GPU-hours."""

    name: str
    category: str
    count: int
    share: float
    rate: Band | None
    lost_gpu_hours: float
    published: int | None = None
    published_rate: Band | None = None


@dataclass(frozen=True, slots=True)
class Offender:
    """A node that chance does not explain, with what a vendor asks for.

    Attributes:
        parts: Suspected parts, each once.
        serials: Serial numbers and UUIDs of those, as NVML or the management controller told them.
    """

    standing: Standing
    causes: tuple[str, ...]
    parts: tuple[str, ...]
    serials: tuple[str, ...]
    incidents: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Automation:
    """What was decided and done. *steps* counts by kind and then by what became of them."""

    decisions: int
    by_mode: Mapping[str, int]
    steps: Mapping[str, Mapping[str, int]]
    asked: int


@dataclass(frozen=True, slots=True)
class Report:
    """Reliability of a cluster from *from_at* to *to_at*.

    Attributes:
        ettr: Over all jobs, by the GPUs they held; None without time. ettr_unplanned: outside planned stops.
        gpu_hours: Elapsed, by reason; the productive ones among them.
        rows: The rows of Table 5, in its order, then causes that it has none for, then what nobody diagnosed.
        components: Unexpected interruptions by the kind of the first suspect, most first.
        watched: Nodes that had a hardware fault and are no offenders, least explained by chance first.
        questions: What is left for a person to find out, in words.
    """

    from_at: datetime
    to_at: datetime
    jobs: tuple[JobAccount, ...]
    ettr: float | None
    ettr_unplanned: float | None
    gpu_hours: Mapping[Reason, float]
    reliability: Reliability
    rows: tuple[Row, ...]
    components: tuple[Row, ...]
    offenders: tuple[Offender, ...]
    watched: tuple[Standing, ...]
    automation: Automation
    questions: tuple[str, ...]


def report_between(read: Reader, from_at: datetime, to_at: datetime) -> Report:
    """Return the report on all jobs that lived from *from_at* to *to_at*.

    Raises:
        ClusterWatchError: If none did.
    """
    views = [view for job in read.jobs_between(from_at, to_at) if (view := read.job(job.id)) is not None]
    if not views:
        raise ClusterWatchError("no job lived in that time: choose another with --weeks and --until")
    accounts = [job_account(read, view, max(from_at, view.job.started_at), to_at) for view in views]
    failures = sorted((each for one in accounts for each in one.failures_within), key=lambda each: each.began_at)
    unexpected = [each for each in failures if not each.planned]
    node_days = sum(one.node_days for one in accounts)
    elapsed = sum(one.ledger.elapsed_seconds for one in accounts)
    gpu_hours = _gpu_hours(accounts)
    productive = gpu_hours.get(Reason.PRODUCTIVE, 0.0)
    total = sum(gpu_hours.values())
    unplanned = total - gpu_hours.get(Reason.PLANNED, 0.0)
    found = _standings(accounts, unexpected)
    decisions = read.decisions_between(from_at, to_at)
    return Report(
        from_at=from_at,
        to_at=to_at,
        jobs=tuple(accounts),
        ettr=productive / total if total else None,
        ettr_unplanned=productive / unplanned if unplanned else None,
        gpu_hours=gpu_hours,
        reliability=reliability(failures, elapsed, node_days),
        rows=tuple(_rows(unexpected, node_days, _lost_by_name(accounts))),
        components=tuple(_components(unexpected, node_days)),
        offenders=tuple(_offender(read, each, unexpected) for each in found if each.is_offender),
        watched=tuple(each for each in found if not each.is_offender),
        automation=_automation(decisions),
        questions=tuple(_questions(accounts, failures, decisions, read.nodes())),
    )


def latest_present(read: Reader, now: datetime) -> datetime:
    """Return *now*, or the present of the newest job where all jobs are simulated: they have a clock of their own."""
    jobs = read.jobs(limit=1000)
    if jobs and all(job.simulated for job in jobs):
        return max(present_of(job, now) for job in jobs)
    return now


def _gpu_hours(accounts: Iterable[JobAccount]) -> dict[Reason, float]:
    found: dict[Reason, float] = {}
    for one in accounts:
        for reason, seconds in one.ledger.seconds_by_reason().items():
            found[reason] = found.get(reason, 0.0) + one.ledger.gpu_hours(seconds)
    return found


def _lost_by_name(accounts: Iterable[JobAccount]) -> dict[str, float]:
    """Return lost GPU-hours of unexpected interruptions by the name of their row."""
    found: dict[str, float] = {}
    for one in accounts:
        lost = lost_by(one.ledger, one.costs, partial(_name_of, one))
        for name, reasons in lost.items():
            found[name] = found.get(name, 0.0) + one.ledger.gpu_hours(sum(reasons.values()))
    return found


def _name_of(one: JobAccount, stop: Interruption) -> str:
    diagnosis = one.diagnosis_of(stop)
    return "" if stop.planned else _name_for(diagnosis.cause if diagnosis else Cause.UNKNOWN)


def _row_name(failure: Failure) -> str:
    return _name_for(failure.cause)


def _name_for(cause: Cause) -> str:
    row = TABLE5_ROW[cause]
    return row.name if row else cause.value


def _rows(failures: Sequence[Failure], node_days: float, lost: Mapping[str, float]) -> Iterator[Row]:
    counts = Counter(map(_row_name, failures))
    published = {row.name: row for row in TABLE5_ROW.values() if row}
    others = {name: None for name in counts if name not in published}
    for name, row in sorted(published.items(), key=lambda pair: -pair[1].count):
        yield _row(name, row, counts[name], len(failures), node_days, lost.get(name, 0.0))
    for name in sorted(others):
        yield _row(name, None, counts[name], len(failures), node_days, lost.get(name, 0.0))


def _row(name: str, row: Table5Row | None, count: int, total: int, node_days: float, lost_gpu_hours: float) -> Row:
    return Row(
        name=name,
        category=row.category if row else "",
        count=count,
        share=count / total if total else 0.0,
        rate=failure_rate(count, node_days),
        lost_gpu_hours=lost_gpu_hours,
        published=row.count if row else None,
        published_rate=failure_rate(row.count, PUBLISHED_NODE_DAYS) if row else None,
    )


def _components(failures: Sequence[Failure], node_days: float) -> list[Row]:
    counts = Counter(each.suspect.kind.value if each.suspect else "none" for each in failures)
    return [
        Row(name, "", count, count / len(failures), failure_rate(count, node_days), 0.0)
        for name, count in counts.most_common()
    ]


def _is_of_hardware(failure: Failure) -> bool:
    return failure.cause in HARDWARE_CAUSES and failure.suspect is not None and bool(failure.suspect.node)


def _node_of(failure: Failure) -> str:
    assert failure.suspect is not None
    return failure.suspect.node


def _standings(accounts: Iterable[JobAccount], failures: Iterable[Failure]) -> list[Standing]:
    days: dict[str, float] = {}
    for one in accounts:
        for node, seconds in one.held_seconds.items():
            days[node] = days.get(node, 0.0) + seconds / DAY_SECONDS
    return standings(Counter(_node_of(each) for each in failures if _is_of_hardware(each)), days)


def _offender(read: Reader, standing: Standing, failures: Iterable[Failure]) -> Offender:
    own = [each for each in failures if _is_of_hardware(each) and _node_of(each) == standing.node]
    incidents = tuple(dict.fromkeys(each.incident_id for each in own if each.incident_id))
    seen = [event for name in incidents for event in read.incident_events(name, _SEEN_EVENTS)]
    return Offender(
        standing=standing,
        causes=tuple(dict.fromkeys(each.cause.value for each in own)),
        parts=tuple(dict.fromkeys(str(each.suspect) for each in own)),
        serials=tuple(dict.fromkeys(_serials(seen, {each.suspect for each in own}))),
        incidents=incidents,
    )


def _serials(events: Iterable[Event], suspects: set[object]) -> Iterator[str]:
    """Yield what tells the suspected parts from others of their kind, as their own sources said it."""
    for event in events:
        if event.component in suspects:
            yield from (f"{name} {event.fields[name]}" for name in _SERIAL_FIELDS if event.fields.get(name))


def _automation(decisions: Sequence[Decision]) -> Automation:
    acting = [decision for decision in decisions if decision.steps]
    steps: dict[str, Counter[str]] = {}
    for decision in acting:
        for step in decision.steps:
            steps.setdefault(step.kind.value, Counter())[step.state.value] += 1
    modes = Counter(decision.mode.value for decision in acting)
    asked = sum(steps.get(StepKind.ASK.value, Counter()).values())
    return Automation(len(acting), {mode.value: modes[mode.value] for mode in Mode if modes[mode.value]}, steps, asked)


def _questions(
    accounts: Iterable[JobAccount], failures: Iterable[Failure], decisions: Iterable[Decision], nodes: Iterable[Node]
) -> Iterator[str]:
    for one in accounts:
        other = one.ledger.seconds_for(Reason.OTHER)
        if other > UNEXPLAINED_SHARE * one.ledger.elapsed_seconds:
            yield f"job {one.job.id}: {other:.0f} s went to nothing that is on record: did it end unseen?"
    for failure in failures:
        yield from _about_failure(failure)
    yield from _about_steps(decisions)
    for node in nodes:
        if node.state in (NodeState.DRAINED, NodeState.SUSPECT):
            yield f"node {node.name} is {node.state.value}{f': {node.reason}' if node.reason else ''}"


def _about_failure(failure: Failure) -> Iterator[str]:
    where = f"{failure.incident_id or 'an interruption without an incident'} of job {failure.job_id}"
    if failure.cause in UNDETERMINED_CAUSES:
        yield f"{where}: what was it? The evidence does not tell"
    if failure.ended_at is None:
        yield f"{where}: not over, no new step since {failure.began_at:%Y-%m-%d %H:%M} UTC"


def _about_steps(decisions: Iterable[Decision]) -> Iterator[str]:
    """Yield what went wrong with each kind of step on each target once: a check may have failed every hour."""
    wrong: dict[tuple[str, str, str], list[tuple[str, str]]] = {}
    for decision in decisions:
        for step in decision.steps:
            if step.state in _PUZZLING:
                told = wrong.setdefault((step.kind.value, step.target, step.state.value), [])
                told.append((decision.incident_id, step.detail))
    for (kind, target, state), told in wrong.items():
        incident, detail = told[-1]
        times = f", {len(told)} times by now" if len(told) > 1 else ""
        yield f"{incident}: {kind} of {target} is {state}{times}{f': {detail}' if detail else ''}"
