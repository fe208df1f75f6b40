"""The numbers of a site by name."""

import pytest

from clusterwatch.errors import ConfigError
from simulators.cluster import ClusterSpec, named_numbers, with_numbers

FOUR = ClusterSpec("four", 4)


def test_every_number_of_storage_power_and_day_has_a_name():
    held = sum(len(part.__dataclass_fields__) for part in (FOUR.storage, FOUR.power, FOUR.diurnal))

    assert len(named_numbers(FOUR)) == held


def test_named_numbers_take_the_place_of_those_that_were():
    other = with_numbers(FOUR, {"diurnal_depth": 0.02, "load_seconds": 5.0})

    assert (other.diurnal.depth, other.storage) == (0.02, FOUR.storage)
    assert with_numbers(FOUR, {"load_seconds": 5.0}) is FOUR


def test_number_out_of_range_is_a_mistake():
    with pytest.raises(ConfigError, match=r"power\.gpu_busy_watts: must be at least 0"):
        with_numbers(FOUR, {"gpu_busy_watts": -1.0})
