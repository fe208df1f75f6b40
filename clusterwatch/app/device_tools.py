"""Programs and drivers that collectors need for the devices of this machine: what is here, what is missing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from clusterwatch.app.findings import Finding, State, Surroundings

# Where a service may not look by itself.
_MORE_FOLDERS = ("usr/sbin", "sbin")


@dataclass(frozen=True, slots=True)
class DeviceTool:
    """A program that a collector asks about a device.

    Attributes:
        collector: Who asks; where it is switched off, the program is not missed.
        devices: Patterns below the root; where none matches, there is nothing to ask about.
        package: Debian's package that holds it.
        without: What stays unseen without it.
    """

    program: str
    collector: str
    devices: tuple[str, ...]
    package: str
    without: str


DEVICE_TOOLS = (
    DeviceTool(
        "ipmitool",
        "bmc",
        ("dev/ipmi*", "dev/ipmi/*", "sys/firmware/dmi/entries/38-*"),
        "ipmitool",
        "the BMC's event log and sensors are not read",
    ),
    DeviceTool("smartctl", "disks", ("sys/block/sd*",), "smartmontools", "disks are not asked for their health"),
    DeviceTool("nvme", "disks", ("sys/class/nvme/nvme*",), "nvme-cli", "NVMe disks are asked with smartctl alone"),
    DeviceTool(
        "ibqueryerrors",
        "fabric",
        ("sys/class/infiniband/*",),
        "infiniband-diags",
        "the other end of InfiniBand links is not seen",
    ),
)


def findings(around: Surroundings) -> Iterator[Finding]:
    """Yield what is missing for a device that is here; that nothing is, where that is so."""
    missing = [tool for tool in DEVICE_TOOLS if _is_missed(tool, around)]
    for tool in missing:
        what = f"no {tool.program}: {tool.without}"
        yield Finding("device tools", State.NOTE, what, f"apt-get install {tool.package}")
    if _has_bmc_without_driver(around):
        what = "this machine has a BMC, and no driver for it is loaded"
        yield Finding("device tools", State.NOTE, what, "modprobe ipmi_si ipmi_devintf")
    elif not missing:
        yield Finding("device tools", State.OK, "nothing is missing for the devices of this machine")


def _is_missed(tool: DeviceTool, around: Surroundings) -> bool:
    is_wanted = _is_on(tool.collector, around) and _any(tool.devices, around.root)
    return is_wanted and not _is_installed(tool.program, around)


def _is_installed(program: str, around: Surroundings) -> bool:
    return bool(shutil.which(program)) or any((around.root / folder / program).exists() for folder in _MORE_FOLDERS)


def _has_bmc_without_driver(around: Surroundings) -> bool:
    # SMBIOS type 38 is the "IPMI Device Information" (DMTF DSP0134, section 7.39).
    is_told = _is_on("bmc", around) and _any(("sys/firmware/dmi/entries/38-*",), around.root)
    return is_told and not _any(("dev/ipmi*",), around.root)


def _is_on(collector: str, around: Surroundings) -> bool:
    options = around.settings.collectors.get(collector)
    return options is None or options.enabled


def _any(patterns: tuple[str, ...], root: Path) -> bool:
    return any(True for pattern in patterns for _ in root.glob(pattern))
