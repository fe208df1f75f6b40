"""Time that steps took beyond the job's own normal."""

import pytest

from clusterwatch.goodput import Reason, Span
from clusterwatch.goodput.slowness import slow_windows
from clusterwatch.model import Progress
from clusterwatch.testing import NOON, seconds


def rows(*paces, attempt=1):
    """Return a row about every minute, at so many seconds a step."""
    at, step, told = NOON, 0, [Progress("job-1", attempt, 0, NOON)]
    for pace in paces:
        steps = max(round(60 / pace), 1)
        at, step = at + seconds(pace * steps), step + steps
        told.append(Progress("job-1", attempt, step, at))
    return told


def productive(told):
    return [Span(Reason.PRODUCTIVE, told[0].at, told[-1].at, 1)]


def lost(windows):
    return sum((ends - begins) / seconds(1) for begins, ends in windows)


def test_steady_job_loses_nothing_and_neither_does_noise():
    told = rows(*[6.0, 6.2, 5.9, 6.5] * 20)

    assert slow_windows(productive(told), told) == []


def test_what_slow_steps_take_beyond_normal_is_lost():
    told = rows(*[6.0] * 60, *[10.0] * 10, *[6.0] * 60)

    windows = slow_windows(productive(told), told)

    assert lost(windows) == pytest.approx(10 * 6 * 4.0)
    assert windows[0] == (NOON + seconds(3600 + 36), NOON + seconds(3600 + 60))


def test_bigger_batch_is_a_new_normal_from_where_it_begins():
    told = rows(*[4.0] * 700, *[6.0] * 2000)

    assert slow_windows(productive(told), told) == []


def test_slow_hours_of_a_long_record_are_lost_and_more_than_half_a_day_is_a_new_normal():
    told = rows(*[10.0] * 1440, *[15.0] * 120, *[10.0] * 1440)
    lasting = rows(*[10.0] * 1440, *[15.0] * 800, *[10.0] * 1440)

    assert lost(slow_windows(productive(told), told)) == pytest.approx(120 * 4 * 5.0)
    assert lost(slow_windows(productive(lasting), lasting)) == 0


def test_pause_that_is_booked_already_is_not_slowness_too():
    told = rows(*[6.0] * 30, 660.0, *[6.0] * 30)
    begins, ends = told[30].at, told[30].at + seconds(654)
    spans = [
        Span(Reason.PRODUCTIVE, told[0].at, begins, 1),
        Span(Reason.HANG, begins, ends, 1),
        Span(Reason.PRODUCTIVE, ends, told[-1].at, 1),
    ]

    assert slow_windows(spans, told) == []


def test_first_minutes_are_compared_with_nothing():
    told = rows(6.0, 6.0, 6.0, 60.0)

    assert slow_windows(productive(told), told) == []


def test_time_between_two_attempts_is_nobodys_step():
    told = [*rows(*[6.0] * 20), *rows(*[6.0] * 20, attempt=2)]

    assert slow_windows(productive(told), told) == []
