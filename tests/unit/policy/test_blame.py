"""Suspects to the nodes that are to blame."""

from clusterwatch.model import Cause, Component, ComponentKind, Diagnosis, Suspect, Topology
from clusterwatch.policy.blame import Scope, blame_in
from clusterwatch.testing import NOON

NODES = ("node001", "node002", "node003", "node004")
RACKS = Topology(
    {
        "node001": frozenset({"tor1", "pod1"}),
        "node002": frozenset({"tor1", "pod1"}),
        "node003": frozenset({"tor2", "pod1"}),
        "node004": frozenset({"tor2", "pod1"}),
    }
)


def blamed(*suspects, topology=RACKS):
    diagnosis = Diagnosis("inc-1", 1, Cause.NIC, 0.9, (), suspects, (), (), "", "", NOON)
    return blame_in(diagnosis, NODES, topology)


def part_of(node, score):
    return Suspect(Component(ComponentKind.NIC, "mlx5_0", node), score)


def test_node_that_bears_most_of_the_blame_is_singled_out():
    blame = blamed(part_of("node001", 0.7), part_of("node003", 0.3))

    assert (blame.scope, blame.nodes, blame.ranked) == (Scope.NODE, ("node001",), ("node001", "node003"))


def test_parts_of_one_node_add_up():
    assert blamed(part_of("node001", 0.3), part_of("node001", 0.3)).nodes == ("node001",)


def test_nodes_alike_that_share_a_switch_are_to_blame_together():
    blame = blamed(part_of("node001", 0.5), part_of("node002", 0.5))

    assert (blame.scope, blame.nodes) == (Scope.RACK, ("node001", "node002"))


def test_switch_stands_for_the_nodes_behind_it():
    blame = blamed(Suspect(Component(ComponentKind.SWITCH, "tor2"), 1.0))

    assert (blame.scope, blame.nodes) == (Scope.RACK, ("node003", "node004"))


def test_what_all_nodes_of_the_job_share_singles_nobody_out():
    assert blamed(Suspect(Component(ComponentKind.SWITCH, "pod1"), 1.0)).nodes == ()


def test_nodes_alike_that_share_nothing_are_many_and_nobody_is_singled_out():
    alike = [part_of(node, 0.25) for node in NODES]

    blame = blamed(*alike, topology=Topology())

    assert (blame.scope, blame.nodes) == (Scope.MANY, ())


def test_nobody_is_to_blame_where_there_is_no_suspect():
    assert blamed().scope is Scope.NONE


def test_suspect_on_a_node_of_another_job_is_not_held_against_this_one():
    assert blamed(part_of("node099", 1.0)).nodes == ()
