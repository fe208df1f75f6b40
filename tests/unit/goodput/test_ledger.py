"""The account as a value: parts, sums and ratios."""

from clusterwatch.goodput import WINDOWS, Ledger, Reason, Span, windows_of
from clusterwatch.testing import NOON, seconds


def span(reason, from_seconds, to_seconds, attempt=1):
    return Span(reason, NOON + seconds(from_seconds), NOON + seconds(to_seconds), attempt)


LEDGER = Ledger(
    "job-1",
    8,
    (
        span(Reason.QUEUE, 0, 600, 0),
        span(Reason.START, 600, 900),
        span(Reason.PRODUCTIVE, 900, 8100),
        span(Reason.PLANNED, 8100, 9000),
        span(Reason.PRODUCTIVE, 9000, 10_800, 2),
    ),
)


def test_ratio_without_planned_stops_stands_beside_the_one_with_them():
    assert LEDGER.ettr == 9000 / 10_800
    assert LEDGER.ettr_unplanned == 9000 / 9900
    assert Ledger("job-1", 8, ()).ettr_unplanned is None


def test_windows_end_now_and_the_last_is_everything():
    windows = windows_of(LEDGER, NOON + seconds(10_800))

    assert list(windows) == list(WINDOWS)
    assert windows["1h"].seconds_by_reason() == {Reason.PRODUCTIVE: 2700, Reason.PLANNED: 900}
    assert windows["all"] is LEDGER


def test_attempts_share_the_whole_time():
    by_attempt = LEDGER.by_attempt()

    assert {number: part.elapsed_seconds for number, part in by_attempt.items()} == {0: 600, 1: 8400, 2: 1800}


def test_job_without_gpus_counts_as_one():
    assert Ledger("job-1", 0, LEDGER.spans).lost_gpu_hours == 1800 / 3600


def test_microseconds_add_up_without_rounding():
    parts = tuple(
        Span(Reason.PRODUCTIVE, NOON + seconds(number * 0.1), NOON + seconds((number + 1) * 0.1)) for number in range(3)
    )

    assert Ledger("job-1", 1, parts).elapsed_seconds == 0.3
