"""Files under /sys/class/infiniband and /sys/class/net to the values of a port."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from clusterwatch.model import Scalar
from collectors._sysfs import Tree, whole

PORTS = "class/infiniband/*/ports/*"
"""Where the ports of RDMA devices are, below /sys."""

# Where a counter of the InfiniBand PortCounters attribute ends: it stays there until it is cleared.
# Source: InfiniBand Architecture Specification, volume 1, section 16.1.3.5, PortCounters.
LAST_VALUES: Mapping[str, int] = {
    "symbol_error": 0xFFFF,
    "link_error_recovery": 0xFF,
    "link_downed": 0xFF,
    "port_rcv_errors": 0xFFFF,
    "port_rcv_remote_physical_errors": 0xFFFF,
    "port_rcv_switch_relay_errors": 0xFFFF,
    "port_xmit_discards": 0xFFFF,
    "port_xmit_constraint_errors": 0xFF,
    "port_rcv_constraint_errors": 0xFF,
    "local_link_integrity_errors": 0xF,
    "excessive_buffer_overrun_errors": 0xF,
    "VL15_dropped": 0xFFFF,
}

HARDWARE_COUNTERS = (
    "local_ack_timeout_err",
    "out_of_sequence",
    "packet_seq_err",
    "req_transport_retries_exceeded",
    "rnr_nak_retry_err",
    "roce_slow_restart",
    "rx_icrc_encapsulated",
)
"""Counters of hw_counters that tell of lost, late or damaged packets.

Source: https://docs.kernel.org/networking/device_drivers/ethernet/mellanox/mlx5/counters.html and
https://enterprise-support.nvidia.com/s/article/understanding-mlx5-linux-counters-and-status-parameters
"""

_PORT_FILES = ("state", "phys_state", "rate", "link_layer", "gid_attrs/ndevs/0")
_NETDEV_FILES = ("carrier", "speed", "carrier_changes", "flags")
_ADDRESS = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")
_RATE = re.compile(r"([0-9.]+) Gb/sec")
_IFF_UP = 1

CARRIER_CHANGES_TURN_AT = 1 << 32


@dataclass(frozen=True, slots=True)
class Port:
    """One port as it is now: what it is, its values, and its counters as they stand."""

    key: str
    identity: Mapping[str, Scalar]
    values: Mapping[str, Scalar]
    counters: Mapping[str, int]
    full: tuple[str, ...] = ()


def port_files(device: str) -> tuple[str, ...]:
    """Return the patterns of the files to read for the ports of *device*."""
    port = f"class/infiniband/{device}/ports/*"
    counters = (f"counters/{name}" for name in LAST_VALUES)
    hardware = (f"hw_counters/{name}" for name in HARDWARE_COUNTERS)
    return tuple(f"{port}/{name}" for name in (*_PORT_FILES, *counters, *hardware))


def netdev_files(names: Iterable[str]) -> tuple[str, ...]:
    """Return the files to read for network interfaces."""
    return tuple(f"class/net/{name}/{file}" for name in names for file in _NETDEV_FILES)


def netdevs_of(tree: Tree) -> frozenset[str]:
    """Return the network interfaces behind the ports of *tree*."""
    return frozenset(text for path, text in tree.files.items() if path.endswith("/gid_attrs/ndevs/0") and text)


def ports_in(device: str, tree: Tree, netdevs: Tree, place: str) -> Iterator[Port]:
    """Yield the ports of *device*, in the order of their numbers. *place* is where the device really is."""
    below = f"class/infiniband/{device}/ports/"
    numbers = {path.removeprefix(below).partition("/")[0] for path in tree.files if path.startswith(below)}
    for number in sorted(numbers, key=lambda text: (len(text), text)):
        files = {path.removeprefix(f"{below}{number}/"): text for path, text in tree.files.items()}
        yield _port(device, number, files, netdevs, place)


def interface_in(name: str, netdevs: Tree) -> Port | None:
    """Return the port that is the Ethernet interface *name* alone; None where there is no such interface."""
    values, counters = _netdev(name, netdevs)
    if all(value is None for value in values.values()):
        return None
    carrier = values["carrier"]
    state = None if carrier is None else "ACTIVE" if carrier else "DOWN"
    identity: dict[str, Scalar] = {"device": name, "port": 1, "netdev": name, "pci": None, "link_layer": "Ethernet"}
    speed = values.pop("speed_mbps")
    rate = speed / 1000 if isinstance(speed, int) else None
    return Port(f"{name}/1", identity, {"state": state, "phys_state": None, "rate_gbps": rate, **values}, counters)


def is_infiniband(port: Port) -> bool:
    """Return whether a port is one of an InfiniBand fabric."""
    return port.identity.get("link_layer") == "InfiniBand"


def port_words(port: Port) -> str:
    """Return what a port is and how it is, in words."""
    values = port.values
    rate = f", {values['rate_gbps']:g} Gb/s" if isinstance(values.get("rate_gbps"), float) else ""
    phys = f" ({values['phys_state']})" if values.get("phys_state") else ""
    return f"{port.key} {port.identity.get('link_layer') or ''}: {values.get('state') or 'state unknown'}{phys}{rate}"


def _port(device: str, number: str, files: Mapping[str, str], netdevs: Tree, place: str) -> Port:
    netdev = files.get("gid_attrs/ndevs/0") or None
    identity: dict[str, Scalar] = {
        "device": device,
        "port": whole(number),
        "netdev": netdev,
        "pci": _address(place),
        "link_layer": files.get("link_layer"),
    }
    of_netdev, carrier_changes = _netdev(netdev, netdevs)
    of_netdev.pop("speed_mbps")
    values: dict[str, Scalar] = {
        "state": _word(files.get("state")),
        "phys_state": _word(files.get("phys_state")),
        "rate_gbps": _rate(files.get("rate")),
        **of_netdev,
    }
    counted = {name: whole(files.get(f"counters/{name}")) for name in LAST_VALUES}
    full = tuple(name for name, value in counted.items() if value == LAST_VALUES[name])
    counted |= {name: whole(files.get(f"hw_counters/{name}")) for name in HARDWARE_COUNTERS}
    known = {name: value for name, value in counted.items() if value is not None and name not in full}
    return Port(f"{device}/{number}", identity, values, {**known, **carrier_changes}, full)


def _netdev(name: str | None, tree: Tree) -> tuple[dict[str, Scalar], dict[str, int]]:
    files = {file: whole(tree.files.get(f"class/net/{name}/{file}")) for file in _NETDEV_FILES} if name else {}
    flags, carrier, speed, changes = (files.get(file) for file in ("flags", "carrier", "speed", "carrier_changes"))
    values: dict[str, Scalar] = {
        "admin_up": None if flags is None else bool(flags & _IFF_UP),
        "carrier": None if carrier is None else bool(carrier),
        # The kernel gives -1 where the speed is not known.
        "speed_mbps": speed if speed is not None and speed > 0 else None,
    }
    return values, {} if changes is None else {"carrier_changes": changes}


def _word(text: str | None) -> str | None:
    """Return "ACTIVE" for "4: ACTIVE"."""
    return None if text is None else text.partition(":")[2].strip() or text


def _rate(text: str | None) -> float | None:
    """Return 400.0 for "400 Gb/sec (4X NDR)"."""
    match = _RATE.match(text or "")
    return float(match[1]) if match else None


def _address(place: str) -> str | None:
    """Return the last PCI address in the place of a device below /sys/devices."""
    addresses = _ADDRESS.findall(place)
    return addresses[-1] if addresses else None
