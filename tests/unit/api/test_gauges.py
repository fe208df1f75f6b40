from datetime import UTC, datetime
from pathlib import Path

import pytest

from clusterwatch.api.gauges import FRESH_SECONDS, Gauges
from clusterwatch.clock import ManualClock
from clusterwatch.metrics import Metrics
from clusterwatch.model import Changes, Job, JobState, Node, NodeState
from clusterwatch.store import Cursor, Store

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path):
    opened = Store.open(f"sqlite:///{tmp_path / 'cw.db'}", create=True)
    yield opened
    opened.close()


def write(store: Store, changes: Changes) -> None:
    lease = store.acquire("test", 60)
    assert lease is not None
    store.commit_turn(lease, changes, Cursor(), NOON)


def shown(metrics: Metrics) -> list[str]:
    return metrics.text().decode().splitlines()


def test_open_state_is_read_at_the_first_look(store: Store):
    write(store, Changes(nodes=(Node("node001", NodeState.DRAINED, NOON),)))
    metrics = Metrics()

    Gauges(store, metrics, ManualClock(NOON)).refresh()

    assert 'clusterwatch_nodes{state="drained"} 1.0' in shown(metrics)


def test_looks_that_follow_each_other_cost_one_query(store: Store):
    metrics, clock = Metrics(), ManualClock(NOON)
    gauges = Gauges(store, metrics, clock)
    gauges.refresh()
    write(store, Changes(nodes=(Node("node001", NodeState.DRAINED, NOON),)))

    clock.advance(FRESH_SECONDS / 2)
    gauges.refresh()
    soon = shown(metrics)
    clock.advance(FRESH_SECONDS)
    gauges.refresh()

    assert 'clusterwatch_nodes{state="drained"} 0.0' in soon
    assert 'clusterwatch_nodes{state="drained"} 1.0' in shown(metrics)


def test_job_that_ended_is_counted_and_loses_its_own_gauges(store: Store):
    job = Job("job-1", "llama", JobState.TRAINING, NOON, NOON, last_step=7)
    metrics, clock = Metrics(), ManualClock(NOON)
    gauges = Gauges(store, metrics, clock)
    clock.advance(60)
    write(store, Changes(jobs=(job,)))
    gauges.refresh()
    training = shown(metrics)

    write(store, Changes(jobs=(Job("job-1", "llama", JobState.COMPLETED, NOON, NOON, last_step=9, ended_at=NOON),)))
    clock.advance(60)
    gauges.refresh()

    assert 'clusterwatch_job_step{job_id="job-1"} 7.0' in training
    assert 'clusterwatch_jobs{state="completed"} 1.0' in shown(metrics)
    assert not [line for line in shown(metrics) if 'job_id="job-1"' in line]
