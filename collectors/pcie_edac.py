"""PCI Express links and errors, memory errors and machine checks to readings: one sample of each part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from clusterwatch.errors import SourceError
from clusterwatch.model import Collected, Reading, Scalar
from clusterwatch.seams import Site
from collectors import _edac, _pcie
from collectors._counting import Totals, totals_in
from collectors._looks import Looks, looked_before
from collectors._settings import settings_in
from collectors._sysfs import NoAnswerError, TreeReader

DEVICE, MEMORY, MACHINE_CHECKS = "pcie.device", "edac.memory", "mce.counts"
"""Subjects of the readings."""

NOTHING_HERE = "no PCI Express device and no memory controller that counts errors here"

LOOKS_UNTIL_GONE = 2
"""A device that is being reset leaves the bus for a moment; only what lasts is told."""

# Bridges come and go with what hangs on them.
_MISSED = frozenset({"gpu", "nic", "disk", "nvswitch"})

# Counters of which each count matters; what is corrected adds up over weeks on a healthy node.
_UNCORRECTED = frozenset({"fatal", "nonfatal", "uncorrected", "exceptions", "deferred"})


@dataclass(frozen=True, slots=True)
class PcieEdacSettings:
    """The collector's table of the configuration.

    Attributes:
        sysfs: Where /sys is.
        procfs: Where /proc is.
        answer_within_seconds: How long reading all devices may take.
        since_boot: Whether the first look tells errors that were not corrected since the boot; a single look does.
    """

    sysfs: Path = Path("/sys")
    procfs: Path = Path("/proc")
    answer_within_seconds: float = 10.0
    since_boot: bool = False


@dataclass(slots=True)
class _Known:
    """What is remembered of a part.

    Attributes:
        names: What it was, for when it is gone.
        best_width, best_speed_gts: The most its link ever had, over reboots; of the same model at this address.
        narrow_looks: Looks in a row at which its link was narrower than that.
        missing: Looks in a row at which it was not there.
    """

    names: dict[str, Scalar] = field(default_factory=dict)
    best_width: int | None = None
    best_speed_gts: float | None = None
    narrow_looks: int = 0
    missing: int = 0


class PcieEdacCollector:
    """Reads /sys/bus/pci, /sys/devices/system/edac and the machine checks of /proc/interrupts."""

    name = "pcie_edac"
    every_seconds = 30.0
    deadline_seconds = 25.0
    scans = True

    def __init__(self) -> None:
        self._reader = TreeReader()

    def collect(self, site: Site, position: Mapping[str, object], now: datetime) -> Collected:
        """Return a sample of each GPU, network adapter, NVMe disk and bridge, of each memory module, and of the CPUs.

        Counters are told as what they moved since the first look of this boot.

        Raises:
            SourceError: The devices do not answer.
        """
        settings = settings_in(site.settings, PcieEdacSettings, PcieEdacCollector.name)
        look = _Look(site, position, now, since_boot=settings.since_boot and not position)
        try:
            tree = self._reader.read(
                "pci", settings.sysfs, _pcie.FILES, settings.answer_within_seconds, places=_pcie.PLACES
            )
            edac = self._reader.read("edac", settings.sysfs, _edac.FILES, settings.answer_within_seconds)
        except NoAnswerError as silence:
            what = "a PCI device may have died: look for AER and pciehp lines in the kernel log"
            raise SourceError(f"{settings.sysfs} cannot be read: {silence}: {what}") from silence
        readings = (
            *(look.device(part) for part in _pcie.parts_in(tree)),
            *look.gone(),
            *(look.memory(memory) for memory in _edac.memory_in(edac)),
            *look.machine_checks(_text(settings.procfs / "interrupts")),
        )
        return Collected(readings, look.position(), "" if readings else NOTHING_HERE)

    def close(self) -> None:
        """End the child."""
        self._reader.close()


class _Look:
    """One look: what was known becomes what is known now."""

    def __init__(self, site: Site, position: Mapping[str, object], now: datetime, *, since_boot: bool) -> None:
        self._looks = Looks(PcieEdacCollector.name, site, now, looked_before(position, site.boot_id))
        self._since_boot = since_boot
        self._counters = totals_in(position, site.boot_id)
        self._known = _known(position, same_boot=position.get("boot_id") == site.boot_id)
        self._here: set[str] = set()

    def device(self, part: _pcie.Part) -> Reading:
        """Return the sample of a part."""
        fields = _pcie.fields_of(part)
        known = self._known_part(part, fields)
        totals, moved = self._totals(part.address, part.counters)
        sums = {f"{severity}_total": _sum(severity, totals) for severity in ("correctable", "nonfatal", "fatal")}
        best: dict[str, Scalar] = {
            "best_width": known.best_width,
            "best_speed_gts": known.best_speed_gts,
            "narrow_looks": known.narrow_looks,
        }
        told = {**fields, **best, **sums, "new_errors": _names(moved), "present": True}
        return self._looks.reading(DEVICE, part.address, {**told, "is_new": self._since_boot}, _words(part))

    def _known_part(self, part: _pcie.Part, fields: Mapping[str, Scalar]) -> _Known:
        known = self._known.get(part.address, _Known())
        if known.names.get("model", part.model) != part.model:
            known = _Known()
        _learn(known, part, fields)
        self._here.add(part.address)
        if part.kind in _MISSED:
            self._known[part.address] = known
        return known

    def gone(self) -> Iterator[Reading]:
        """Yield a sample of each part that was here in this boot and is not on the bus any more."""
        for address, known in self._known.items():
            if address in self._here or "part" not in known.names:
                continue
            known.missing += 1
            if known.missing >= LOOKS_UNTIL_GONE:
                fields = {**known.names, "present": False}
                yield self._looks.reading(DEVICE, address, fields, f"{known.names['part']} {address} left the bus")

    def memory(self, memory: _edac.Memory) -> Reading:
        """Return the sample of a memory module, a controller or a cache."""
        totals, _ = self._totals(memory.key, memory.counters, _edac.COUNTERS_TURN_AT)
        fields: dict[str, Scalar] = {
            "part": memory.kind,
            "label": memory.label or memory.key,
            "location": memory.location or None,
            **{f"{name}_total": total for name, total in totals.items()},
            "is_new": self._since_boot,
        }
        return self._looks.reading(MEMORY, memory.key, fields, f"{memory.kind} {memory.label or memory.key}")

    def machine_checks(self, interrupts: str) -> Iterator[Reading]:
        """Yield the sample of the machine checks that the CPUs took, where this kernel counts them."""
        counts = _edac.machine_checks(interrupts)
        if not counts:
            return
        raw = {f"{name}.{cpu}": count for name, row in counts.items() for cpu, count in row.items()}
        totals, moved = self._totals("cpus", raw, _edac.COUNTERS_TURN_AT)
        cpus = sorted({int(name.partition(".")[2]) for name in moved})
        fields: dict[str, Scalar] = {
            **{f"{name}_total": _sum(name, totals) for name in counts},
            "cpus": " ".join(map(str, cpus)) or None,
            "is_new": self._since_boot,
        }
        yield self._looks.reading(MACHINE_CHECKS, "cpus", fields, "machine checks")

    def position(self) -> dict[str, object]:
        """Return where the next look goes on."""
        parts = {
            address: {name: getattr(known, name) for name in _Known.__slots__} for address, known in self._known.items()
        }
        return {**self._looks.position(), "counters": self._counters, "parts": parts}

    def _totals(self, key: str, counters: Mapping[str, int], turns_at: int = 0) -> tuple[dict[str, int], list[str]]:
        """Return the totals of a part, and the names of the counters that moved since the last look."""
        totals = Totals(self._counters.setdefault(key, {}), dict.fromkeys(counters, turns_at), sparse=True)
        counted = totals.add(counters)
        if not self._since_boot:
            return counted, list(totals.moved)
        since_boot = {name: count for name, count in counters.items() if name.partition(".")[0] in _UNCORRECTED}
        return {**counted, **since_boot}, [name for name, count in since_boot.items() if count]


def _learn(known: _Known, part: _pcie.Part, fields: Mapping[str, Scalar]) -> None:
    known.names = {name: fields[name] for name in ("pci", "part", "name", "model")}
    known.missing = 0
    width, speed = part.link.width, part.link.speed
    known.best_width = max((value for value in (width, known.best_width) if value is not None), default=None)
    known.best_speed_gts = max((value for value in (speed, known.best_speed_gts) if value is not None), default=None)
    is_narrow = width is not None and known.best_width is not None and width < known.best_width
    known.narrow_looks = known.narrow_looks + 1 if is_narrow else 0


def _known(position: Mapping[str, object], *, same_boot: bool) -> dict[str, _Known]:
    """Return the parts that were known; those of another boot may have been taken out, and are not missed."""
    parts = position.get("parts")
    stored = parts if isinstance(parts, Mapping) else {}
    known = {address: _Known(**part) for address, part in stored.items()}
    if not same_boot:
        for part in known.values():
            part.narrow_looks, part.names = 0, {"model": part.names.get("model", "")}
    return known


def _sum(severity: str, totals: Mapping[str, int]) -> int | None:
    counted = [total for name, total in totals.items() if name.startswith(f"{severity}.")]
    return sum(counted) if counted else None


def _names(moved: list[str]) -> str | None:
    """Return "BadTLP, RxErr" for the counters that moved; None where none did."""
    return ", ".join(name.partition(".")[2] for name in moved) or None


def _words(part: _pcie.Part) -> str:
    speed = f", {part.link.speed:g} GT/s" if part.link.speed else ""
    width = f", {part.link.width} lanes" if part.link.width else ""
    return f"{part.kind} {part.address}{f' ({part.name})' if part.name else ''}{width}{speed}"


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
