"""Disks to readings: their own word on their health, by smartctl and nvme, and the state of software RAID."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from clusterwatch.model import Collected, Reading, Scalar
from clusterwatch.seams import Site
from collectors._counting import Totals, totals_in
from collectors._looks import Looks, looked_before
from collectors._mdstat import arrays
from collectors._settings import settings_in
from collectors._smart import (
    ASLEEP,
    COUNTERS,
    Found,
    complaint,
    decoded,
    identity_by_smartctl,
    no_values,
    scanned,
    values_by_nvme,
    values_by_smartctl,
)
from collectors._tools import NoAnswerError, NoToolError, Tools

DISK, ARRAY = "disk.sample", "disk.array"
"""Subjects of the readings."""

NO_DISKS = "no disk here that tells of its health"

MOST_SILENT = 3
"""Disks that do not answer until the others are not asked any more: a controller that hangs takes all of its disks."""


@dataclass(frozen=True, slots=True)
class DiskSettings:
    """The collector's table of the configuration.

    Attributes:
        smartctl: The command, such as "sudo -n smartctl".
        nvme: The command, such as "sudo -n nvme".
        sysfs: Where /sys is.
        procfs: Where /proc is.
        answer_within_seconds: How long one disk may take to answer.
    """

    smartctl: tuple[str, ...] = ("smartctl",)
    nvme: tuple[str, ...] = ("nvme",)
    sysfs: Path = Path("/sys")
    procfs: Path = Path("/proc")
    answer_within_seconds: float = 10.0


class DiskCollector:
    """Asks NVMe disks with nvme-cli and all others with smartctl; without nvme-cli, smartctl asks those too."""

    name = "disks"
    every_seconds = 300.0
    deadline_seconds = 120.0
    scans = True

    def __init__(self) -> None:
        self._tools = Tools()

    def collect(self, site: Site, position: Mapping[str, object], now: datetime) -> Collected:
        """Return a sample of each disk, also of one that does not answer, and of each array.

        Counters are told as what they moved since the first look of this boot. A disk that sleeps is not woken.
        """
        look = _Look(self._tools, site, position, now)
        readings = (*look.nvme_disks(), *look.other_disks(), *look.arrays())
        conditions = look.conditions or ([] if readings else [NO_DISKS])
        return Collected(readings, look.position(), "; ".join(conditions))

    def close(self) -> None:
        """Forget calls that hang."""
        self._tools.close()


class _Look:
    """One look at the disks."""

    def __init__(self, tools: Tools, site: Site, position: Mapping[str, object], now: datetime) -> None:
        self._tools = tools
        self._settings = settings_in(site.settings, DiskSettings, DiskCollector.name)
        self._looks = Looks(DiskCollector.name, site, now, looked_before(position, site.boot_id))
        self._counters = totals_in(position, site.boot_id)
        self._done: set[str] = set()
        self._silent_total = 0
        self.conditions: list[str] = []

    def nvme_disks(self) -> Iterator[Reading]:
        """Yield the samples of NVMe disks, where nvme-cli is installed."""
        for folder in sorted(self._settings.sysfs.glob("class/nvme/nvme*")):
            if self._has_given_up(folder.name):
                continue
            name, about = folder.name, {file: _text(folder / file) for file in ("model", "serial", "state")}
            command = (*self._settings.nvme, "smart-log", f"/dev/{name}", "--output-format=json")
            try:
                said = self._tools.ask(name, command, self._settings.answer_within_seconds)
            except NoToolError:
                return  # smartctl can ask them as well
            except NoAnswerError as silence:
                yield self._silent(name, about, str(silence))
                continue
            answer = decoded(said.output)
            if "critical_warning" not in answer:
                self.conditions.append(f"{name}: {said.complaint}")
            values = values_by_nvme(answer) if "critical_warning" in answer else no_values()
            yield self._sample(name, {**about, "protocol": "NVMe"}, values)

    def other_disks(self) -> Iterator[Reading]:
        """Yield the samples of the disks that smartctl knows and nobody asked yet."""
        try:
            said = self._tools.ask("scan", (*self._settings.smartctl, "--scan-open", "--json=c"), self._patience)
        except NoToolError as missing:
            self.conditions.append(f"no {missing} here: install smartmontools to watch disks")
            return
        except NoAnswerError as silence:
            self.conditions.append(f"disks cannot be listed: {silence}")
            return
        answer = decoded(said.output)
        if not answer:
            self.conditions.append(f"disks cannot be listed: {said.complaint}")
        for found in scanned(answer):
            if _controller(found.name) not in self._done and not self._has_given_up(_controller(found.name)):
                yield from self._by_smartctl(found)

    def arrays(self) -> Iterator[Reading]:
        """Yield the samples of software RAID."""
        for array in arrays(_text(self._settings.procfs / "mdstat") or ""):
            key = str(array["array"])
            yield self._looks.reading(ARRAY, key, array, f"{key} {array['level'] or ''} {array['state']}")

    def position(self) -> dict[str, object]:
        """Return where the next look goes on."""
        return {**self._looks.position(), "counters": self._counters}

    @property
    def _patience(self) -> float:
        return self._settings.answer_within_seconds

    def _by_smartctl(self, found: Found) -> Iterator[Reading]:
        options = ("--all", "--nocheck=standby", "--json=c", f"--device={found.type}")
        try:
            said = self._tools.ask(found.name, (*self._settings.smartctl, *options, found.device), self._patience)
        except NoAnswerError as silence:
            yield self._silent(found.name, {}, str(silence))
            return
        answer = decoded(said.output)
        if complaint(answer) and ASLEEP not in complaint(answer):
            self.conditions.append(f"{found.name}: {complaint(answer)}")
        yield self._sample(found.name, identity_by_smartctl(answer), values_by_smartctl(answer))

    def _sample(self, name: str, identity: Mapping[str, Scalar], values: Mapping[str, Scalar]) -> Reading:
        self._done.add(name)
        # By its serial number: another disk under the same name starts anew.
        serial = identity.get("serial") or ""
        raw = {counter: value for counter in COUNTERS if isinstance(value := values.get(counter), int)}
        totals = Totals(self._counters.setdefault(f"{name} {serial}".strip(), {})).add(raw)
        grown = {f"{counter}_total": totals.get(counter) for counter in COUNTERS}
        fields = {"disk": name, **identity, **values, **grown, "answers": True}
        return self._looks.reading(DISK, name, fields, f"disk {name}, {identity.get('model') or 'model unknown'}")

    def _has_given_up(self, name: str) -> bool:
        if self._silent_total >= MOST_SILENT:
            self._done.add(name)
            self.conditions.append(f"{name} was not asked: {self._silent_total} others do not answer")
        return self._silent_total >= MOST_SILENT

    def _silent(self, name: str, identity: Mapping[str, Scalar], why: str) -> Reading:
        self._done.add(name)
        self._silent_total += 1
        self.conditions.append(f"{name} does not answer: {why}")
        fields: dict[str, Scalar] = {"disk": name, **identity, "answers": False}
        return self._looks.reading(DISK, name, fields, f"disk {name} does not answer")


def _controller(name: str) -> str:
    """Return "nvme0" for "nvme0n1"; other names as they are."""
    head, separator, rest = name.removeprefix("nvme").partition("n")
    return f"nvme{head}" if name.startswith("nvme") and head.isdecimal() and (rest or not separator) else name


def _text(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return None
