"""The cluster in one screen: who responds, who looks, what trains, what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from clusterwatch.cli.output import Column, encode, table_of
from clusterwatch.cli.page import Page, Phrase, Section, Table, bad, doubtful, good, quiet
from clusterwatch.cli.views.decisions import decision_json
from clusterwatch.cli.views.incidents import Explained, incident_columns, incident_json
from clusterwatch.cli.views.jobs import job_columns, job_json
from clusterwatch.cli.views.nodes import node_columns
from clusterwatch.cli.wording import age, amount, or_dash, stamp
from clusterwatch.model import CollectorStatus, Decision, Job, Node, NodeState

if TYPE_CHECKING:
    from clusterwatch.store import Lease

SILENT_AFTER = timedelta(minutes=2)
"""A collector that last looked longer ago than this does not look any more."""


@dataclass(frozen=True, slots=True)
class Status:
    """What was read in one look.

    *responder* is None while no process responds; *nodes* are all of them; *asked* are decisions of the last day that
    call a person.
    """

    responder: Lease | None
    collectors: Sequence[CollectorStatus]
    jobs: Sequence[Job]
    incidents: Sequence[Explained]
    nodes: Sequence[Node]
    now: datetime
    asked: Sequence[Decision] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever recorded."""
        return not (self.responder or self.collectors or self.jobs or self.incidents or self.nodes)

    @property
    def looking(self) -> tuple[CollectorStatus, ...]:
        """Collectors that have looked; what only keeps a position (such as an actuator's outcomes) is none."""
        return tuple(each for each in self.collectors if each.last_run_at or each.error)

    @property
    def out_of_service(self) -> tuple[Node, ...]:
        """Nodes that are not in service."""
        return tuple(node for node in self.nodes if node.state is not NodeState.IN_SERVICE)


def status_json(status: Status) -> dict[str, Any]:
    """Return the answer for scripts."""
    return {
        "at": encode(status.now),
        "responder": encode(status.responder),
        "collectors": [{**encode(each), "state": collector_state(each, status.now)} for each in status.looking],
        "jobs": [job_json(job) for job in status.jobs],
        "asked": [decision_json(decision) for decision in status.asked],
        "incidents": [incident_json(explained) for explained in status.incidents],
        "nodes": {"total": len(status.nodes), "out_of_service": encode(status.out_of_service)},
    }


def status_page(status: Status) -> Page:
    """Return the answer for a person: what is wrong in full, what works as a number."""
    now = status.now
    asked = (_listed("A PERSON IS ASKED", status.asked, _asked_columns(now), quiet("nothing")),)
    return (
        Section(f"STATUS at {stamp(now)}", (_responder(status.responder), *_collectors(status.looking, now))),
        *(asked if status.asked else ()),
        _listed("OPEN INCIDENTS", status.incidents, incident_columns(now), good("none")),
        _listed("ACTIVE JOBS", status.jobs, job_columns(now), quiet("none")),
        _listed("NODES OUT OF SERVICE", status.out_of_service, node_columns(now), good(f"none of {len(status.nodes)}")),
    )


def collector_state(collector: CollectorStatus, now: datetime) -> str:
    """Return "failing", "silent" (does not look any more), "condition" (nothing to look at here) or "working"."""
    if collector.error:
        return "failing"
    if collector.last_run_at is None or now - collector.last_run_at > SILENT_AFTER:
        return "silent"
    return "condition" if collector.condition else "working"


def _responder(responder: Lease | None) -> Phrase:
    if responder is None:
        return bad('no responder: nothing is diagnosed or decided now; "clusterwatch daemon" starts one')
    return good(f"responder: {responder.holder}, until {stamp(responder.expires_at)}")


def _collectors(collectors: Sequence[CollectorStatus], now: datetime) -> tuple[str | Phrase | Table, ...]:
    if not collectors:
        return (doubtful("no collector has looked yet"),)
    others = [each for each in collectors if collector_state(each, now) != "working"]
    counted = f"{amount(len(collectors) - len(others), 'collector')} working"
    return (counted, table_of(others, _collector_columns(now))) if others else (counted,)


def _collector_columns(now: datetime) -> tuple[Column[CollectorStatus], ...]:
    tones = {"failing": bad, "silent": bad, "condition": quiet}

    def state(collector: CollectorStatus) -> Phrase:
        name = collector_state(collector, now)
        return tones[name](name)

    return (
        Column("COLLECTOR", lambda each: each.name),
        Column("NODE", lambda each: each.node),
        Column("STATE", state),
        Column("LAST SUCCESS", lambda each: age(each.last_success_at, now)),
        Column("FAILURES", lambda each: str(each.failures_total)),
        Column("SAYS", lambda each: or_dash(each.error or each.condition)),
    )


def _asked_columns(now: datetime) -> tuple[Column[Decision], ...]:
    return (
        Column("SINCE", lambda each: age(each.made_at, now)),
        Column("INCIDENT", lambda each: each.incident_id),
        Column("QUESTION", lambda each: bad(each.reason)),
    )


def _listed(title: str, records: Sequence[Any], columns: Sequence[Column[Any]], none: Phrase) -> Section:
    return Section(title, (table_of(records, columns) if records else none,))
