"""Storage, power and the hour of the day."""

from datetime import UTC, datetime, timedelta

import pytest

from simulators.cluster import Diurnal, OtherSaves, Power, Storage

MIDNIGHT = datetime(2026, 3, 4, tzinfo=UTC)


def test_checkpoint_of_llama3_fits_into_the_burst():
    assert Storage().seconds_for(5.7e12) == pytest.approx(0.81, abs=0.01)


def test_what_is_beyond_the_burst_takes_the_sustained_rate():
    storage = Storage(sustained_bytes_per_second=1.0, peak_bytes_per_second=10.0, burst_seconds=2.0)

    assert storage.seconds_for(25.0) == pytest.approx(7.0)


def test_two_checkpoints_at_once_compete():
    storage = Storage(sustained_bytes_per_second=1.0, peak_bytes_per_second=1.0)

    assert storage.seconds_for(10.0, others_bytes=10.0) == pytest.approx(20.0)
    assert storage.seconds_for(10.0, others_bytes=3.0) == pytest.approx(13.0)
    assert storage.seconds_for(3.0, others_bytes=10.0) == pytest.approx(6.0)


PLAIN = Storage(sustained_bytes_per_second=1.0, peak_bytes_per_second=1.0)
EVERY_MINUTE = OtherSaves(bytes_total=10.0, every_seconds=60.0)


@pytest.mark.parametrize(
    ("at", "takes"),
    [
        (0.0, 20.0),  # both begin together
        (5.0, 15.0),  # half of theirs is through
        (10.0, 10.0),  # all of theirs is
        (40.0, 10.0),  # ours is through before theirs begin again
        (55.0, 15.0),  # they begin when half of ours is through
        (60.0, 20.0),
    ],
)
def test_saves_of_others_take_from_the_storage_while_they_last(at, takes):
    assert PLAIN.seconds_at(at, 10.0, EVERY_MINUTE) == pytest.approx(takes)


def test_storage_like_llama3s_that_nobody_else_uses_delays_nothing():
    assert [Storage().delay_at(at, 5.67e12, OtherSaves()) for at in (0.0, 1.0, 1e6)] == [0.0, 0.0, 0.0]
    assert (
        Storage(sustained_bytes_per_second=4e12, peak_bytes_per_second=9e12).delay_at(0.0, 5.67e12, OtherSaves()) == 0
    )


def test_slower_storage_delays_by_what_it_takes_longer():
    slow = Storage(sustained_bytes_per_second=1e11, peak_bytes_per_second=1e11)

    assert slow.delay_at(0.0, 5.67e12, OtherSaves()) == pytest.approx(56.7 - 0.81)


def test_power_of_16384_gpus_swings_by_9_to_15_megawatts():
    assert 9.0 <= Power().swing_megawatts(2_048, 8) <= 15.0


def test_afternoon_is_slower_by_1_to_2_percent():
    hours = [Diurnal().throughput_at(MIDNIGHT + timedelta(hours=hour)) for hour in range(24)]

    assert max(hours) == pytest.approx(1.0)
    assert 0.01 <= max(hours) - min(hours) <= 0.02
    assert hours.index(min(hours)) == 14
