from datetime import UTC, datetime

import pytest

from clusterwatch.detect import Catalog, ObserverState, notice
from clusterwatch.model import Component, ComponentKind, Event, Reading, Scalar, node_component

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HEALTHY: dict[str, Scalar] = {
    "index": 3,
    "uuid": "GPU-1",
    "pci": "00000000:3B:00.0",
    "temperature_celsius": 61,
    "ecc_uncorrected_total": 2,
    "remap_pending": False,
    "remap_failed": False,
    "throttle_reasons": 0,
    "nvlinks_active": 18,
    "lost": False,
}
MOUNT: dict[str, Scalar] = {
    "mount": "/data",
    "device": "nfs:/data",
    "fstype": "nfs4",
    "used_percent": 50.0,
    "read_only": False,
}


def events_of(catalog: Catalog, subject: str, *samples: dict[str, Scalar]) -> list[Event]:
    readings = [
        Reading(source="nvml", node="node001", position=str(n), observed_at=NOON, subject=subject, fields=fields)
        for n, fields in enumerate(samples)
    ]
    return notice(ObserverState(), readings, catalog, NOON)[1]


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"lost": True, "error": "GPU is lost"}, "gpu.lost"),
        ({"ecc_uncorrected_total": 3}, "gpu.ecc.uncorrected"),
        ({"remap_failed": True}, "gpu.remap.failed"),
        ({"remap_pending": True}, "gpu.remap.pending"),
        ({"throttle_reasons": 0x40}, "gpu.thermal_slowdown"),
        ({"throttle_reasons": 0x20}, "gpu.thermal_slowdown"),
        ({"throttle_reasons": 0x08}, "gpu.hardware_slowdown"),
        ({"throttle_reasons": 0x80}, "gpu.power_brake"),
        ({"nvlinks_active": 17}, "gpu.nvlink.down"),
    ],
)
def test_change_of_a_gpu_is_told_once(catalog: Catalog, change: dict[str, Scalar], kind: str) -> None:
    changed = {**HEALTHY, **change}

    (event,) = events_of(catalog, "gpu.sample", HEALTHY, changed, changed)

    assert (event.kind, event.component) == (kind, Component(ComponentKind.GPU, "0000:3b:00", "node001"))
    assert "GPU 3" in event.text


def test_gpu_that_stays_as_it_is_gives_nothing(catalog: Catalog) -> None:
    assert events_of(catalog, "gpu.sample", HEALTHY, HEALTHY, {**HEALTHY, "throttle_reasons": 0x4}) == []


def test_fault_that_was_there_before_anybody_looked_is_told(catalog: Catalog) -> None:
    (event,) = events_of(catalog, "gpu.sample", {**HEALTHY, "remap_failed": True})

    assert event.kind == "gpu.remap.failed"


def test_counter_needs_two_samples_and_may_start_anew(catalog: Catalog) -> None:
    after_reset = {**HEALTHY, "ecc_uncorrected_total": 0}

    assert events_of(catalog, "gpu.sample", HEALTHY, after_reset) == []


def test_value_that_is_missing_for_once_says_nothing(catalog: Catalog) -> None:
    silent = {**HEALTHY, "ecc_uncorrected_total": None, "nvlinks_active": None, "lost": None}

    assert events_of(catalog, "gpu.sample", HEALTHY, silent, HEALTHY) == []


def test_condition_that_went_away_is_told_when_it_comes_back(catalog: Catalog) -> None:
    hot = {**HEALTHY, "throttle_reasons": 0x40}

    assert len(events_of(catalog, "gpu.sample", HEALTHY, hot, HEALTHY, hot)) == 2


def test_two_gpus_are_compared_each_with_itself(catalog: Catalog) -> None:
    other = {**HEALTHY, "uuid": "GPU-2", "pci": "00000000:5E:00.0", "ecc_uncorrected_total": 7}

    assert events_of(catalog, "gpu.sample", HEALTHY, other, HEALTHY, other) == []


def test_mount_that_becomes_read_only_is_told(catalog: Catalog) -> None:
    (event,) = events_of(catalog, "host.mount", MOUNT, {**MOUNT, "read_only": True})

    assert (event.kind, event.component) == ("host.read_only_mount", node_component("node001"))
    assert "/data" in event.text


def test_mount_that_always_was_read_only_is_no_news(catalog: Catalog) -> None:
    assert events_of(catalog, "host.mount", {**MOUNT, "read_only": True}, {**MOUNT, "read_only": True}) == []


def test_mount_that_does_not_answer_is_told(catalog: Catalog) -> None:
    events = events_of(catalog, "host.mount", MOUNT, {"mount": "/data", "timed_out": True})

    assert [event.kind for event in events] == ["host.mount_unresponsive"]


def test_disk_at_its_limit_is_told_once_until_it_has_room_again(catalog: Catalog) -> None:
    used = [97.0, 98.5, 97.5, 98.5, 90.0, 99.0]

    events = events_of(catalog, "host.mount", *({**MOUNT, "used_percent": percent} for percent in used))

    assert [event.fields["used_percent"] for event in events] == [98.5, 99.0]


def test_memory_that_is_almost_gone_is_told(catalog: Catalog) -> None:
    events = events_of(catalog, "host.sample", {"memory_available_percent": 40.0}, {"memory_available_percent": 2.5})

    assert [event.kind for event in events] == ["host.memory_pressure"]
