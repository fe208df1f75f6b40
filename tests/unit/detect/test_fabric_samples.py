from datetime import UTC, datetime, timedelta

import pytest

from clusterwatch.detect import Catalog, ObserverState, notice
from clusterwatch.model import Cause, Component, ComponentKind, Event, Reading, Role, Scalar

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
PORT: dict[str, Scalar] = {
    "key": "mlx5_0/1",
    "device": "mlx5_0",
    "port": 1,
    "netdev": None,
    "pci": "0000:c1:00.0",
    "link_layer": "InfiniBand",
    "state": "ACTIVE",
    "phys_state": "LinkUp",
    "rate_gbps": 400.0,
    "best_rate_gbps": 400.0,
    "seen_active": True,
    "present": True,
    "answers": True,
    "full_counters": "",
    "symbol_error_total": 0,
    "link_downed_total": 0,
    "carrier_changes_total": 0,
    "link_error_recovery_total": 0,
    "is_continuous": True,
    "is_settling": False,
}
PEER: dict[str, Scalar] = {
    "key": "0x200000/3",
    "peer": "leaf1",
    "peer_port": 3,
    "other_end": "mlx5_0/1",
    "symbol_error_total": 0,
    "is_continuous": True,
}
DOWN: dict[str, Scalar] = {**PORT, "state": "DOWN", "phys_state": "Polling"}


def events_of(catalog: Catalog, subject: str, *samples: dict[str, Scalar], seconds: float = 10) -> list[Event]:
    readings = [
        Reading(
            source="fabric",
            node="node001",
            position=str(n),
            observed_at=NOON + timedelta(seconds=seconds * n),
            subject=subject,
            fields=fields,
        )
        for n, fields in enumerate(samples)
    ]
    return notice(ObserverState(), readings, catalog, NOON + timedelta(hours=9))[1]


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"state": "DOWN", "phys_state": "Polling"}, "fabric.port.down"),
        ({"phys_state": "Disabled", "state": "DOWN"}, "fabric.port.switched_off"),
        ({"state": "INIT"}, "fabric.port.no_manager"),
        ({"rate_gbps": 100.0}, "fabric.port.slower"),
        ({"present": False, "answers": None}, "fabric.device.lost"),
        ({"answers": False}, "fabric.device.unresponsive"),
        ({"link_downed_total": 1}, "fabric.link.flapped"),
        ({"carrier_changes_total": 2}, "fabric.link.flapped"),
        ({"link_downed_total": 1, "carrier_changes_total": 2}, "fabric.link.flapped"),
        ({"link_downed_total": 2}, "fabric.link.downed"),
        ({"link_downed_total": 1, "state": "INIT", "phys_state": "LinkErrorRecovery"}, "fabric.link.downed"),
        ({"carrier_changes_total": 3}, "fabric.link.carrier"),
        ({"symbol_error_total": 120}, "fabric.link.symbol_errors"),
        ({"link_error_recovery_total": 5}, "fabric.link.recovered"),
        ({"full_counters": "link_downed"}, "fabric.counters.full"),
    ],
)
def test_change_of_a_port_is_told_once(catalog: Catalog, change: dict[str, Scalar], kind: str) -> None:
    changed = {**PORT, **change}

    (event,) = events_of(catalog, "fabric.port", PORT, changed, changed)

    assert (event.kind, event.component) == (kind, Component(ComponentKind.NIC, "0000:c1:00.0", "node001"))
    assert event.text.startswith("mlx5_0 port 1")


def test_port_that_stays_as_it_is_gives_nothing(catalog: Catalog) -> None:
    assert events_of(catalog, "fabric.port", PORT, PORT) == []


def test_port_that_nobody_uses_gives_nothing(catalog: Catalog) -> None:
    unused = {**DOWN, "seen_active": False, "best_rate_gbps": None}

    assert events_of(catalog, "fabric.port", {**unused, "is_settling": True}, unused, unused) == []


