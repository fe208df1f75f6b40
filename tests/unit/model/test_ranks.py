"""Ranks as ranges."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwatch.model import ranks

RANKS = st.lists(st.integers(0, 40), min_size=1, max_size=60)


@given(RANKS)
def test_ranges_hold_each_rank_once_whatever_the_order(numbers: list[int]):
    ranges: ranks.Ranges = ()
    for number in numbers:
        ranges = ranks.with_rank(ranges, number)

    assert ranges == ranks.merged((number, number) for number in numbers)
    assert [rank for first, last in ranges for rank in range(first, last + 1)] == sorted(set(numbers))
    assert ranks.count(ranges) == len(set(numbers))


@given(RANKS)
def test_what_is_written_is_read_again(numbers: list[int]):
    ranges = ranks.merged((number, number) for number in numbers)

    assert ranks.ranges_in(ranks.as_text(ranges)) == ranges


def test_ranks_are_written_as_people_write_them():
    assert ranks.as_text(ranks.ranges_in("12,3,0-2, 4-7")) == "0-7,12"


@pytest.mark.parametrize("text", ["a", "1-", "-3", "1-x"])
def test_what_names_no_ranks_is_refused(text: str):
    with pytest.raises(ValueError, match="invalid literal"):
        ranks.ranges_in(text)
