"""Files under /sys/bus/pci/devices to the parts of a node that matter to training, their links and their errors.

Source: https://docs.kernel.org/admin-guide/abi-testing.html (sysfs-bus-pci, sysfs-bus-pci-devices-aer)
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from clusterwatch.model import Scalar
from collectors._sysfs import Tree, whole

DEVICES = "bus/pci/devices"

_AER = {"aer_dev_correctable": "correctable", "aer_dev_nonfatal": "nonfatal", "aer_dev_fatal": "fatal"}
_FILES = (
    "class",
    "vendor",
    "device",
    "subsystem_device",
    "power/runtime_status",
    "current_link_width",
    "max_link_width",
    "current_link_speed",
    "max_link_speed",
    *_AER,
)
FILES = tuple(f"{DEVICES}/*/{name}" for name in _FILES)
# A virtual function has the link of its physical one, and comes and goes with the machines that use it.
PLACES = tuple(f"{DEVICES}/*{below}" for below in ("", "/physfn", "/nvme/*", "/net/*", "/infiniband/*"))

# The first bytes of the class code to what the device is. Source: PCI Code and ID Assignment, section 1.
_PARTS: Mapping[str, str] = {
    "0x0300": "gpu",
    "0x0302": "gpu",
    "0x1200": "gpu",
    "0x0108": "disk",
    "0x0200": "nic",
    "0x0207": "nic",
    "0x0280": "nic",
    "0x0604": "slot",
}
_NVSWITCH = ("0x0680", "0x10de")
# The width that is read from a device that does not answer: all ones in its register.
_NO_WIDTHS = frozenset({0, 63, 255})
_ADDRESS = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")
_SPEED = re.compile(r"([0-9.]+) GT/s")


@dataclass(frozen=True, slots=True)
class Link:
    """Width in lanes and speed in GT/s (each lane), now and at most; None where the device does not say."""

    width: int | None = None
    speed: float | None = None
    most_width: int | None = None
    most_speed: float | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """One device of interest.

    Attributes:
        kind: "gpu", "nic", "disk", "nvswitch" or "slot" (a bridge: root port or port of a switch).
        model: Vendor, device and subsystem as the kernel gives them: another card in the same slot has another.
        name: As the system calls it, such as nvme0 or mlx5_0; "" where it has no name.
        able: What both ends of the link could do.
        counters: Errors by "correctable.BadTLP", as they stand.
        below: Addresses of the devices behind a bridge.
        below_kinds: What of those are of interest.
    """

    address: str
    kind: str
    model: str
    name: str = ""
    link: Link = field(default_factory=Link)
    able: Link = field(default_factory=Link)
    counters: Mapping[str, int] = field(default_factory=dict)
    below: tuple[str, ...] = ()
    below_kinds: tuple[str, ...] = ()


def parts_in(tree: Tree) -> Iterator[Part]:
    """Yield the parts of interest in the order of their addresses."""
    files = _by_device(tree.files)
    virtual = {path.split("/")[3] for path in tree.places if path.endswith("/physfn")}
    above = {address: _above(tree.places.get(f"{DEVICES}/{address}", "")) for address in files}
    for address, values in sorted(files.items()):
        kind = _kind(values)
        if not kind or address in virtual:
            continue
        link, upstream = _link(values), _link(files.get(above[address] or "", {}))
        below = sorted(below for below, bridge in above.items() if bridge == address and below not in virtual)
        yield Part(
            address,
            kind,
            " ".join(values.get(name, "") for name in ("vendor", "device", "subsystem_device")).strip(),
            _name(address, tree.places),
            link,
            Link(most_width=_least(link.most_width, upstream.most_width), most_speed=_least_speed(link, upstream)),
            dict(_errors(values)),
            tuple(below),
            tuple(sorted({_kind(files[each]) for each in below} - {""})),
        )


def fields_of(part: Part) -> dict[str, Scalar]:
    """Return what a sample holds of a part, without its counters."""
    return {
        "pci": part.address,
        "part": part.kind,
        "name": part.name or None,
        "model": part.model,
        "width": part.link.width,
        "speed_gts": part.link.speed,
        "able_width": part.able.most_width,
        "able_speed_gts": part.able.most_speed,
        "below": " ".join(part.below) or None,
        "below_parts": " ".join(part.below_kinds) or None,
    }


def _by_device(files: Mapping[str, str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for path, text in files.items():
        address, _, name = path.removeprefix(f"{DEVICES}/").partition("/")
        found[address][name] = text
    return found


def _kind(values: Mapping[str, str]) -> str:
    code = values.get("class", "")[:6]
    if (code, values.get("vendor")) == _NVSWITCH:
        return "nvswitch"
    return _PARTS.get(code, "")


def _above(place: str) -> str | None:
    """Return the address of the bridge that a device hangs on; None for one of the root complex itself."""
    parent = place.split("/")[-2:-1]
    return parent[0] if parent and _ADDRESS.fullmatch(parent[0]) else None


def _name(address: str, places: Mapping[str, str]) -> str:
    """Return the name of a device; that of the RDMA device before that of its network interface."""
    for folder in ("nvme", "infiniband", "net"):
        before = f"{DEVICES}/{address}/{folder}/"
        name = next((path.removeprefix(before) for path in sorted(places) if path.startswith(before)), "")
        if name:
            return name
    return ""


def _link(values: Mapping[str, str]) -> Link:
    if values.get("power/runtime_status") == "suspended":
        return Link(most_width=_width(values.get("max_link_width")), most_speed=_speed(values.get("max_link_speed")))
    return Link(
        _width(values.get("current_link_width")),
        _speed(values.get("current_link_speed")),
        _width(values.get("max_link_width")),
        _speed(values.get("max_link_speed")),
    )


def _width(text: str | None) -> int | None:
    width = whole(text)
    return None if width in _NO_WIDTHS else width


def _speed(text: str | None) -> float | None:
    """Return 16.0 for "16.0 GT/s PCIe"; None for "Unknown"."""
    match = _SPEED.match(text or "")
    return float(match[1]) if match else None


def _least(*widths: int | None) -> int | None:
    return min((width for width in widths if width is not None), default=None)


def _least_speed(*links: Link) -> float | None:
    return min((link.most_speed for link in links if link.most_speed is not None), default=None)


def _errors(values: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    """Yield each error of the AER files with its count; their sums are left out, messages may stand for several."""
    for file, severity in _AER.items():
        for line in values.get(file, "").splitlines():
            name, _, count = line.rpartition(" ")
            number = whole(count)
            if number is not None and name and not name.startswith("TOTAL_"):
                yield f"{severity}.{name.strip()}", number