def test_port_that_was_up_before_a_reboot_and_stays_down_is_told_when_links_had_time_to_come_up(
    catalog: Catalog,
) -> None:
    booting = {**DOWN, "seen_active": False, "is_settling": True, "is_continuous": False}
    booted = {**booting, "is_settling": False}

    assert events_of(catalog, "fabric.port", PORT, booting) == []
    assert [event.kind for event in events_of(catalog, "fabric.port", PORT, booting, booted)] == ["fabric.port.down"]


def test_port_that_came_back_and_went_again_is_told_again(catalog: Catalog) -> None:
    kinds = [event.kind for event in events_of(catalog, "fabric.port", PORT, DOWN, PORT, DOWN)]

    assert kinds == ["fabric.port.down", "fabric.port.down"]


def test_roce_port_that_is_disabled_by_its_lost_carrier_is_down_and_not_switched_off(catalog: Catalog) -> None:
    up = {**PORT, "link_layer": "Ethernet", "admin_up": True}
    no_carrier = {**up, "state": "DOWN", "phys_state": "Disabled"}
    switched_off = {**no_carrier, "admin_up": False}

    assert [event.kind for event in events_of(catalog, "fabric.port", up, no_carrier)] == ["fabric.port.down"]
    assert [event.kind for event in events_of(catalog, "fabric.port", up, switched_off)] == ["fabric.port.switched_off"]


def test_link_that_passes_through_a_lower_rate_while_it_comes_up_says_nothing(catalog: Catalog) -> None:
    coming_up = {**PORT, "rate_gbps": 100.0, "is_settling": True}

    assert events_of(catalog, "fabric.port", coming_up, PORT) == []


def test_value_that_is_missing_says_nothing(catalog: Catalog) -> None:
    unknown = {**PORT, "state": None, "phys_state": None, "rate_gbps": None, "symbol_error_total": None}

    assert events_of(catalog, "fabric.port", PORT, unknown, PORT) == []


def test_few_symbol_errors_within_an_hour_are_what_a_link_may_have(catalog: Catalog) -> None:
    some = [{**PORT, "symbol_error_total": 10 * n} for n in range(12)]

    assert events_of(catalog, "fabric.port", *some) == []
    assert len(events_of(catalog, "fabric.port", *some, {**PORT, "symbol_error_total": 120})) == 1


def test_slow_trickle_of_symbol_errors_is_never_enough(catalog: Catalog) -> None:
    trickle = [{**PORT, "symbol_error_total": 15 * n} for n in range(40)]

    assert events_of(catalog, "fabric.port", *trickle, seconds=600) == []


def test_errors_counted_while_nobody_looked_are_no_evidence(catalog: Catalog) -> None:
    later = {**PORT, "link_downed_total": 7, "symbol_error_total": 60_000, "is_continuous": False}

    assert events_of(catalog, "fabric.port", PORT, later) == []


def test_totals_that_begin_anew_after_a_reboot_are_no_evidence(catalog: Catalog) -> None:
    before = {**PORT, "link_downed_total": 7}
    booted = {**PORT, "link_downed_total": 0, "is_continuous": False}

    kinds = [
        event.kind for event in events_of(catalog, "fabric.port", before, booted, {**PORT, "link_downed_total": 1})
    ]

    assert kinds == ["fabric.link.flapped"]


def test_errors_at_the_other_end_name_the_port_that_counted_them(catalog: Catalog) -> None:
    (event,) = events_of(catalog, "fabric.peer", PEER, {**PEER, "symbol_error_total": 130})

    assert (event.kind, event.component.kind, event.component.id) == ("fabric.peer.symbol_errors", "link", "leaf1/3")
    assert event.text == "leaf1 port 3, cable to mlx5_0/1: 130 symbol errors within an hour"


def test_flap_keeps_several_causes_open(catalog: Catalog) -> None:
    flap = catalog.knowledge["fabric.link.downed"]

    assert flap.role is Role.SUSPECT
    assert flap.weights[Cause.NETWORK_SWITCH_CABLE] - flap.weights[Cause.NIC] < 1
