"""Nodes by their names where a log names them by address."""

from clusterwatch.model import Component, ComponentKind, Node, NodeState
from clusterwatch.testing import NOON, event
from clusterwatch.turning.naming import by_name


def node(name, *addresses):
    return Node(name, NodeState.IN_SERVICE, NOON, addresses=addresses)


def test_node_that_is_named_by_its_address_gets_its_name():
    told = event("nccl.remote_error", "10.0.0.2")

    (named,) = by_name([told], {"node002": node("node002", "10.0.0.2", "fe80::2")})

    assert (named.node, named.component.id) == ("node002", "node002")
    assert named.id == told.id


def test_part_of_a_node_keeps_its_own_name():
    gpu = event("gpu.lost", Component(ComponentKind.GPU, "3", "fe80::2"))

    (named,) = by_name([gpu], {"node002": node("node002", "10.0.0.2", "fe80::2")})

    assert named.component == Component(ComponentKind.GPU, "3", "node002")


def test_node_that_was_heard_of_by_its_address_first_is_the_node_that_has_it():
    known = {"10.0.0.2": node("10.0.0.2"), "node002": node("node002", "10.0.0.2")}

    (named,) = by_name([event("nccl.remote_error", "10.0.0.2")], known)

    assert named.node == "node002"


def test_address_that_no_node_has_is_left_as_it_is():
    told = event("nccl.remote_error", "10.0.0.9")

    assert by_name([told], {"node002": node("node002", "10.0.0.2")}) == [told]
