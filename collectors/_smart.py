"""What smartctl and nvme print as JSON to the values of a disk; a value that a disk does not have is None.

Sources: https://www.smartmontools.org/wiki/TocDoc and
https://manpages.debian.org/bookworm/nvme-cli/nvme-smart-log.1.en.html and
NVM Express Base Specification, "SMART / Health Information (Log Page Identifier 02h)".
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from clusterwatch.model import Scalar
from clusterwatch.reading.text import printable

KELVIN = 273

# ATA attributes of which the raw value is a count with every maker.
# Source: https://www.smartmontools.org/wiki/Howto_ReadSmartctlReports_ATA and drivedb.h.
_ATA: Mapping[int, str] = {
    5: "reallocated_sectors",
    187: "reported_uncorrectable",
    197: "pending_sectors",
    198: "offline_uncorrectable",
    199: "link_crc_errors",
}

COUNTERS = ("media_errors", "reallocated_sectors", "reported_uncorrectable", "offline_uncorrectable", "link_crc_errors")
"""Values that only ever grow over the life of a disk."""

VALUES = (
    "health_passed",
    "critical_warning",
    "spare_percent",
    "spare_threshold_percent",
    "used_percent",
    "pending_sectors",
    "temperature_celsius",
    *COUNTERS,
)
"""Every value of a disk."""


ASLEEP = "STANDBY"
"""What smartctl says of a disk that it does not wake."""


@dataclass(frozen=True, slots=True)
class Found:
    """A disk that `smartctl --scan-open` lists. *type* is what `smartctl -d` wants to hear."""

    device: str
    type: str

    @property
    def name(self) -> str:
        """What the disk is called: "sda"; with its place where several are behind one controller."""
        name = self.device.removeprefix("/dev/")
        return f"{name} {self.type}" if "," in self.type else name


def decoded(output: str) -> Mapping[str, Any]:
    """Return the JSON object in *output*; {} where there is none."""
    try:
        answer = json.loads(output)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def scanned(answer: Mapping[str, Any]) -> Iterator[Found]:
    """Yield the disks of `smartctl --scan-open --json`."""
    for device in _list(answer.get("devices")):
        if isinstance(device, dict) and isinstance(device.get("name"), str):
            yield Found(device["name"], str(device.get("type") or "auto"))


def complaint(answer: Mapping[str, Any]) -> str:
    """Return what smartctl complained about; "" where it read the disk."""
    messages = _list(_table(answer.get("smartctl")).get("messages"))
    said = (str(message.get("string")) for message in messages if isinstance(message, dict))
    has_values = any(name in answer for name in ("smart_status", "ata_smart_attributes", _NVME_LOG, "scsi_version"))
    return "" if has_values else printable(next(said, "smartctl says nothing of this disk"), 300)


def identity_by_smartctl(answer: Mapping[str, Any]) -> dict[str, Scalar]:
    """Return model, serial number and protocol of a disk."""
    return {
        "model": _text(answer.get("model_name") or answer.get("scsi_model_name")),
        "serial": _text(answer.get("serial_number")),
        "protocol": _text(_table(answer.get("device")).get("protocol")),
    }


_NVME_LOG = "nvme_smart_health_information_log"


def no_values() -> dict[str, Scalar]:
    """Return the values of a disk of which nothing is known."""
    return dict.fromkeys(VALUES)


def values_by_smartctl(answer: Mapping[str, Any]) -> dict[str, Scalar]:
    """Return the values of `smartctl --all --json`."""
    values = no_values()
    if _NVME_LOG in answer:
        log = _table(answer[_NVME_LOG])
        # For these disks smartctl derives the status from the critical warning, of which each bit has its own meaning.
        return {
            **values,
            "critical_warning": _whole(log.get("critical_warning")),
            "spare_percent": _whole(log.get("available_spare")),
            "spare_threshold_percent": _whole(log.get("available_spare_threshold")),
            "used_percent": _whole(log.get("percentage_used")),
            "media_errors": _whole(log.get("media_errors")),
            "temperature_celsius": _whole(log.get("temperature")),
        }
    passed = _table(answer.get("smart_status")).get("passed")
    values["health_passed"] = passed if isinstance(passed, bool) else None
    values["temperature_celsius"] = _whole(_table(answer.get("temperature")).get("current"))
    values["reallocated_sectors"] = _whole(answer.get("scsi_grown_defect_list"))
    values["used_percent"] = _whole(answer.get("scsi_percentage_used_endurance_indicator"))
    values["reported_uncorrectable"] = _scsi_uncorrected(_table(answer.get("scsi_error_counter_log")))
    return {**values, **dict(_ata_values(answer))}


def values_by_nvme(answer: Mapping[str, Any]) -> dict[str, Scalar]:
    """Return the values of `nvme smart-log --output-format=json`."""
    warning = answer.get("critical_warning")
    kelvin = _whole(answer.get("temperature"))
    return {
        **no_values(),
        # Versions with --verbose in mind spell the bits out beside the value.
        "critical_warning": _whole(warning.get("value") if isinstance(warning, dict) else warning),
        "spare_percent": _whole(answer.get("avail_spare")),
        "spare_threshold_percent": _whole(answer.get("spare_thresh")),
        "used_percent": _whole(answer.get("percent_used", answer.get("percentage_used"))),
        "media_errors": _whole(answer.get("media_errors")),
        "temperature_celsius": kelvin - KELVIN if kelvin else None,
    }


def _ata_values(answer: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    for attribute in _list(_table(answer.get("ata_smart_attributes")).get("table")):
        name = _ATA.get(attribute.get("id", 0)) if isinstance(attribute, dict) else None
        value = _whole(_table(attribute.get("raw")).get("value")) if name else None
        if name and value is not None:
            yield name, value


def _scsi_uncorrected(log: Mapping[str, Any]) -> int | None:
    counts = [_whole(_table(log.get(way)).get("total_uncorrected_errors")) for way in ("read", "write", "verify")]
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _whole(value: object) -> int | None:
    """Return a whole number; counts of 128 bits are printed as texts by some versions."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return int(value)
    except (ValueError, OverflowError):
        return None


def _text(value: object) -> str | None:
    return printable(value.strip(), 100) if isinstance(value, str) and value.strip() else None


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
