"""Files under /sys/devices/system/edac, and /proc/interrupts, to counted errors of memory, caches and processors.

Source: https://docs.kernel.org/admin-guide/ras.html and https://docs.kernel.org/driver-api/edac.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from collectors._sysfs import Tree, whole

EDAC = "devices/system/edac"
_MODULE_FILES = ("dimm_label", "dimm_location", "dimm_ce_count", "dimm_ue_count", "size")
FILES = (
    *(f"{EDAC}/mc/mc*/dimm*/{name}" for name in _MODULE_FILES),
    f"{EDAC}/mc/mc*/*e_noinfo_count",
    # Drivers of before Linux 3.6, and those that still number rows of chips.
    f"{EDAC}/mc/mc*/csrow*/ue_count",
    f"{EDAC}/mc/mc*/csrow*/ch*_ce_count",
    f"{EDAC}/mc/mc*/csrow*/ch*_dimm_label",
    # Caches and buses, on Arm servers mostly: device, then its instance.
    f"{EDAC}/*/*/ce_count",
    f"{EDAC}/*/*/ue_count",
)

COUNTERS_TURN_AT = 1 << 32
"""The kernel keeps these counters in 32 bits."""

# Rows of /proc/interrupts (arch/x86/kernel/irq.c): machine check exceptions that the kernel survived; threshold
# interrupts, which report corrected errors; deferred errors, which nothing has used yet.
_INTERRUPTS = {"MCE": "exceptions", "THR": "corrected", "DFR": "deferred"}
_CPU = re.compile(r"\bCPU(\d+)")
_ROW = re.compile(r"^ *(MCE|THR|DFR): +([\d ]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Memory:
    """A memory module, a controller (errors that it could not place), or a cache, with its counters as they stand.

    *kind* is "dimm", "controller" or "cache"; *label* is what the firmware calls it, "" where it does not.
    """

    key: str
    kind: str
    label: str
    location: str = ""
    counters: Mapping[str, int] = field(default_factory=dict)


def memory_in(tree: Tree) -> Iterator[Memory]:
    """Yield everything that counts memory errors, modules first."""
    files = {path.removeprefix(f"{EDAC}/"): text for path, text in tree.files.items()}
    modules = list(_modules(files))
    yield from modules or _rows(files)
    yield from _controllers(files)
    yield from _caches(files)


def machine_checks(interrupts: str) -> dict[str, dict[int, int]]:
    """Return the counters of /proc/interrupts that tell of machine checks, for each CPU by its number.

    The one of an event that this kernel or processor does not know is missing.
    """
    # A CPU that is offline has no column: only the heading says whose each is.
    heading, _, rows = interrupts.partition("\n")
    cpus = [int(number) for number in _CPU.findall(heading)]
    found = {
        _INTERRUPTS[name]: dict(zip(cpus, map(int, counts.split()), strict=False))
        for name, counts in _ROW.findall(rows)
    }
    return dict(sorted(found.items()))


def _modules(files: Mapping[str, str]) -> Iterator[Memory]:
    for key in _folders(files, r"mc/(mc\d+/dimm\d+)/"):
        values = {name: files.get(f"mc/{key}/{name}", "") for name in _MODULE_FILES}
        counters = {"corrected": whole(values["dimm_ce_count"]), "uncorrected": whole(values["dimm_ue_count"])}
        yield Memory(key, "dimm", values["dimm_label"], values["dimm_location"], _known(counters))


def _rows(files: Mapping[str, str]) -> Iterator[Memory]:
    for key in _folders(files, r"mc/(mc\d+/csrow\d+/ch\d+)_"):
        counters = {"corrected": whole(files.get(f"mc/{key}_ce_count"))}
        yield Memory(key, "dimm", files.get(f"mc/{key}_dimm_label", ""), "", _known(counters))
    for key in _folders(files, r"mc/(mc\d+/csrow\d+)/ue_count"):
        yield Memory(key, "dimm", "", "", _known({"uncorrected": whole(files.get(f"mc/{key}/ue_count"))}))


def _controllers(files: Mapping[str, str]) -> Iterator[Memory]:
    for key in _folders(files, r"mc/(mc\d+)/.e_noinfo_count"):
        counters = {
            "corrected": whole(files.get(f"mc/{key}/ce_noinfo_count")),
            "uncorrected": whole(files.get(f"mc/{key}/ue_noinfo_count")),
        }
        yield Memory(key, "controller", "", "", _known(counters))


def _caches(files: Mapping[str, str]) -> Iterator[Memory]:
    for key in _folders(files, r"((?!mc/|pci/)[^/]+/[^/]+)/.e_count"):
        counters = {
            "corrected": whole(files.get(f"{key}/ce_count")),
            "uncorrected": whole(files.get(f"{key}/ue_count")),
        }
        yield Memory(key, "cache", key, "", _known(counters))


def _folders(files: Mapping[str, str], pattern: str) -> list[str]:
    found = (re.match(pattern, path) for path in files)
    return sorted({match[1] for match in found if match})


def _known(counters: Mapping[str, int | None]) -> dict[str, int]:
    return {name: value for name, value in counters.items() if value is not None}
