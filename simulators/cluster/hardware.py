"""What the parts of a node are called: the ids that kernels, drivers and controllers print."""

from __future__ import annotations

from collections.abc import Mapping

from clusterwatch.model import ComponentKind

# Where the eight GPUs of an HGX H100 board usually sit on the PCI bus.
_GPU_PCI = ("18:00", "2a:00", "3a:00", "5d:00", "9a:00", "ab:00", "ba:00", "db:00")


def gpu_pci(gpu: int) -> str:
    """Return the PCI address of GPU number *gpu*, without function: "0000:18:00"."""
    return f"0000:{_GPU_PCI[gpu % len(_GPU_PCI)]}"


def nic_device(nic: int) -> str:
    """Return the RDMA device of the NIC beside GPU number *nic*: "mlx5_3"."""
    return f"mlx5_{nic}"


def nic_pci(nic: int) -> str:
    """Return the PCI address of the NIC beside GPU number *nic*, with its function: "0000:1a:00.0"."""
    return f"0000:{0x1A + 0x10 * nic:02x}:00.0"


_PARTS: Mapping[ComponentKind, tuple[str, ...]] = {
    ComponentKind.NVSWITCH: ("0000:05:00", "0000:06:00", "0000:07:00", "0000:08:00"),
    ComponentKind.DISK: ("nvme0n1", "nvme1n1", "nvme2n1", "nvme3n1"),
    ComponentKind.DIMM: tuple(f"CPU{cpu}_DIMM_{channel}1" for cpu in (0, 1) for channel in "ABCDEFGH"),
    ComponentKind.CPU: ("0", "1"),
    ComponentKind.PSU: tuple(f"PSU{number}" for number in range(1, 7)),
    ComponentKind.FAN: tuple(f"FAN{number}" for number in range(1, 13)),
    ComponentKind.SLOT: tuple(str(number) for number in range(1, 9)),
}


def part_ids(kind: ComponentKind, gpus_per_node: int = 8) -> tuple[str, ...]:
    """Return the ids of the parts of *kind* that a node holds, in their order; () for what no node holds."""
    numbers = range(gpus_per_node)
    if kind is ComponentKind.GPU:
        return tuple(map(gpu_pci, numbers))
    if kind is ComponentKind.NIC:
        return tuple(map(nic_pci, numbers))
    return _PARTS.get(kind, ())
