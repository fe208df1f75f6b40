"""The simulated fleet, with an agent, a responder and an actor that live with it, second by second, and what must hold.

Wired as `clusterwatch demo` wires it, on a clock that is moved by hand.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from clusterwatch import config
from clusterwatch.app import wiring
from clusterwatch.clock import CatchUpClock
from clusterwatch.goodput import account
from clusterwatch.model import ENDED_STEP_STATES, Decision, Event, Mode, Role, Severity, Step, StepKind, StepState
from clusterwatch.seams import Site
from simulators.small_fleet import SmallFleet

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
ALL = 10_000_000


class LivingFleet:
    """A fleet that lives. *complaints* is what was logged as a warning or worse."""

    def __init__(self, folder: Path, seed: int, calm: float = 1.0) -> None:
        settings = config.load(None, {"database": f"sqlite:///{folder / 'fleet.db'}", "state_dir": folder, "node": "n"})
        self.clock = CatchUpClock(NOON)
        self.simulator = SmallFleet(seed, NOON, calm)
        self.knowledge = wiring.catalog_of(settings).knowledge
        self.store = wiring.store_of(settings, accept_simulated=True)
        self.service = wiring.service_of(
            settings,
            self.store,
            [self.simulator],
            [self.simulator],
            lambda name: Site("n"),
            self.clock,
            {self.simulator.name: Mode.AUTO},
        )
        self.complaints: list[dict[str, Any]] = []

    def live(self, seconds: int) -> None:
        """Let *seconds* pass."""
        for _ in range(seconds):
            self.clock.advance(1)
            self.service.agent.run(self.simulator.name)
            self.service.responder.turn()
            self.service.actor.turn()

    def come_to_rest(self) -> None:
        """Carry out what was decided, and take in what came of it, without time passing."""
        while self.service.responder.turn() or self.service.actor.turn():
            pass

    def events(self) -> list[Event]:
        """Return every event on record."""
        return [event for _, event in self.store.read.events(limit=ALL)]

    def incidents_of_events(self) -> dict[str, list[str]]:
        """Return, by event id, the incidents that the event is in."""
        found: dict[str, list[str]] = {}
        for incident, _ in self.store.read.incidents(limit=ALL):
            for event in self.store.read.incident_events(incident.id, limit=ALL):
                found.setdefault(event.id, []).append(incident.id)
        return found

    def decisions(self) -> list[Decision]:
        """Return every decision on record."""
        views = [self.store.read.incident(incident.id) for incident, _ in self.store.read.incidents(limit=ALL)]
        return [decision for view in views if view is not None for decision in view.decisions]

    def steps(self) -> list[Step]:
        """Return every step on record."""
        return [step for decision in self.decisions() for step in decision.steps]


@contextmanager
def living(folder: Path, seed: int, calm: float = 1.0) -> Iterator[LivingFleet]:
    """Give a fleet at noon; what it logs is kept only where it complains."""
    fleet = LivingFleet(folder, seed, calm)

    def keep(_logger: object, _method: str, entry: dict[str, Any]) -> dict[str, Any]:
        fleet.complaints.append(entry)
        raise structlog.DropEvent

    structlog.configure(processors=[keep], wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    try:
        yield fleet
    finally:
        structlog.reset_defaults()
        fleet.store.close()


def assert_each_event_is_in_one_place(fleet: LivingFleet) -> None:
    """Fail unless each event is stored once, read, in at most one incident, and in one if it is grave."""
    events, places = fleet.events(), fleet.incidents_of_events()
    grave = {event.id for event in events if _opens_an_incident(fleet, event)}
    assert [event_id for event_id, total in Counter(event.id for event in events).items() if total > 1] == []
    assert {event_id: found for event_id, found in places.items() if len(found) > 1} == {}
    assert grave - places.keys() == set()
    assert fleet.store.inbox(fleet.store.world(fleet.clock.now())[1])[0] == []


def assert_each_step_ended(fleet: LivingFleet) -> None:
    """Fail if a step waits, is under way, or nobody knows what became of it."""
    assert [step for step in fleet.steps() if step.state not in ENDED_STEP_STATES - {StepState.UNKNOWN}] == []


def assert_nothing_is_decided_twice(fleet: LivingFleet) -> None:
    """Fail if an attempt was followed by two plans that act, or a job restarted more often than it was told to."""
    acting = [decision for decision in fleet.decisions() if decision.steps]
    plans = Counter((decision.job_id, decision.attempt) for decision in acting)
    assert [plan for plan, total in plans.items() if total > 1] == []
    requeued = Counter(
        step.target for step in fleet.steps() if step.kind is StepKind.REQUEUE and step.state is StepState.DONE
    )
    assert {job.spec.id: job.attempt for job in fleet.simulator._fleet.jobs.values()} == {
        job_id: 1 + requeued[job_id] for job_id in fleet.simulator.targets()
    }


def assert_each_ledger_closes(fleet: LivingFleet) -> None:
    """Fail unless a job's time, by reason, adds up to the time from its start to its end or to now."""
    now = fleet.clock.now()
    for job in fleet.store.read.jobs():
        view = fleet.store.read.job(job.id)
        assert view is not None
        ledger = account(job, view.attempts, view.interruptions, now)
        by_reason = ledger.seconds_by_reason()
        elapsed = ((job.ended_at or now) - job.started_at).total_seconds()
        assert abs(sum(by_reason.values()) - elapsed) < 1e-6, (job.id, by_reason, elapsed)
        assert all(seconds >= 0 for seconds in by_reason.values()), (job.id, by_reason)


def assert_nothing_failed(fleet: LivingFleet) -> None:
    """Fail if a collector failed, or a loop complained."""
    assert fleet.complaints == []
    assert [status for status in fleet.store.collector_statuses() if status.error or status.failures_total] == []


ASSERTIONS = (
    assert_each_event_is_in_one_place,
    assert_each_step_ended,
    assert_nothing_is_decided_twice,
    assert_each_ledger_closes,
    assert_nothing_failed,
)
"""What must hold of a fleet that came to rest."""


def _opens_an_incident(fleet: LivingFleet, event: Event) -> bool:
    signal = fleet.knowledge[event.kind]
    return signal.role is not Role.CONTEXT and signal.severity >= Severity.ERROR
