"""InfiniBand and RoCE ports to readings: state, rate and counters of each port here, and what the other end counted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from clusterwatch.errors import SourceError
from clusterwatch.model import Collected, Reading, Scalar
from clusterwatch.seams import Site
from collectors._counting import Totals, totals_in
from collectors._fabric_peers import Fabric, FabricPort
from collectors._fabric_ports import (
    CARRIER_CHANGES_TURN_AT,
    LAST_VALUES,
    Port,
    interface_in,
    is_infiniband,
    netdev_files,
    netdevs_of,
    port_files,
    port_words,
    ports_in,
)
from collectors._looks import LONGEST_PAUSE, Looks, looked_before
from collectors._settings import settings_in
from collectors._sysfs import NoAnswerError, Tree, TreeReader
from collectors._tools import NoToolError, Tools

PORT, PEER = "fabric.port", "fabric.peer"
"""Subjects of the readings: a port of this node, and a port somewhere else."""

NO_DEVICES = "no InfiniBand or RoCE device here"

MOST_SILENT = 2
"""Links whose other end does not answer until the others are not asked any more: each costs a wait."""

LOOKS_UNTIL_GONE = 2
"""A driver that is being reloaded takes its devices away for a moment; only what lasts is told."""
_SWEEP = "sweep"
_DEVICES = "class/infiniband/*"
_TURNS_AT = {"carrier_changes": CARRIER_CHANGES_TURN_AT}


@dataclass(frozen=True, slots=True)
class FabricSettings:
    """The collector's table of the configuration.

    Attributes:
        sysfs: Where /sys is.
        interfaces: Network interfaces to watch that belong to no RDMA device.
        answer_within_seconds: How long one device may take to answer.
        peers: Whether the other end of each InfiniBand link is asked, where infiniband-diags are installed.
        sweep: Whether the errors of the whole fabric are read; for one node of a fabric, not for all.
        peers_pause_seconds: Pause between two questions to the fabric; of more than 600, what it counted has no time.
        tool_prefix: Put before each command of infiniband-diags, such as "sudo -n".
    """

    sysfs: Path = Path("/sys")
    interfaces: tuple[str, ...] = ()
    answer_within_seconds: float = 3.0
    peers: bool = True
    sweep: bool = False
    peers_pause_seconds: float = 60.0
    tool_prefix: tuple[str, ...] = ()


@dataclass(slots=True)
class _Known:
    """What is remembered of a port.

    Attributes:
        identity: Names of the port, for when it answers no more.
        seen_active: Whether it was up at any look since the node booted.
        best_rate_gbps: The highest rate it ever had, over reboots.
        missing: Looks in a row at which it was not listed.
    """

    identity: dict[str, Scalar] = field(default_factory=dict)
    seen_active: bool = False
    best_rate_gbps: float | None = None
    missing: int = 0


class FabricCollector:
    """Reads /sys/class/infiniband and the network interfaces behind it, and asks infiniband-diags for the other end."""

    name = "fabric"
    every_seconds = 10.0
    deadline_seconds = 45.0
    scans = True

    def __init__(self) -> None:
        self._reader = TreeReader()
        self._tools = Tools()
        self._asked_at: datetime | None = None
        self._answered_at: dict[str, datetime] = {}

    def collect(self, site: Site, position: Mapping[str, object], now: datetime) -> Collected:
        """Return a sample of each port, also of one that was here since the node booted and is gone.

        Counters are told as what they moved since the first look of this boot.

        Raises:
            SourceError: The list of devices cannot be read.
        """
        settings = settings_in(site.settings, FabricSettings, FabricCollector.name)
        look = _Look(site, position, now)
        listed = self._listed(settings)
        if not listed and not settings.interfaces and not look.known:
            return Collected(position=position, condition=NO_DEVICES)
        readings = [*self._ports(look, settings, listed), *look.gone()]
        conditions = list(look.conditions)
        if settings.peers or settings.sweep:
            found, condition = self._fabric(look, settings)
            readings += found
            conditions += [condition] if condition else []
        return Collected(tuple(readings), look.position(), "; ".join(conditions))

    def close(self) -> None:
        """End the children."""
        self._reader.close()
        self._tools.close()

    def _listed(self, settings: FabricSettings) -> dict[str, str]:
        try:
            tree = self._reader.read("", settings.sysfs, (), settings.answer_within_seconds, (_DEVICES,))
        except NoAnswerError as silence:
            raise SourceError(f"{settings.sysfs}/{_DEVICES} cannot be listed: {silence}") from silence
        return {path.rpartition("/")[2]: place for path, place in tree.places.items()}

    def _ports(self, look: _Look, settings: FabricSettings, listed: Mapping[str, str]) -> Iterator[Reading]:
        taken: set[str] = set()
        for device, place in listed.items():
            try:
                tree, netdevs = self._read(device, settings)
            except NoAnswerError as silence:
                yield from look.silent(device, str(silence))
                continue
            taken |= netdevs_of(tree)
            for port in ports_in(device, tree, netdevs, place):
                yield look.reading(port)
        for name in (name for name in settings.interfaces if name not in taken):
            try:
                port_alone = interface_in(name, self._netdevs([name], settings, name))
            except NoAnswerError as silence:
                yield from look.silent(name, str(silence))
                continue
            if port_alone is not None:
                yield look.reading(port_alone)

    def _read(self, device: str, settings: FabricSettings) -> tuple[Tree, Tree]:
        tree = self._reader.read(device, settings.sysfs, port_files(device), settings.answer_within_seconds)
        return tree, self._netdevs(sorted(netdevs_of(tree)), settings, device)

    def _netdevs(self, names: list[str], settings: FabricSettings, device: str) -> Tree:
        if not names:
            return Tree()
        return self._reader.read(device, settings.sysfs, netdev_files(names), settings.answer_within_seconds)

    def _fabric(self, look: _Look, settings: FabricSettings) -> tuple[list[Reading], str]:
        """Return what the fabric says, and the stated condition. It is asked less often than the ports here."""
        up = [port for port in look.seen if port.values.get("state") == "ACTIVE" and is_infiniband(port)]
        is_due = self._asked_at is None or (look.now - self._asked_at).total_seconds() >= settings.peers_pause_seconds
        if not up or not is_due:
            return [], look.told_of_fabric
        self._asked_at = look.now
        fabric = Fabric(self._tools, settings.tool_prefix, settings.answer_within_seconds * 3)
        try:
            found, silence = _asked(fabric, up, settings)
        except NoToolError as missing:
            look.told_of_fabric = f"no {missing} here: install infiniband-diags to see the other end of links"
            return [], look.told_of_fabric
        look.told_of_fabric = f"the fabric was not asked: {silence}" if silence else ""
        return look.peer_readings(
            found, self._answered_at, is_sweep=settings.sweep and not silence
        ), look.told_of_fabric


def _asked(fabric: Fabric, up: Iterable[Port], settings: FabricSettings) -> tuple[list[FabricPort], str]:
    """Return the ports at other ends, and what was not answered; one end that is silent hides no other."""
    ends = [(str(port.identity["device"]), int(str(port.identity["port"]))) for port in up]
    found, silences = list[FabricPort](), list[str]()
    for device, number in ends[:1] if settings.sweep else ends:
        try:
            if settings.sweep:
                found += fabric.every_port(device, number)
            elif peer := fabric.other_end(device, number):
                found.append(peer)
        except NoAnswerError as silence:
            silences.append(f"{device} port {number}: {silence}")
        if len(silences) == MOST_SILENT:
            break
    return found, "; ".join(silences)


class _Look:
    """One look at the ports: what was known becomes what is known now."""

    def __init__(self, site: Site, position: Mapping[str, object], now: datetime) -> None:
        self.now = now
        self._looks = Looks(FabricCollector.name, site, now, looked_before(position, site.boot_id))
        self._counters = totals_in(position, site.boot_id)
        self.known = _known(position, same_boot=position.get("boot_id") == site.boot_id)
        self.told_of_fabric = str(position.get("told_of_fabric", ""))
        self.conditions: list[str] = []
        self.seen: list[Port] = []

    def reading(self, port: Port) -> Reading:
        """Return the sample of a port that answers."""
        self.seen.append(port)
        known = self.known.setdefault(port.key, _Known())
        is_active = port.values.get("state") == "ACTIVE"
        rate = port.values.get("rate_gbps")
        known.identity, known.missing = dict(port.identity), 0
        known.seen_active = known.seen_active or is_active
        if is_active and isinstance(rate, float):
            known.best_rate_gbps = max(rate, known.best_rate_gbps or 0.0)
        counted = self._totals(port.key, port.counters)
        fields = {**port.identity, **port.values, **_remembered(known), **counted, "full_counters": " ".join(port.full)}
        return self._looks.reading(PORT, port.key, {**fields, "present": True, "answers": True}, port_words(port))

    def silent(self, device: str, why: str) -> Iterator[Reading]:
        """Yield a sample of each port that is known of a device that does not answer."""
        self.conditions.append(f"{device} does not answer: {why}")
        for key, known in self.known.items():
            if known.identity.get("device") == device:
                known.missing = 0
                fields: dict[str, Scalar] = {**known.identity, **_remembered(known), "present": True, "answers": False}
                yield self._looks.reading(PORT, key, fields, f"{key} does not answer")

    def gone(self) -> Iterator[Reading]:
        """Yield a sample of each port that was here in this boot and is listed no more."""
        here = {port.key for port in self.seen}
        silent = {condition.partition(" ")[0] for condition in self.conditions}
        for key, known in self.known.items():
            if key in here or key.partition("/")[0] in silent or not known.identity:
                continue
            known.missing += 1
            if known.missing >= LOOKS_UNTIL_GONE:
                fields: dict[str, Scalar] = {**known.identity, **_remembered(known), "present": False, "answers": None}
                yield self._looks.reading(PORT, key, fields, f"{key} is gone")

    def peer_readings(
        self, ports: Iterable[FabricPort], answered_at: dict[str, datetime], *, is_sweep: bool
    ) -> list[Reading]:
        """Return samples of ports at the other end of a link, or of those in the whole fabric that counted errors."""
        # A sweep tells no port without errors: one that earlier sweeps did not tell of stood at zero.
        was_swept = is_sweep and self._was_answered(_SWEEP, answered_at)
        if is_sweep:
            answered_at[_SWEEP] = self.now
        return [self._peer_reading(port, answered_at, was_swept=was_swept) for port in ports]

    def _was_answered(self, key: str, answered_at: Mapping[str, datetime]) -> bool:
        return key in answered_at and self.now - answered_at[key] <= LONGEST_PAUSE

    def _peer_reading(self, port: FabricPort, answered_at: dict[str, datetime], *, was_swept: bool) -> Reading:
        key, words = f"{port.guid}/{port.number}", f"{port.name} port {port.number}, cable to {port.other_end or '?'}"
        known = {name: value for name, value in port.counters.items() if value != LAST_VALUES.get(name)}
        is_new = was_swept and key not in self._counters
        if is_new:
            self._counters[key] = {name: [0, 0] for name in known}
        fields: dict[str, Scalar] = {
            "guid": port.guid,
            "peer": port.name,
            "peer_port": port.number,
            "other_end": port.other_end,
            "is_new": is_new,
            **self._totals(key, known),
        }
        was_answered = was_swept or self._was_answered(key, answered_at)
        answered_at[key] = self.now
        return self._looks.reading(PEER, key, fields, words, was_answered=was_answered)

    def position(self) -> dict[str, object]:
        """Return where the next look goes on."""
        ports = {
            key: {name: getattr(known, name) for name in _Known.__slots__}
            for key, known in self.known.items()
            if known.identity
        }
        kept = {"counters": self._counters, "ports": ports, "told_of_fabric": self.told_of_fabric}
        return {**self._looks.position(), **kept}

    def _totals(self, key: str, counters: Mapping[str, int]) -> dict[str, Scalar]:
        totals = Totals(self._counters.setdefault(key, {}), _TURNS_AT)
        return {f"{name}_total": value for name, value in totals.add(counters).items()}


def _remembered(known: _Known) -> dict[str, Scalar]:
    return {"seen_active": known.seen_active, "best_rate_gbps": known.best_rate_gbps}


def _known(position: Mapping[str, object], *, same_boot: bool) -> dict[str, _Known]:
    """Return the ports that were known; of another boot only their best rate: their cards may have been taken out."""
    ports = position.get("ports")
    stored = ports if isinstance(ports, Mapping) else {}
    if same_boot:
        return {key: _Known(**port) for key, port in stored.items()}
    return {key: _Known(best_rate_gbps=port["best_rate_gbps"]) for key, port in stored.items()}
