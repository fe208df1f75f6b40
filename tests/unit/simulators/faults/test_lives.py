"""Clocks of parts: they run on the life of the part, whatever jobs do."""

from itertools import pairwise
from random import Random

import pytest

from simulators.faults import Law, Lives, failures, scale_for

DAY = 86_400.0


def failures_over_restarts(law: Law, parts: int, span: float, restart_every: float, rng: Random) -> int:
    """Return how often parts break in *span* where every job restart asks all clocks anew."""
    lives, total, now = Lives([0.0] * parts), 0, 0.0
    while now < span:
        for part in range(parts):
            at = lives.next_failure(part, now, law, rng)
            while at < now + restart_every:
                total += 1
                lives.replace(part, at)
                at = lives.next_failure(part, at, law, rng)
        now += restart_every
    return total


@pytest.mark.parametrize(("shape", "restart_every"), [(0.7, 0.31), (0.7, 2.5), (1.0, 0.31), (1.5, 0.31)])
def test_restarts_of_jobs_leave_the_mean_rate_of_failures_as_it_is(shape: float, restart_every: float):
    law = Law(1.0, shape)
    span = 1_000.0 * law.mean_seconds

    total = failures_over_restarts(law, parts=60, span=span, restart_every=restart_every, rng=Random(5))

    assert total / (60 * span) == pytest.approx(1.0 / law.mean_seconds, rel=0.02)


def test_clock_that_restarts_with_the_job_would_be_wrong_many_times_over():
    law, rng = Law(1.0, 0.5), Random(5)
    restart_every, restarts = 0.002, 20_000

    total = sum(law.residual(0.0, rng) < restart_every for _ in range(restarts))

    assert total / (restarts * restart_every) > 7 / law.mean_seconds


@pytest.mark.parametrize("shape", [0.7, 1.0, 1.4])
def test_scale_is_found_for_a_number_of_failures(shape: float):
    rng, parts, span, expected = Random(7), 10_000, 54 * DAY, 500.0
    ages = [rng.random() * 365 * DAY for _ in range(parts)]
    law = Law(scale_for(expected, ages, span, shape), shape)

    total = sum(1 for _ in range(60) for _ in failures(Lives(ages), lambda _: law, span, lambda: 0.0, rng))

    assert total / 60 == pytest.approx(expected, rel=0.02)


def test_repair_makes_only_the_part_that_broke_young_again():
    lives = Lives([100.0, 200.0])

    lives.replace(0, at=50.0)

    assert (lives.age(0, 60.0), lives.age(1, 60.0)) == (10.0, 260.0)


def test_part_that_is_being_replaced_cannot_break():
    lives = Lives([0.0])
    lives.replace(0, at=1_000.0)

    assert lives.next_failure(0, 10.0, Law(1.0, 0.7), Random(3)) > 1_000.0
    assert lives.age(0, 10.0) == 0.0


def test_broken_part_breaks_again_only_after_its_repair():
    found = list(failures(Lives([0.0]), lambda _: Law(10.0), 1_000.0, lambda: 50.0, Random(3)))

    gaps = [later - earlier for (earlier, _, _), (later, _, _) in pairwise(found)]
    assert len(found) > 10
    assert min(gaps) >= 50.0


def test_young_parts_break_most_where_the_shape_is_below_one():
    law, rng = Law(100 * DAY, 0.7), Random(3)

    young = sum(law.residual(0.0, rng) < DAY for _ in range(4_000))
    old = sum(law.residual(300 * DAY, rng) < DAY for _ in range(4_000))

    assert young > 3 * old


def test_no_scale_gives_failures_of_no_parts():
    with pytest.raises(ValueError, match="have no rate"):
        scale_for(3.0, [], DAY, 1.0)
