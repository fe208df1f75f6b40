"""Time to steps and checkpoints."""

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.cluster import Diurnal
from simulators.world.training import Pace, Progress, Saved, Training

START = datetime(2024, 4, 1, tzinfo=UTC)
EVEN = Pace(((0.0, 10.0),), Diurnal(depth=0.0), START)


def training(save_every=100.0, save=2.0, step=0, at=0.0, pace=EVEN):
    return Training(pace, save_every, lambda begins: save, step, at)


def steps_of(done):
    return [(step, told.last_at) for told in done if isinstance(told, Progress) for step in [told.last]]


def test_steps_end_one_after_the_other():
    trained = training(save_every=1e9)

    told = list(trained.advance(35.0))

    assert told == [Progress(1, 10.0, 3, 30.0)]
    assert (trained.step, trained.at) == (3, 30.0)


def test_progress_is_told_by_the_minute():
    told = [each for each in training(save_every=1e9).advance(185.0) if isinstance(each, Progress)]

    assert [(each.first, each.last) for each in told] == [(1, 5), (6, 11), (12, 17), (18, 18)]


def test_saving_stops_training_between_two_steps():
    told = list(training(save_every=20.0).advance(45.0))

    assert [each for each in told if isinstance(each, Saved)] == [Saved(2, 22.0, 2.0), Saved(4, 44.0, 2.0)]


def test_save_that_was_cut_short_is_none():
    trained = training(save_every=20.0)

    told = list(trained.advance(21.0))

    assert not any(isinstance(each, Saved) for each in told)
    assert trained.is_saving(21.0)


def test_save_takes_as_long_as_it_does_when_it_begins():
    trained = Training(EVEN, 20.0, lambda begins: 2.0 if begins < 30.0 else 9.0, 0, 0.0)

    told = list(trained.advance(60.0))

    assert [each for each in told if isinstance(each, Saved)] == [Saved(2, 22.0, 2.0), Saved(4, 51.0, 9.0)]


@given(st.lists(st.floats(0.1, 300.0), max_size=20))
def test_how_time_is_cut_changes_nothing(pieces):
    at, in_pieces = 0.0, []
    cut, whole = training(), training()
    for piece in pieces:
        at += piece
        in_pieces += list(cut.advance(at))

    at_once = list(whole.advance(at))

    assert (cut.step, cut.at, cut.saved_at) == (whole.step, whole.at, whole.saved_at)
    assert [each for each in in_pieces if isinstance(each, Saved)] == [
        each for each in at_once if isinstance(each, Saved)
    ]
    told = [each for each in in_pieces if isinstance(each, Progress)]
    assert all(after.first == before.last + 1 for before, after in pairwise(told))


def test_ramp_makes_steps_longer_from_its_time_on():
    pace = Pace(((0.0, 10.0), (100.0, 20.0)), Diurnal(depth=0.0), START)

    assert (pace.step_seconds(99.0), pace.step_seconds(100.0)) == (10.0, 20.0)


def test_warm_hours_are_slower():
    pace = Pace(((0.0, 10.0),), Diurnal(depth=0.015, slowest_hour=14.0), START)

    assert pace.step_seconds(14 * 3600.0) / pace.step_seconds(2 * 3600.0) == pytest.approx(1.0152, abs=1e-4)
