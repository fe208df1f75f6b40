"""Nodes that break again and again."""

from collections import Counter
from random import Random

import pytest

from simulators.faults import Offenders

NODES = tuple(f"node{number:04d}" for number in range(1, 101))


def test_few_nodes_have_their_share_of_the_faults():
    rng = Random(3)
    offenders = Offenders.among(NODES, nodes_share=0.03, faults_share=0.5, rng=rng)

    drawn = Counter(offenders.one(rng) for _ in range(4_000))

    assert len(offenders.lemons) == 3
    # They are among those that anybody's fault falls on as well.
    assert sum(drawn[node] for node in offenders.lemons) / 4_000 == pytest.approx(0.515, abs=0.03)


def test_hazards_of_all_nodes_have_the_mean_of_one():
    offenders = Offenders.among(NODES, nodes_share=0.03, faults_share=0.5, rng=Random(3))

    assert sum(map(offenders.hazard_of, NODES)) / len(NODES) == pytest.approx(1.0)
    assert offenders.hazard_of(offenders.lemons[0]) > 15


def test_without_lemons_all_nodes_are_alike():
    offenders = Offenders.among(NODES, nodes_share=0.0, faults_share=0.5, rng=Random(3))

    assert {offenders.hazard_of(node) for node in NODES} == {1.0}
