"""All records of one moment to the whole page."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from clusterwatch import __version__
from clusterwatch.api import words
from clusterwatch.api.gathering import Records
from clusterwatch.api.health import Health
from clusterwatch.api.presenters import (
    asked_row,
    closed_row,
    collector_badge,
    collector_row,
    incident_card,
    job_row,
    node_row,
)
from clusterwatch.api.views import Badge, Counted, PageView, Tone
from clusterwatch.model import CollectorStatus, JobState, Node, NodeState

_SHOWN = 50

_NODE_GRAVITY = {NodeState.DRAINED: 0, NodeState.SILENT: 1, NodeState.SUSPECT: 2}


def present(records: Records, health: Health, now: datetime) -> PageView:
    """Return the page for *records* as of *now*."""
    out = _out_of_service(records.nodes)
    troubled = _troubled(records.collectors, now)
    return PageView(
        verdict=_verdict(records, health),
        details=tuple(_details(records, health, out, now)),
        at=words.stamp(now),
        version=__version__,
        is_simulated=any(history.job.simulated for history in records.jobs),
        is_empty=_is_empty(records),
        asked=tuple(asked_row(decision, now) for decision in records.asked[:_SHOWN]),
        incidents=tuple(incident_card(view, records.job_names, now) for view in records.incidents),
        incidents_count=_counted(records.open_total, len(records.incidents)),
        jobs=tuple(job_row(history, records.explained, now) for history in records.jobs[:_SHOWN]),
        jobs_count=_counted(len(records.jobs), _SHOWN),
        closed=tuple(closed_row(incident, found, records.job_names, now) for incident, found in records.closed),
        nodes=tuple(node_row(node, now) for node in out[:_SHOWN]),
        nodes_count=_counted(len(out), _SHOWN),
        nodes_total=len(records.nodes),
        collectors=tuple(collector_row(status, now) for status in troubled[:_SHOWN]),
        collectors_count=_counted(len(troubled), _SHOWN),
        collectors_total=len(records.collectors),
    )


def _is_empty(records: Records) -> bool:
    return not (records.job_names or records.explained)


def _verdict(records: Records, health: Health) -> Badge:
    """Return the one line that is read first."""
    if not health.alive:
        return Badge("The service itself is stalled", Tone.BAD)
    states = [history.job.state for history in records.jobs]
    interrupted, recovering = states.count(JobState.INTERRUPTED), states.count(JobState.RECOVERING)
    if interrupted:
        also = f", {recovering} recovering" if recovering else ""
        return Badge(f"{words.amount(interrupted, 'job')} interrupted{also}", Tone.BAD)
    if recovering:
        return Badge(f"{words.amount(recovering, 'job')} recovering", Tone.BUSY)
    if records.open_total:
        return Badge(f"{words.amount(records.open_total, 'open incident')}, no job is down", Tone.DOUBTFUL)
    if _is_empty(records):
        return Badge("Waiting for a first job", Tone.QUIET)
    if not records.jobs:
        return Badge("No job is running and no incident is open", Tone.QUIET)
    running = len(records.jobs)
    return Badge(f"{words.amount(running, 'job')} running, no incident is open", Tone.GOOD)


def _details(records: Records, health: Health, out: list[Node], now: datetime) -> Iterable[Badge]:
    yield from (Badge(f"{name}: {problem}", Tone.BAD) for name, problem in health.details.items())
    if records.asked:
        yield Badge(f"a person is asked {words.amount(len(records.asked), 'question')}", Tone.BAD)
    yield Badge(words.amount(records.open_total, "open incident"), Tone.BAD if records.open_total else Tone.GOOD)
    yield Badge(words.amount(len(records.jobs), "job") + " running or waiting", Tone.QUIET)
    yield Badge(words.amount(len(out), "node") + " out of service or suspect", Tone.DOUBTFUL if out else Tone.GOOD)
    yield _collecting(records.collectors, now)


def _collecting(statuses: tuple[CollectorStatus, ...], now: datetime) -> Badge:
    tones = [collector_badge(status, now).tone for status in statuses]
    failing, silent = tones.count(Tone.BAD), tones.count(Tone.DOUBTFUL)
    if failing:
        return Badge(f"{words.amount(failing, 'collector')} failing", Tone.BAD)
    if silent:
        return Badge(f"{words.amount(silent, 'collector')} not looking", Tone.DOUBTFUL)
    return Badge("collectors working", Tone.GOOD) if statuses else Badge("no collector has looked yet", Tone.QUIET)


def _out_of_service(nodes: Iterable[Node]) -> list[Node]:
    out = [node for node in nodes if node.state is not NodeState.IN_SERVICE]
    return sorted(out, key=lambda node: (_NODE_GRAVITY[node.state], node.name))


def _troubled(statuses: Iterable[CollectorStatus], now: datetime) -> list[CollectorStatus]:
    order = {Tone.BAD: 0, Tone.DOUBTFUL: 1, Tone.QUIET: 2}
    judged = [(collector_badge(status, now).tone, status) for status in statuses]
    found = [(order[tone], status) for tone, status in judged if tone in order]
    return [status for _, status in sorted(found, key=lambda pair: (pair[0], pair[1].node, pair[1].name))]


def _counted(total: int, shown: int) -> Counted:
    return Counted(total, f"{total - shown:,} more are not shown" if total > shown else "")
