"""What is told to what arrives."""

from datetime import UTC, datetime, timedelta

import pytest

from clusterwatch.model import Trust
from simulators.terms import Channel
from simulators.world.outbox import Outbox, Whose

START = datetime(2024, 4, 1, tzinfo=UTC)
PERFECT = Channel(loss=0.0, late=0.0, twice=0.0, skew_seconds=0.0)
JOB = Whose("job-1", 1, 3)


def told(channel, count=2_000, seed=1):
    outbox = Outbox(START, channel, seed)
    for number in range(count):
        outbox.kernel(f"node{number % 50:03d}", f"line {number}", float(number))
    return outbox.take(1e9)


def test_everything_arrives_in_order_over_a_perfect_channel():
    readings = told(PERFECT, count=10)

    assert [reading.text for reading in readings] == [f"line {number}" for number in range(10)]
    assert readings[3].happened_at == readings[3].observed_at == START + timedelta(seconds=3)


def test_nothing_arrives_before_it_happens():
    outbox = Outbox(START, PERFECT, 1)
    outbox.kernel("node001", "later", 10.0)

    assert outbox.take(9.9) == ()
    assert outbox.next_at == 10.0
    assert len(outbox.take(10.0)) == 1


def test_share_of_the_signals_is_lost():
    assert len(told(Channel(loss=0.1, late=0.0, twice=0.0))) == pytest.approx(1_800, abs=60)


def test_what_is_told_twice_is_the_same_reading():
    readings = told(Channel(loss=0.0, late=0.0, twice=0.5))

    positions = [(reading.node, reading.position) for reading in readings]
    assert len(positions) == pytest.approx(3_000, abs=120)
    assert len(set(positions)) == 2_000


def test_late_reading_says_when_it_happened():
    readings = told(Channel(loss=0.0, late=1.0, late_seconds=30.0, twice=0.0, skew_seconds=0.0))

    late = [reading.observed_at - reading.happened_at for reading in readings if reading.happened_at]
    assert timedelta(0) <= min(late)
    assert timedelta(seconds=25) < max(late) <= timedelta(seconds=30)


def test_node_has_one_clock_that_is_off_by_a_constant():
    readings = told(Channel(loss=0.0, late=0.0, twice=0.0, skew_seconds=30.0))

    skews = {(reading.node, (reading.happened_at or START) - reading.observed_at) for reading in readings}
    assert len(skews) == 50
    assert len({skew for _, skew in skews}) == 50


def test_state_always_arrives_by_the_schedulers_clock():
    outbox = Outbox(START, Channel(loss=1.0, skew_seconds=30.0), 1)

    outbox.state("scheduler", "attempt.started", JOB, "node001", {"step": 1}, 5.0)

    (reading,) = outbox.take(5.0)
    assert (reading.job, reading.attempt, reading.rank, reading.trust) == ("job-1", 1, 3, Trust.NODE)
    assert reading.happened_at == START + timedelta(seconds=5)


def test_same_seed_tells_the_same():
    assert told(Channel(), seed=7) == told(Channel(), seed=7)
    assert told(Channel(), seed=7) != told(Channel(), seed=8)


def test_what_is_told_in_passing_arrives_with_the_next_look():
    outbox = Outbox(START, PERFECT, 1)
    with outbox.in_passing(10.0):
        outbox.kernel("node001", "told to end", 5.0)
    outbox.kernel("node002", "something else", 8.0)

    assert outbox.next_at == 8.0
    assert [reading.text for reading in outbox.take(8.0)] == ["told to end", "something else"]


def test_what_is_told_in_passing_waits_no_longer_than_it_may():
    outbox = Outbox(START, PERFECT, 1)
    with outbox.in_passing(10.0):
        outbox.kernel("node001", "told to end", 5.0)

    assert outbox.next_at == 15.0
    assert len(outbox.take(5.0)) == 1


def test_what_is_told_in_passing_is_looked_at_with_what_is_due_before_it():
    outbox = Outbox(START, PERFECT, 1)
    with outbox.in_passing(60.0):
        outbox.kernel("node001", "in passing", 1.0)
    alone = outbox.next_at

    outbox.kernel("node001", "after it", 50.0)
    outbox.kernel("node001", "before it", 5.0)

    assert (alone, outbox.next_at) == (61.0, 5.0)
