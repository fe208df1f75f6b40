"""The shape of the cluster that trained Llama 3, and of others."""

import pytest

from simulators.cluster import ClusterSpec, builtin_cluster

LLAMA3 = builtin_cluster("llama3")


def test_cluster_of_llama3_has_16384_gpus_that_train():
    assert (LLAMA3.gpus_total, len(LLAMA3.training_nodes), len(LLAMA3.spares)) == (16_384, 2_048, 32)
    assert LLAMA3.nodes[0] == "node0001"


def test_nodes_train_stand_by_or_belong_to_others():
    assert LLAMA3.training_nodes + LLAMA3.spares + LLAMA3.others == LLAMA3.nodes
    assert len(LLAMA3.nodes) == LLAMA3.nodes_total


@pytest.mark.parametrize(
    ("node", "tor", "power", "pod"),
    [
        ("node0001", "tor0001", "power0001", "pod01"),
        ("node0002", "tor0001", "power0001", "pod01"),
        ("node0008", "tor0004", "power0001", "pod01"),
        ("node0009", "tor0005", "power0002", "pod01"),
        ("node0384", "tor0192", "power0048", "pod01"),
        ("node0385", "tor0193", "power0049", "pod02"),
        ("node2048", "tor1024", "power0256", "pod06"),
    ],
)
def test_node_hangs_on_the_switch_of_its_rack(node: str, tor: str, power: str, pod: str):
    assert (LLAMA3.tor_of(node), LLAMA3.power_domain_of(node), LLAMA3.pod_of(node)) == (tor, power, pod)


def test_who_hangs_on_something_is_found_from_it():
    assert LLAMA3.nodes_of_tor("tor0002") == ("node0003", "node0004")
    assert len(LLAMA3.nodes_of_power_domain("power0001")) == 8
    assert len(LLAMA3.nodes_of_pod("pod01")) == 384


@pytest.mark.parametrize("name", ["tor0000", "tor9999", "tor", "torx", "power0001", "tor-001", "tor²"])
def test_nobody_hangs_on_a_switch_that_is_not_there(name: str):
    assert LLAMA3.nodes_of_tor(name) == ()


def test_every_port_of_a_tor_holds_one_link():
    links = [link for node in LLAMA3.nodes_of_tor("tor0002") for link in LLAMA3.links_of(node)]

    assert {link.tor for link in links} == {"tor0002"}
    assert len({link.port for link in links}) == 16
    assert len({(link.node, link.nic) for link in links}) == 16
    assert links[3].id == "tor0002/eth1/4/1"


def test_topology_holds_switch_and_power_domain_of_each_node():
    topology = LLAMA3.topology()

    assert topology.near("node0003") == {"node0003", "tor0002", "power0001"}
    assert len(topology.neighbourhoods) == LLAMA3.nodes_total
    assert topology is LLAMA3.topology()


def test_pod_is_a_neighbourhood_where_its_switch_can_fail():
    spec = ClusterSpec("flat", training_nodes_total=4, racks_per_pod=1, pod_switches_fail=True)

    assert spec.topology().near("node0003") == {"node0003", "tor0002", "pod02", "power0001"}


def test_little_bandwidth_is_left_between_pods():
    assert LLAMA3.bandwidth_between("node0001", "node0384") == 400
    assert LLAMA3.bandwidth_between("node0001", "node0385") == pytest.approx(400 / 7)


@pytest.mark.parametrize(
    "name", ["node0000", "node1", "node00001", "node2153", "tor0001", "", "node³", "node" + "9" * 50]
)
def test_node_of_no_such_name_is_not_there(name: str):
    assert not LLAMA3.has_node(name)
