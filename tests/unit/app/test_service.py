"""Who hears of what at once, in one process."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from clusterwatch.agent import Agent
from clusterwatch.app.service import Loops, Service
from clusterwatch.clock import SystemClock
from clusterwatch.metrics import Metrics
from clusterwatch.model import Mode, StepKind, StepState, kinds
from clusterwatch.seams import Site
from clusterwatch.server import Actor, Responder
from clusterwatch.store import Store
from clusterwatch.testing import RecordingActuator
from clusterwatch.testing.builders import event, progress, training_job
from shipped import shipped_catalog, shipped_limits

PATIENCE_SECONDS = 60.0
"""Far less than the tick of these tests."""

NEVER = Loops(tick_seconds=3600.0, keep_events=timedelta(days=1))


@pytest.fixture
def store(tmp_path):
    opened = Store.open(f"sqlite:///{tmp_path / 'test.db'}", create=True)
    yield opened
    opened.close()


def until(is_so):
    """Return whether *is_so* within the patience."""
    clock, nothing = SystemClock(), threading.Event()
    deadline = clock.monotonic() + PATIENCE_SECONDS
    while not is_so():
        if clock.monotonic() > deadline:
            return False
        nothing.wait(0.02)
    return True


def test_crash_is_settled_decided_and_acted_on_without_waiting_for_a_tick(store):
    clock, metrics, catalog = SystemClock(), Metrics(), shipped_catalog()
    limits = shipped_limits(modes={"recording": Mode.AUTO})
    actuator = RecordingActuator()
    agent = Agent([], lambda _: Site("node001"), store, catalog, clock, metrics)
    responder = Responder(store, catalog.knowledge, limits, clock, metrics, "test")
    actor = Actor(store, [actuator], clock, metrics)
    service = Service(store, agent, responder, actor, clock, metrics, NEVER)
    service.start()
    try:
        assert until(lambda: responder.is_leader)
        now = clock.now()
        crash = event(kinds.ATTEMPT_ENDED, "node001", now, job="job-1", attempt=1, exit_code=1)
        began = now - timedelta(seconds=60)
        steps = [progress("job-1", 1, step, began + timedelta(seconds=10 * step)) for step in range(1, 6)]
        store.record("node001", "test", [*training_job(actuator="recording"), *steps, crash], {}, None, now)
        agent.on_recorded()

        assert until(lambda: [step.kind for step in actuator.performed][-1:] == [StepKind.REQUEUE])
        assert until(lambda: _states(store) == {StepState.DONE})
    finally:
        service.stop()


def _states(store):
    return {step.state for decision in store.read.decisions() for step in decision.steps}
