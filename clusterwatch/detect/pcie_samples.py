"""What the samples of PCI Express parts, of memory modules and of the CPUs' machine checks mean.

A GPU lowers the speed of its link, and may give up lanes, while it has nothing to do; so its speed is never evidence,
and its width only when it stays low. Many corrected memory errors are as many as a vendor's manual replaces a module
for: more than 24 within 24 hours. Corrected errors of a link are allowed by its bit error ratio of 10^-12, a handful in
an hour; a hundred in a minute are not.

Sources: https://docs.nvidia.com/deploy/nvidia-smi/index.html (link width and generation when the GPU is not in use),
https://docs.kernel.org/PCI/pcieaer-howto.html, https://docs.kernel.org/admin-guide/ras.html,
https://cellphone.manualsonline.com/manuals/mfg/sun_microsystems/x4240.html?p=22
"""

from __future__ import annotations

from clusterwatch.detect.changes import Condition, Fields, Holds
from clusterwatch.detect.devices import Device, Growth
from clusterwatch.detect.progress import number
from clusterwatch.detect.sightings import component_id
from clusterwatch.model import Component, ComponentKind, Reading, node_component

LOOKS_UNTIL_GPU_IS_NARROW = 10
"""Looks in a row, half a minute apart: no training job leaves its GPUs idle at each of them."""

MANY_CORRECTED_IN_A_DAY = 25
MANY_LINK_ERRORS_IN_A_MINUTE = 100

_DAY_SECONDS = 86_400.0
_PART = "{part} {pci} ({name})"
_KINDS = {
    "gpu": ComponentKind.GPU,
    "nic": ComponentKind.NIC,
    "disk": ComponentKind.DISK,
    "nvswitch": ComponentKind.NVSWITCH,
    "slot": ComponentKind.SLOT,
}
# Bridges have the links of what hangs on them: those would be told twice. A link between two bridges has no other end.
_WITH_A_LINK = frozenset({"nic", "disk"})
_BRIDGE, _BETWEEN_BRIDGES = "slot", "slot to slot"


def _lost(part: str) -> Holds:
    def holds(fields: Fields, before: bool) -> bool | None:
        if fields.get("present") is None or fields.get("part") != part:
            return None
        return not fields["present"]

    return holds


def _less(name: str, than: str, parts: frozenset[str]) -> Holds:
    """Hold while a link has less of *name* than *than*; it does not say where one of them is not known."""

    def holds(fields: Fields, before: bool) -> bool | None:
        now, once = number(fields.get(name)), number(fields.get(than))
        part = _BETWEEN_BRIDGES if fields.get("below_parts") == _BRIDGE else fields.get("part")
        if now is None or once is None or part not in parts:
            return None
        return now < once

    return holds


def _never_better(name: str, best: str, able: str) -> Holds:
    """Hold while a link has less than both its ends could do, and never had more: that may be how it is built."""

    def holds(fields: Fields, before: bool) -> bool | None:
        now, once, possible = (number(fields.get(field)) for field in (name, best, able))
        if now is None or once is None or possible is None or fields.get("part") not in _WITH_A_LINK:
            return None
        return now >= once and now < possible

    return holds


def _gpu_stays_narrow(fields: Fields, before: bool) -> bool | None:
    looks = number(fields.get("narrow_looks"))
    if looks is None or fields.get("part") != "gpu" or fields.get("width") is None:
        return None
    return looks >= LOOKS_UNTIL_GPU_IS_NARROW


def _component(reading: Reading) -> Component:
    fields = reading.fields
    kind = _KINDS.get(str(fields.get("part")))
    if kind is None:
        return node_component(reading.node)
    # An NVMe disk has a name that everybody uses; the other parts are known by their address.
    name = fields.get("name") if kind is ComponentKind.DISK else None
    return Component(kind, component_id(kind, str(name or fields.get("pci"))), reading.node)


DEVICE = Device(
    subject="pcie.device",
    component=_component,
    conditions=(
        *(
            Condition(f"pcie.lost.{part}", _lost(part), _PART + " left the PCI bus")
            for part in ("gpu", "nic", "disk", "nvswitch")
        ),
        Condition(
            "pcie.link.{part}.narrower",
            _less("width", "best_width", _WITH_A_LINK | {_BETWEEN_BRIDGES}),
            _PART + " has {width} lanes, it had {best_width}",
        ),
        Condition(
            "pcie.link.{part}.slower",
            _less("speed_gts", "best_speed_gts", _WITH_A_LINK | {_BETWEEN_BRIDGES}),
            _PART + " runs at {speed_gts} GT/s, it had {best_speed_gts}",
        ),
        Condition(
            "pcie.link.narrow",
            _never_better("width", "best_width", "able_width"),
            _PART + " has {width} lanes of the {able_width} that both ends could use",
        ),
        Condition(
            "pcie.link.slow",
            _never_better("speed_gts", "best_speed_gts", "able_speed_gts"),
            _PART + " runs at {speed_gts} GT/s of the {able_speed_gts} that both ends could use",
        ),
        Condition("pcie.link.gpu_narrower", _gpu_stays_narrow, _PART + " stays at {width} lanes, it had {best_width}"),
    ),
    growths=(
        Growth("pcie.aer.fatal.{part}", "fatal_total", _PART + ": {growth} fatal PCIe errors: {new_errors}"),
        Growth(
            "pcie.aer.nonfatal.{part}", "nonfatal_total", _PART + ": {growth} uncorrected PCIe errors: {new_errors}"
        ),
        Growth(
            "pcie.aer.many_corrected.{part}",
            "correctable_total",
            _PART + ": {growth} corrected PCIe errors within a minute: {new_errors}",
            MANY_LINK_ERRORS_IN_A_MINUTE,
            60.0,
        ),
    ),
)


def _module(reading: Reading) -> Component:
    fields = reading.fields
    if fields.get("part") == "dimm":
        return Component(ComponentKind.DIMM, str(fields.get("label")), reading.node)
    if fields.get("part") == "cache":
        return Component(ComponentKind.CPU, str(fields.get("label")), reading.node)
    return node_component(reading.node)


MEMORY = Device(
    subject="edac.memory",
    component=_module,
    growths=(
        Growth("edac.uncorrected", "uncorrected_total", "{part} {label}: {growth} uncorrected memory errors"),
        Growth(
            "edac.many_corrected",
            "corrected_total",
            "{part} {label}: {growth} corrected memory errors within a day",
            MANY_CORRECTED_IN_A_DAY,
            _DAY_SECONDS,
        ),
    ),
)


def _cpu(reading: Reading) -> Component:
    cpus = str(reading.fields.get("cpus") or "").split()
    # A machine check may be sent to every CPU: then it names none.
    return Component(ComponentKind.CPU, cpus[0], reading.node) if len(cpus) == 1 else node_component(reading.node)


CPUS = Device(
    subject="mce.counts",
    component=_cpu,
    growths=(
        Growth("mce.exception", "exceptions_total", "machine check exceptions on CPU {cpus}, {growth} counted"),
        Growth("mce.deferred", "deferred_total", "deferred errors on CPU {cpus}, {growth} counted"),
        Growth(
            "mce.many_corrected",
            "corrected_total",
            "{growth} corrected machine checks within a day",
            MANY_CORRECTED_IN_A_DAY,
            _DAY_SECONDS,
        ),
    ),
)

PCIE_EDAC = (DEVICE, MEMORY, CPUS)
"""Devices of the collector `pcie_edac`."""
