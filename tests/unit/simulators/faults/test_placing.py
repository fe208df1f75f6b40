"""Which part breaks, and whom it takes along."""

import pytest

from clusterwatch.model import Cause, Component, ComponentKind
from simulators.cluster import ClusterSpec
from simulators.faults import Placer
from simulators.fleet_wording import Blast
from some_kinds import kind

SPEC = ClusterSpec("small", training_nodes_total=11, spares_total=5)
PLACER = Placer(SPEC, lambda node: "job" if node in SPEC.training_nodes else "")


@pytest.mark.parametrize(
    ("component", "place", "part"),
    [
        (ComponentKind.GPU, 0.0, Component(ComponentKind.GPU, "0000:18:00", "node0003")),
        (ComponentKind.GPU, 0.99, Component(ComponentKind.GPU, "0000:db:00", "node0003")),
        (ComponentKind.NIC, 0.5, Component(ComponentKind.NIC, "0000:5a:00.0", "node0003")),
        (ComponentKind.LINK, 0.0, Component(ComponentKind.LINK, "tor0002/eth1/1/1", "node0003")),
        (ComponentKind.DISK, 0.3, Component(ComponentKind.DISK, "nvme1n1", "node0003")),
        (ComponentKind.NODE, 0.3, Component(ComponentKind.NODE, "node0003", "node0003")),
        (ComponentKind.RANK, 0.5, Component(ComponentKind.RANK, "4", "node0003")),
        (ComponentKind.JOB, 0.5, Component(ComponentKind.JOB, "job", "")),
    ],
)
def test_part_is_named_as_machines_name_it(component: ComponentKind, place: float, part: Component):
    struck = PLACER.struck(kind("kind", Cause.FAULTY_GPU, component), "node0003", place)

    assert struck.component == part
    assert struck.nodes == ("node0003",)


def test_top_of_rack_switch_takes_its_rack_along():
    down = kind("tor_down", Cause.NETWORK_SWITCH_CABLE, ComponentKind.SWITCH, blast=Blast.TOR)

    struck = PLACER.struck(down, "node0004", 0.5)

    assert struck.component == Component(ComponentKind.SWITCH, "tor0002")
    assert struck.nodes == ("node0004", "node0003")


def test_path_above_the_racks_strikes_one_node():
    lost = kind("path_lost", Cause.NETWORK_SWITCH_CABLE, ComponentKind.SWITCH)

    struck = PLACER.struck(lost, "node0004", 0.5)

    assert (struck.component.id, struck.nodes) == ("spine09", ("node0004",))


def test_power_domain_takes_only_nodes_of_the_same_job_along():
    lost = kind("power_lost", Cause.POWER_SUPPLY, ComponentKind.PSU, blast=Blast.POWER)

    assert PLACER.struck(lost, "node0010", 0.5).nodes == ("node0010", "node0009", "node0011")


@pytest.mark.parametrize(
    ("cause", "service"), [(Cause.STORAGE, "checkpoint-storage"), (Cause.DEPENDENCY, "rendezvous-store")]
)
def test_service_is_on_no_node(cause: Cause, service: str):
    struck = PLACER.struck(kind("down", cause, ComponentKind.SERVICE), "node0003", 0.5)

    assert struck.component == Component(ComponentKind.SERVICE, service)
