from datetime import UTC, datetime

import pytest

from clusterwatch.detect import Catalog, ObserverState, notice
from clusterwatch.model import Component, ComponentKind, Event, Reading, Scalar, node_component

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def sensor(name: str, entity_id: int, **values: Scalar) -> dict[str, Scalar]:
    return {
        "key": name,
        "sensor": name,
        "number": 1,
        "entity_id": entity_id,
        "entity_instance": 1,
        "status": "ok",
        "value": None,
        "unit": None,
        "states": None,
        **values,
    }


def events_of(catalog: Catalog, *samples: dict[str, Scalar]) -> list[Event]:
    readings = [
        Reading(source="bmc", node="node001", position=str(n), observed_at=NOON, subject="bmc.sensor", fields=fields)
        for n, fields in enumerate(samples)
    ]
    return notice(ObserverState(), readings, catalog, NOON)[1]


@pytest.mark.parametrize(
    ("sample", "kind", "component"),
    [
        (sensor("PS1 Status", 10, states="Presence detected, Failure detected"), "power_supply.failed", "psu PS1"),
        (sensor("PS2 Status", 10, states="Power Supply AC lost"), "power_supply.input_lost", "psu PS2"),
        (sensor("PS2 Status", 10, states="Predictive failure"), "power_supply.predicted", "psu PS2"),
        (sensor("PS Redundancy", 19, states="Redundancy Lost"), "power_supply.redundancy_lost", "node node001"),
        (sensor("PS1 Voltage", 10, status="cr", value=3.0, unit="Volts"), "power_supply.critical", "psu PS1 Voltage"),
        (sensor("Fan 3 Tach", 29, status="cr", value=200.0, unit="RPM"), "fan.critical", "fan Fan 3"),
        (sensor("FAN_BRD 2", 7, status="nr", value=0.0, unit="RPM"), "fan.critical", "fan FAN_BRD 2"),
        (sensor("Inlet Temp", 55, status="nr", value=55.0, unit="degrees C"), "temperature.critical", "node node001"),
        (sensor("PSU1 Temp", 10, status="cr", value=99.0, unit="degrees C"), "temperature.critical", "psu PSU1 Temp"),
        (sensor("P12V", 7, status="nc", value=11.1, unit="Volts"), "voltage.warning", "node node001"),
        (sensor("DIMM A1", 32, states="Uncorrectable ECC"), "memory.uncorrectable", "dimm DIMM A1"),
        (sensor("CPU1 Status", 3, states="IERR"), "processor.failed", "cpu CPU1"),
        (sensor("Drive 4", 26, states="Drive Present, Drive Fault"), "drive.failed", "disk Drive 4"),
        (sensor("Intrusion", 23, states="General Chassis intrusion"), "intrusion", "node node001"),
    ],
)  # fmt: skip
def test_sensor_tells_its_fault_once_with_its_part(
    catalog: Catalog, sample: dict[str, Scalar], kind: str, component: str
) -> None:
    (event,) = events_of(catalog, sample, sample)

    assert (event.kind, f"{event.component.kind} {event.component.id}") == (f"bmc.sensor.{kind}", component)


def test_healthy_sensors_say_nothing(catalog: Catalog) -> None:
    healthy = [
        sensor("PS1 Status", 10, states="Presence detected"),
        sensor("PS Redundancy", 19, states="Fully Redundant"),
        sensor("Fan 1", 29, value=9000.0, unit="RPM"),
        sensor("DIMM A1", 32, states="Presence Detected"),
    ]

    assert events_of(catalog, *healthy) == []


def test_sensor_without_a_reading_says_nothing_and_keeps_what_was_known(catalog: Catalog) -> None:
    failed = sensor("PS1 Status", 10, states="Failure detected")
    silent = sensor("PS1 Status", 10, status=None)

    assert len(events_of(catalog, failed, silent, failed)) == 1


def test_fault_that_went_away_and_came_back_is_told_again(catalog: Catalog) -> None:
    failed = sensor("PS1 Status", 10, states="Failure detected")
    healthy = sensor("PS1 Status", 10, states="Presence detected")

    assert len(events_of(catalog, failed, healthy, failed)) == 2


def test_power_supply_that_fails_is_blamed_on_itself(catalog: Catalog) -> None:
    (event,) = events_of(catalog, sensor("PS1 Status", 10, states="Failure detected"))
    signal = catalog.knowledge[event.kind]

    assert event.component == Component(ComponentKind.PSU, "PS1", "node001")
    assert (signal.leading_cause, signal.suspect) == ("power_supply", ComponentKind.PSU)
    assert node_component("node001") != event.component
