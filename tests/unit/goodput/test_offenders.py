"""Which nodes break more often than chance explains."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwatch.goodput.offenders import binomial_tail, standings


def cluster(nodes=2048, days=54.0):
    return {f"node{number:04d}": days for number in range(nodes)}


def test_three_faults_in_a_day_stand_out_and_three_in_54_days_do_not():
    days = cluster(nodes=100) | {"guest": 1.0}
    ordinary = {f"node{number:04d}": 2 for number in range(0, 100, 2)}

    found = {each.node: each for each in standings(ordinary | {"node0001": 3, "guest": 3}, days)}

    assert found["guest"].is_offender
    assert not found["node0001"].is_offender
    assert found["guest"].expected == pytest.approx(106 * 1.0 / 5401)
    assert found["guest"].times_worse > found["node0001"].times_worse


def test_one_fault_names_nobody_however_short_the_node_was_there():
    found = standings({"guest": 1, "node0001": 1}, cluster(nodes=50) | {"guest": 0.001})

    assert [each.is_offender for each in found] == [False, False]


def test_node_with_all_faults_of_a_cluster_stands_out():
    (found,) = standings({"node0007": 6}, cluster(nodes=64, days=7.0))

    assert found.is_offender
    assert found.adjusted == pytest.approx(64 * binomial_tail(6, 1 / 64, 6))
    assert found.times_worse > 10


def test_faults_of_nodes_that_were_in_no_job_are_left_out():
    assert standings({"elsewhere": 9}, {"node0001": 1.0}) == []
    assert standings({}, {}) == []


def test_nodes_that_are_alike_are_seldom_named():
    """In 40 clusters of 500 alike nodes with 400 faults, at most a twentieth may name anybody; two, say, by chance."""
    rng = Random(20260304)
    named = 0
    for _ in range(40):
        days = {f"node{number:03d}": rng.choice([1.0, 7.0, 54.0]) for number in range(500)}
        names, weights = list(days), list(days.values())
        faults = {}
        for struck in rng.choices(names, weights, k=400):
            faults[struck] = faults.get(struck, 0) + 1
        named += any(each.is_offender for each in standings(faults, days))

    assert named <= 4


def test_tail_of_the_binomial_distribution_is_that_of_the_tables():
    assert binomial_tail(10, 0.5, 8) == pytest.approx(56 / 1024)
    assert binomial_tail(3, 1.0, 3) == 1.0
    assert binomial_tail(3, 0.2, 0) == 1.0


@given(
    st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 40)),
    st.dictionaries(st.sampled_from("abcdefgh"), st.floats(0, 1000, allow_subnormal=False)),
)
def test_every_struck_node_has_one_standing_with_sensible_figures(faults, days):
    found = standings(faults, days)

    assert sorted(each.node for each in found) == sorted(
        node for node, count in faults.items() if count and days.get(node, 0) > 0
    )
    for each in found:
        assert 0 <= each.chance <= each.adjusted * (1 + 1e-12) <= 1 + 1e-12
        assert each.times_worse > 0
    assert [each.adjusted for each in found] == sorted(each.adjusted for each in found)
