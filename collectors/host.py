"""The node itself to readings: load, memory, mounts, its clock, its boots."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import psutil

from clusterwatch.model import Collected, Reading, Scalar
from clusterwatch.reading import procfs
from clusterwatch.seams import Site
from collectors._mount_usage import COMMAND, MountProbes, Usage, usage

SAMPLE, MOUNT, CLOCK_STEP, REBOOTED = "host.sample", "host.mount", "host.clock_step", "host.rebooted"
NODE_ADDRESSES = "host.addresses"
"""Subjects of the readings."""

# btime has whole seconds, so two looks at an untouched clock may differ by one.
CLOCK_TOLERANCE_SECONDS = 1

MOUNT_DEADLINE_SECONDS = 3.0


_HERE_ONLY = ("127.", "::1", "fe80:", "169.254.")


def own_addresses() -> tuple[str, ...]:
    """Return the IP addresses by which other nodes can know this one, sorted."""
    found = (address for device in psutil.net_if_addrs().values() for address in device)
    named = {each.address for each in found if each.family in (socket.AF_INET, socket.AF_INET6)}
    return tuple(sorted(name for name in named if not name.startswith(_HERE_ONLY)))


class HostCollector:
    """Reads /proc, and asks each mount how full it is."""

    name = "host"
    every_seconds = 10.0
    deadline_seconds = 8.0
    scans = True

    def __init__(
        self, mount_probe: Sequence[str] = COMMAND, addresses: Callable[[], tuple[str, ...]] = own_addresses
    ) -> None:
        """*mount_probe* is the program that is asked about a mount which may hang; *addresses* are the node's own."""
        self._probes = MountProbes(mount_probe)
        self._addresses = addresses

    def collect(self, site: Site, position: Mapping[str, object], now: datetime) -> Collected:
        """Return a sample of the node, one reading per mount, and what happened to its clock and boot.

        Settings: *procfs* where /proc is, *mount_deadline_seconds* for all mounts that may hang together.
        """
        root = Path(str(site.settings.get("procfs", "/proc")))
        if not (root / "uptime").exists():
            return Collected(position=position, condition=f"no /proc at {root}")
        booted_at = procfs.booted_at_seconds(_text(root / "stat"))
        look = _Look(site, now)
        addresses = ",".join(self._addresses())
        readings = (
            *_changes(look, position, booted_at),
            *_known_by(look, position, addresses),
            look.reading(SAMPLE, now.isoformat(), "load, memory and uptime of the node", _sample(root)),
            *self._mounts(look, root),
        )
        return Collected(readings, {"boot_id": site.boot_id, "booted_at_seconds": booted_at, "addresses": addresses})

    def close(self) -> None:
        """Kill the probes that hang."""
        self._probes.close()

    def _mounts(self, look: _Look, root: Path) -> Iterator[Reading]:
        mounts = procfs.mounts(_text(root / "self" / "mounts"))
        deadline_seconds = float(str(look.site.settings.get("mount_deadline_seconds", MOUNT_DEADLINE_SECONDS)))
        probed = self._probes.usages((mount.path for mount in mounts if mount.may_hang), deadline_seconds)
        for mount in mounts:
            found = probed[mount.path] if mount.may_hang else usage(mount.path)
            position = f"{look.now.isoformat()}/{mount.path}"
            yield look.reading(MOUNT, position, _mount_words(mount, found), _mount_fields(mount, found))


class _Look:
    """Where and when: what every reading of one collection shares."""

    def __init__(self, site: Site, now: datetime) -> None:
        self.site = site
        self.now = now

    def reading(self, subject: str, position: str, text: str, values: Mapping[str, Scalar]) -> Reading:
        return Reading(
            source=HostCollector.name,
            node=self.site.node,
            position=position,
            observed_at=self.now,
            happened_at=self.now,
            boot_id=self.site.boot_id,
            subject=subject,
            text=text,
            fields=values,
        )


def _changes(look: _Look, position: Mapping[str, object], booted_at: int | None) -> Iterator[Reading]:
    """Yield what differs from the last look. Within one boot its time moves only when the clock is set."""
    before = position.get("boot_id")
    if before and look.site.boot_id and before != look.site.boot_id:
        yield _rebooted(look, str(before), booted_at)
        return
    booted_before = position.get("booted_at_seconds")
    if not isinstance(booted_before, int) or booted_at is None:
        return
    step_seconds = booted_at - booted_before
    if abs(step_seconds) > CLOCK_TOLERANCE_SECONDS:
        text = f"the clock was set {'forward' if step_seconds > 0 else 'back'} by {abs(step_seconds)} s"
        yield look.reading(CLOCK_STEP, f"clock:{look.now.isoformat()}", text, {"step_seconds": step_seconds})


def _known_by(look: _Look, position: Mapping[str, object], addresses: str) -> Iterator[Reading]:
    """Yield the addresses of the node where they are not those of the last look."""
    if addresses and addresses != position.get("addresses"):
        at = f"addresses:{look.now.isoformat()}"
        yield look.reading(NODE_ADDRESSES, at, f"the node is known by {addresses}", {"addresses": addresses})


def _rebooted(look: _Look, previous_boot_id: str, booted_at: int | None) -> Reading:
    booted = None if booted_at is None else datetime.fromtimestamp(booted_at, UTC).isoformat()
    values: dict[str, Scalar] = {"previous_boot_id": previous_boot_id, "booted_at": booted}
    return look.reading(
        REBOOTED, f"boot:{look.site.boot_id}", f"the node booted at {booted or 'an unknown time'}", values
    )


def _sample(root: Path) -> dict[str, Scalar]:
    memory = procfs.memory_bytes(_text(root / "meminfo"))
    swap_total = memory.get("SwapTotal")
    swap_used = None if swap_total is None else swap_total - memory.get("SwapFree", 0)
    return {
        "load1": procfs.load1(_text(root / "loadavg")),
        "cpu_count": procfs.cpu_count(_text(root / "stat")),
        "memory_available_percent": _percent(memory.get("MemAvailable"), memory.get("MemTotal")),
        "memory_total_bytes": memory.get("MemTotal"),
        "swap_used_percent": 0.0 if swap_total == 0 else _percent(swap_used, swap_total),
        "psi_memory_full_avg10": procfs.full_avg10(_text(root / "pressure" / "memory")),
        "uptime_seconds": procfs.uptime_seconds(_text(root / "uptime")),
    }


def _mount_fields(mount: procfs.Mount, found: Usage) -> dict[str, Scalar]:
    return {
        "mount": mount.path,
        "device": mount.device,
        "fstype": mount.fstype,
        "used_percent": found.get("used_percent"),
        "inodes_used_percent": found.get("inodes_used_percent"),
        "read_only": mount.is_read_only,
        "timed_out": bool(found.get("timed_out")),
        "error": found.get("error"),
    }


def _mount_words(mount: procfs.Mount, found: Usage) -> str:
    if found.get("timed_out"):
        return f"{mount.path} ({mount.fstype}, {mount.device}) does not answer"
    if found.get("error"):
        return f"{mount.path} ({mount.fstype}, {mount.device}): {found['error']}"
    way = "read-only" if mount.is_read_only else "writable"
    return f"{mount.path} ({mount.fstype}, {way}): {found.get('used_percent')} % used"


def _text(path: Path) -> str:
    """Return what the file holds; nothing where this kernel has no such file or does not let it be read."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _percent(part: int | None, whole: int | None) -> float | None:
    return round(100 * part / whole, 2) if part is not None and whole else None
