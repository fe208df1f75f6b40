"""Groups of ranks, in the order [TP, CP, PP, DP]."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.cluster import AXES, Parallelism

LLAMA3 = Parallelism(tp=8, pp=16, dp=128)
SIZES = st.integers(min_value=1, max_value=6)


def test_tensor_group_is_one_node():
    assert LLAMA3.group_of(11, "tp") == tuple(range(8, 16))


def test_pipeline_of_llama3_runs_over_16_nodes():
    group = LLAMA3.group_of(3, "pp")

    assert [rank // 8 for rank in group] == list(range(16))


def test_replicas_of_llama3_are_16_nodes_apart():
    assert LLAMA3.group_of(0, "dp")[:3] == (0, 128, 256)
    assert len(LLAMA3.group_of(0, "dp")) == 128


def test_context_parallel_lies_between_tensor_and_pipeline():
    assert Parallelism(tp=8, cp=16, pp=16, dp=8).group_of(1, "cp")[:3] == (1, 9, 17)


def test_rank_talks_to_its_neighbours_in_each_ring_and_pipeline():
    assert LLAMA3.direct_peers(0) == {1, 7, 8, 128, 127 * 128}
    assert LLAMA3.direct_peers(8) == {9, 15, 0, 16, 8 + 128, 8 + 127 * 128}


def test_axis_of_one_rank_is_no_group():
    assert set(LLAMA3.groups_of(5)) == {"tp", "pp", "dp"}


@given(tp=SIZES, pp=SIZES, dp=SIZES, cp=SIZES, data=st.data())
def test_everyone_in_a_group_has_the_same_group(tp: int, pp: int, dp: int, cp: int, data: st.DataObject):
    parallelism = Parallelism(tp, pp, dp, cp)
    rank = data.draw(st.integers(0, parallelism.world_size - 1))

    for axis in AXES:
        group = parallelism.group_of(rank, axis)
        assert rank in group
        assert {parallelism.group_of(other, axis) for other in group} == {group}


@given(tp=SIZES, pp=SIZES, dp=SIZES, cp=SIZES, data=st.data())
def test_talking_is_mutual(tp: int, pp: int, dp: int, cp: int, data: st.DataObject):
    parallelism = Parallelism(tp, pp, dp, cp)
    rank = data.draw(st.integers(0, parallelism.world_size - 1))

    assert all(rank in parallelism.direct_peers(peer) for peer in parallelism.direct_peers(rank))


def test_rank_beyond_the_world_is_refused():
    with pytest.raises(ValueError, match="rank 16384 of 16384"):
        LLAMA3.place_of(16_384)
