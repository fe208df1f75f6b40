"""What disks say of themselves, and the state of software RAID.

The critical warning of an NVMe disk has a bit for each thing that is wrong. Source: NVM Express Base Specification,
"SMART / Health Information (Log Page Identifier 02h)"; https://nvmexpress.org/specification/nvm-express-base-specification/
"""

from __future__ import annotations

from clusterwatch.detect.changes import Condition, Fields, below, beyond, bits, equals, off
from clusterwatch.detect.devices import Device, Growth
from clusterwatch.detect.progress import number
from clusterwatch.model import Component, ComponentKind, Reading

_SPARE_IS_LOW, _TOO_HOT, _UNRELIABLE, _READ_ONLY, _BACKUP_FAILED = 0x01, 0x02, 0x04, 0x08, 0x10
_DISK = "disk {disk} ({model})"


def _spare_is_low(fields: Fields, before: bool) -> bool | None:
    warned = bits("critical_warning", _SPARE_IS_LOW)(fields, before)
    return warned or below("spare_percent", "spare_threshold_percent")(fields, before) or warned


def _is_degraded(fields: Fields, before: bool) -> bool | None:
    active, members = number(fields.get("members_active")), number(fields.get("members"))
    return None if active is None or members is None else active < members


def _has_failed_member(fields: Fields, before: bool) -> bool | None:
    return None if fields.get("failed") is None else bool(fields["failed"])


def _disk(reading: Reading) -> Component:
    name = reading.fields.get("disk") or reading.fields.get("array")
    return Component(ComponentKind.DISK, str(name), reading.node)


DISK = Device(
    subject="disk.sample",
    component=_disk,
    conditions=(
        Condition("disk.unresponsive", off("answers"), _DISK + " does not answer"),
        Condition("disk.dead", equals("state", "dead"), _DISK + " was given up by its driver"),
        Condition("disk.health_failed", off("health_passed"), _DISK + " says that it fails"),
        Condition("disk.read_only", bits("critical_warning", _READ_ONLY), _DISK + " went read-only"),
        Condition("disk.unreliable", bits("critical_warning", _UNRELIABLE), _DISK + " says that it is unreliable"),
        Condition(
            "disk.backup_failed", bits("critical_warning", _BACKUP_FAILED), _DISK + " cannot save its cache any more"
        ),
        Condition("disk.too_hot", bits("critical_warning", _TOO_HOT), _DISK + " is too hot: {temperature_celsius} C"),
        Condition(
            "disk.spare_low",
            _spare_is_low,
            _DISK + " has {spare_percent} % spare left, {spare_threshold_percent} % is its limit",
        ),
        Condition("disk.worn", beyond("used_percent", limit=100, calm=99), _DISK + " is used up: {used_percent} %"),
        Condition(
            "disk.pending_sectors",
            beyond("pending_sectors", limit=1, calm=0.5),
            _DISK + " has {pending_sectors} sectors that it cannot read",
        ),
    ),
    growths=(
        Growth("disk.media_errors", "media_errors_total", _DISK + ": {growth} new media errors"),
        Growth("disk.uncorrectable", "reported_uncorrectable_total", _DISK + ": {growth} new uncorrectable errors"),
        Growth("disk.uncorrectable", "offline_uncorrectable_total", _DISK + ": {growth} new uncorrectable sectors"),
        Growth("disk.reallocated", "reallocated_sectors_total", _DISK + ": {growth} sectors newly replaced"),
        Growth("disk.link_errors", "link_crc_errors_total", _DISK + ": {growth} new errors on its cable"),
    ),
)

ARRAY = Device(
    subject="disk.array",
    component=_disk,
    conditions=(
        Condition("disk.array.failed_member", _has_failed_member, "{array}: failed members: {failed}"),
        Condition("disk.array.degraded", _is_degraded, "{array} runs with {members_active} of {members} members"),
        Condition("disk.array.inactive", equals("state", "inactive"), "{array} is not active"),
    ),
)

DISKS = (DISK, ARRAY)
"""Devices of the collector `disks`."""
