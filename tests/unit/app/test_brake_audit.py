"""Brakes that were not kept, found in what is on record."""

from dataclasses import replace
from datetime import timedelta

import pytest

from clusterwatch.app.brake_audit import broken_brakes
from clusterwatch.model import (
    Cause,
    Changes,
    Decision,
    Diagnosis,
    Incident,
    IncidentState,
    Mode,
    Node,
    NodeState,
    Step,
    StepKind,
    StepState,
)
from clusterwatch.policy import Limits
from clusterwatch.store import Store
from clusterwatch.testing import NOON, seconds

MINUTE = timedelta(minutes=1)
LIMITS = Limits(drained_share=1.0)


@pytest.fixture
def store(tmp_path):
    opened = Store.open(f"sqlite:///{tmp_path / 'test.db'}", create=True)
    yield opened
    opened.close()


def carried_out(kind, number, after=MINUTE, node="", job="job-1"):
    """Return a decision, made *number* times *after*, of which one step was carried out at once."""
    made_at = NOON + number * after
    decision = Decision(f"dec-{kind}-{number}", "inc-1", 1, job, Mode.AUTO, "because", made_at)
    until, done_at = made_at + 10 * MINUTE, made_at + seconds(1)
    step = Step(
        f"{decision.id}.1", decision.id, 1, kind, "slurm", "job-1", {"node": node}, until, StepState.DONE, done_at
    )
    return replace(decision, steps=(step,))


def drains(count, after=MINUTE):
    return [carried_out(StepKind.DRAIN, number, after, f"node{number:03d}") for number in range(count)]


def on_record(store, decisions, *, node_confirmed=True, nodes=100):
    lease = store.acquire("test", 60)
    _, cursor = store.world(NOON)
    incident = Incident("inc-1", IncidentState.DIAGNOSED, NOON, NOON, NOON, ())
    diagnosis = Diagnosis("inc-1", 1, Cause.FAULTY_GPU, 0.9, (), (), (), (), "", "", NOON, node_confirmed)
    known = tuple(Node(f"node{number:03d}", NodeState.IN_SERVICE, NOON) for number in range(nodes))
    changes = Changes(incidents=(incident,), diagnoses=(diagnosis,), decisions=tuple(decisions), nodes=known)
    store.commit_turn(lease, changes, cursor, NOON)


def test_what_keeps_within_the_brakes_is_not_spoken_of(store):
    on_record(store, drains(6))

    assert broken_brakes(store, LIMITS) == ()


def test_one_drain_too_many_within_an_hour_is_told(store):
    on_record(store, drains(7))

    assert broken_brakes(store, LIMITS) == ("7 nodes drained within 1 h before 2026-11-21 12:06, 6 may be",)


def test_drains_an_hour_apart_are_too_many_only_for_the_day(store):
    on_record(store, drains(17, 61 * MINUTE))

    assert broken_brakes(store, LIMITS) == (
        "17 nodes drained because of job-1 within 24 h before 2026-11-22 04:16, 16 may be",
    )


def test_nodes_that_are_out_at_one_time_are_counted_without_those_that_came_back(store):
    back = carried_out(StepKind.RELEASE, 2, node="node000")
    on_record(store, [*drains(2), back, carried_out(StepKind.DRAIN, 3, node="node009")], nodes=40)

    assert broken_brakes(store, Limits(drained_share=0.05)) == ()
    assert broken_brakes(store, Limits(drained_share=0.03)) == ("2 nodes were out of service at one time, 1 may be",)


def test_drain_on_a_users_word_is_told(store):
    on_record(store, drains(1), node_confirmed=False)

    assert broken_brakes(store, LIMITS) == ("node000 was drained, and no source of a node spoke for it (dec-drain-0)",)


def test_job_that_was_restarted_too_often_is_told(store):
    on_record(store, [carried_out(StepKind.REQUEUE, number) for number in range(14)])

    assert broken_brakes(store, LIMITS) == ("14 restarts of job-1 within 1 h before 2026-11-21 12:13, 13 may be",)
