from datetime import UTC, datetime, timedelta

import pytest

from clusterwatch.detect import Catalog, ObserverState, notice
from clusterwatch.model import Event, Reading, Scalar

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HEALTHY: dict[str, Scalar] = {
    "key": "nvme0",
    "disk": "nvme0",
    "model": "PM9A3",
    "state": "live",
    "answers": True,
    "health_passed": True,
    "critical_warning": 0,
    "spare_percent": 100,
    "spare_threshold_percent": 10,
    "used_percent": 4,
    "pending_sectors": 0,
    "media_errors_total": 0,
    "reallocated_sectors_total": 0,
    "reported_uncorrectable_total": 0,
    "offline_uncorrectable_total": 0,
    "is_continuous": True,
}
ARRAY: dict[str, Scalar] = {
    "key": "md0",
    "array": "md0",
    "state": "active",
    "members": 2,
    "members_active": 2,
    "failed": "",
    "is_continuous": True,
}


def events_of(catalog: Catalog, subject: str, *samples: dict[str, Scalar]) -> list[Event]:
    readings = [
        Reading(
            source="disks",
            node="node001",
            position=str(n),
            observed_at=NOON + timedelta(minutes=5 * n),
            subject=subject,
            fields=fields,
        )
        for n, fields in enumerate(samples)
    ]
    return notice(ObserverState(), readings, catalog, NOON + timedelta(days=1))[1]


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"answers": False}, "disk.unresponsive"),
        ({"state": "dead"}, "disk.dead"),
        ({"health_passed": False}, "disk.health_failed"),
        ({"critical_warning": 0x08}, "disk.read_only"),
        ({"critical_warning": 0x04}, "disk.unreliable"),
        ({"critical_warning": 0x10}, "disk.backup_failed"),
        ({"critical_warning": 0x02, "temperature_celsius": 88}, "disk.too_hot"),
        ({"critical_warning": 0x01}, "disk.spare_low"),
        ({"spare_percent": 9}, "disk.spare_low"),
        ({"used_percent": 101}, "disk.worn"),
        ({"pending_sectors": 8}, "disk.pending_sectors"),
        ({"media_errors_total": 1}, "disk.media_errors"),
        ({"reported_uncorrectable_total": 2, "offline_uncorrectable_total": 2}, "disk.uncorrectable"),
        ({"reallocated_sectors_total": 1}, "disk.reallocated"),
    ],
)
def test_change_of_a_disk_is_told_once_with_its_name(catalog: Catalog, change: dict[str, Scalar], kind: str) -> None:
    changed = {**HEALTHY, **change}

    (event,) = events_of(catalog, "disk.sample", HEALTHY, changed, changed)

    assert (event.kind, str(event.component)) == (kind, "disk nvme0 on node001")


def test_healthy_disk_and_one_that_says_nothing_give_nothing(catalog: Catalog) -> None:
    silent = {**dict.fromkeys(HEALTHY), "key": "nvme0", "disk": "nvme0", "is_continuous": True}

    assert events_of(catalog, "disk.sample", HEALTHY, silent, HEALTHY) == []


def test_errors_of_the_past_are_no_evidence(catalog: Catalog) -> None:
    after_a_pause = {**HEALTHY, "media_errors_total": 9, "is_continuous": False}

    assert events_of(catalog, "disk.sample", HEALTHY, after_a_pause) == []


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        ({"members_active": 1}, ["disk.array.degraded"]),
        ({"members_active": 1, "failed": "sdb1"}, ["disk.array.failed_member", "disk.array.degraded"]),
        ({"state": "inactive", "members_active": None}, ["disk.array.inactive"]),
    ],
)
def test_array_that_loses_a_member_is_told_once(catalog: Catalog, change: dict[str, Scalar], kinds: list[str]) -> None:
    changed = {**ARRAY, **change}

    assert [event.kind for event in events_of(catalog, "disk.array", ARRAY, changed, changed)] == kinds


def test_striped_array_without_counted_members_gives_nothing(catalog: Catalog) -> None:
    assert events_of(catalog, "disk.array", {**ARRAY, "members": None, "members_active": None}) == []
