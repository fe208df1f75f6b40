"""Storage, power and the hour of the day."""

from datetime import UTC, datetime, timedelta

import pytest

from simulators.cluster import Diurnal, Power, Storage

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


def test_power_of_16384_gpus_swings_by_9_to_15_megawatts():
    assert 9.0 <= Power().swing_megawatts(2_048, 8) <= 15.0


def test_afternoon_is_slower_by_1_to_2_percent():
    hours = [Diurnal().throughput_at(MIDNIGHT + timedelta(hours=hour)) for hour in range(24)]

    assert max(hours) == pytest.approx(1.0)
    assert 0.01 <= max(hours) - min(hours) <= 0.02
    assert hours.index(min(hours)) == 14
