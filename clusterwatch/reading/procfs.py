"""Text of files under /proc to values."""

from __future__ import annotations

import re
from dataclasses import dataclass

_OCTAL = re.compile(r"\\([0-3][0-7]{2})")

_NETWORK_TYPES = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "ceph", "lustre", "beegfs", "gpfs", "wekafs", "afs", "9p", "glusterfs", "orangefs"}
)
_LOCAL_TYPES = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "bcachefs", "vfat", "exfat", "ntfs3"})
# No file system on a disk, and full all the same: without room here a container's root or a data loader stops.
_KEPT_WHATEVER_THEIR_TYPE = frozenset({"/", "/dev/shm"})  # noqa: S108 - a mount that is looked at, not written to


@dataclass(frozen=True, slots=True)
class Mount:
    """One mounted file system. *may_hang*: asking it for its size may never return."""

    path: str
    device: str
    fstype: str
    is_read_only: bool
    may_hang: bool


def mounts(text: str) -> tuple[Mount, ...]:
    """Return the file systems worth watching in /proc/self/mounts, each device once, under its shortest path.

    Left out: kernel interfaces, memory but for /dev/shm, images that are full by nature, and what containers mount.
    """
    parsed = (_mount(line.split()) for line in text.splitlines() if len(line.split()) >= 4)
    # Of mounts on the same path only the last is seen.
    visible = {mount.path: mount for mount in parsed}
    watched = (mount for mount in visible.values() if _is_watched(mount))
    by_device: dict[str, Mount] = {}
    for mount in sorted(watched, key=lambda mount: (len(mount.path), mount.path)):
        by_device.setdefault(_identity(mount), mount)
    return tuple(sorted(by_device.values(), key=lambda mount: mount.path))


def load1(text: str) -> float | None:
    """Return the load over one minute from /proc/loadavg."""
    return _float(text.split()[0]) if text.split() else None


def uptime_seconds(text: str) -> float | None:
    """Return the seconds since boot, sleep included, from /proc/uptime."""
    return load1(text)


def cpu_count(text: str) -> int | None:
    """Return how many logical CPUs are online from /proc/stat."""
    return len(re.findall(r"^cpu\d+ ", text, re.MULTILINE)) or None


def booted_at_seconds(text: str) -> int | None:
    """Return when the node booted, in seconds since 1970 by the wall clock as it is set now, from /proc/stat."""
    found = re.search(r"^btime (\d{1,15})$", text, re.MULTILINE)
    return int(found[1]) if found else None


def memory_bytes(text: str) -> dict[str, int]:
    """Return the sizes of /proc/meminfo by their names there ("MemTotal"), in bytes."""
    return {name: int(kib) * 1024 for name, kib in re.findall(r"^(\w+):\s+(\d{1,15}) kB$", text, re.MULTILINE)}


def full_avg10(text: str) -> float | None:
    """Return the percentage of the last 10 s in which every task waited, from a file under /proc/pressure."""
    found = re.search(r"^full avg10=([\d.]+)", text, re.MULTILINE)
    return _float(found[1]) if found else None


def _mount(words: list[str]) -> Mount:
    device, path, fstype, options = (_OCTAL.sub(lambda code: chr(int(code[1], 8)), word) for word in words[:4])
    may_hang = fstype in _NETWORK_TYPES or fstype.startswith("fuse")
    return Mount(path, device, fstype, "ro" in options.split(","), may_hang)


def _is_watched(mount: Mount) -> bool:
    if mount.path in _KEPT_WHATEVER_THEIR_TYPE or mount.fstype in _LOCAL_TYPES or mount.fstype in _NETWORK_TYPES:
        return True
    # fusectl is the kernel's, fuse.portal, fuse.lxcfs and the like hold no data: neither names a device or a remote.
    return mount.fstype.startswith("fuse") and (mount.device.startswith("/dev/") or ":" in mount.device)


def _identity(mount: Mount) -> str:
    is_named_for_what_it_is = mount.device.startswith("/") or ":" in mount.device
    return mount.device if is_named_for_what_it_is else f"{mount.device} {mount.path}"


def _float(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
