"""The node's management controller to readings: lines of its event log, and samples of its sensors, by ipmitool."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from clusterwatch.errors import SourceError
from clusterwatch.model import Collected, Reading, Scalar
from clusterwatch.seams import Site
from collectors._ipmi import BmcTime, SelRecord, bmc_time, sel_facts, sel_records, sensors
from collectors._looks import Looks, looked_before
from collectors._settings import settings_in
from collectors._tools import NoAnswerError, NoToolError, Said, Tools

SENSOR = "bmc.sensor"
"""Subject of the reading that holds one sensor's state. Lines of the event log are lines, trusted as the node's."""

NO_BMC = "no BMC here"

FEWEST_RECORDS = 50
"""How many of the last records are read where the log does not say how many are new."""

# Within this a record's time may lie after the BMC's own: it is written while the log is read.
_TOLERANCE = timedelta(seconds=5)
_NOT_THERE = ("Could not open device at", "No such file or directory")


@dataclass(frozen=True, slots=True)
class BmcSettings:
    """The collector's table of the configuration.

    Attributes:
        ipmitool: The command with its own arguments, such as "sudo -n ipmitool".
        arguments: Which BMC: none for this node's own, or "-I lanplus -H HOST -U USER -f PASSWORD_FILE".
        answer_within_seconds: How long one call may take; a BMC answers slowly.
        lookback_seconds: How far back the very first look at the event log goes.
        sensors: Whether sensors are read too.
        devfs: Where /dev is.
    """

    ipmitool: tuple[str, ...] = ("ipmitool",)
    arguments: tuple[str, ...] = ()
    answer_within_seconds: float = 20.0
    lookback_seconds: float = 300.0
    sensors: bool = True
    devfs: Path = Path("/dev")


class BmcCollector:
    """Follows the system event log without a repeat over restarts, clearing and overwriting; reads the sensors."""

    name = "bmc"
    every_seconds = 60.0
    deadline_seconds = 90.0
    scans = True

    def __init__(self) -> None:
        self._tools = Tools()

    def collect(self, site: Site, position: Mapping[str, object], now: datetime) -> Collected:
        """Return the new lines of the event log, oldest first, as ipmitool prints them, and a sample of each sensor.

        Raises:
            SourceError: The BMC is there and does not answer, or ipmitool refuses.
        """
        settings = settings_in(site.settings, BmcSettings, BmcCollector.name)
        bmc = _Bmc(self._tools, settings)
        looks = Looks(BmcCollector.name, site, now, looked_before(position, site.boot_id))
        try:
            log, place = _new_records(bmc, position)
            # Another look at the clock for old news is not worth the seconds it may take.
            clock = bmc.clock() if log else None
            found, condition = _sensors(bmc) if settings.sensors else ([], "")
        except NoToolError as missing:
            return Collected(position=position, condition=f"no {missing} here: install ipmitool to watch the BMC")
        except _NoBmcError:
            return Collected(position=position, condition=_not_opened(settings.devfs))
        except NoAnswerError as silence:
            raise SourceError(f'the BMC does not answer: {silence}: try "ipmitool mc info" by hand') from silence
        is_first = "sel" not in position
        lines = _Lines(site, settings, now, clock, is_first=is_first, is_continuous=looks.is_continuous)
        readings = [*lines.readings(log), *(_sample(looks, fields) for fields in found)]
        return Collected(tuple(readings), {**looks.position(), "sel": place}, condition)

    def close(self) -> None:
        """Forget calls that hang."""
        self._tools.close()


class _NoBmcError(Exception):
    """This machine has no BMC, or no driver for it is loaded."""


class _Bmc:
    """The BMC as ipmitool tells of it."""

    def __init__(self, tools: Tools, settings: BmcSettings) -> None:
        self._tools = tools
        self._settings = settings

    def said(self, *words: str) -> Said:
        command = (*self._settings.ipmitool, *self._settings.arguments, *words)
        said = self._tools.ask("bmc", command, self._settings.answer_within_seconds)
        if said.exit_code and all(words in said.errors for words in _NOT_THERE):
            raise _NoBmcError
        if said.exit_code and not said.output.strip():
            raise NoAnswerError(said.complaint)
        return said

    def facts(self) -> Mapping[str, str]:
        return sel_facts(self.said("sel", "info").output)

    def last(self, count: int) -> list[SelRecord]:
        return list(sel_records(self.said("sel", "elist", "last", str(count)).output))

    def all(self) -> list[SelRecord]:
        return list(sel_records(self.said("sel", "elist").output))

    def clock(self) -> BmcTime | None:
        return bmc_time(self.said("sel", "time", "get").output)


def _not_opened(devfs: Path) -> str:
    # ipmitool tries three names and tells only why it could not open the last.
    device = next((path.name for path in sorted(devfs.glob("ipmi[0-9]*"))), "")
    return f"{device} is here and cannot be opened: ipmitool has to run as root" if device else NO_BMC


def _sensors(bmc: _Bmc) -> tuple[list[dict[str, Scalar]], str]:
    """Return the sensors, and why there are none where the BMC, which told of its log, is too slow for them."""
    try:
        return list(sensors(bmc.said("sdr", "elist").output)), ""
    except NoAnswerError as silence:
        return [], f"sensors are not read: {silence}"


def _new_records(bmc: _Bmc, position: Mapping[str, object]) -> tuple[list[SelRecord], dict[str, object]]:
    """Return the records after those that *position* knows, and the new place in the log."""
    facts = bmc.facts()
    entries = int(facts.get("Entries", "0")) if facts.get("Entries", "0").isdecimal() else 0
    # A full log overwrites its oldest record, so the count alone would not show a new one; the time of the last does.
    shown = f"{entries} {facts.get('Last Add Time')} {facts.get('Last Del Time')}"
    stored = position.get("sel")
    known: Mapping[str, object] = stored if isinstance(stored, Mapping) else {}
    if known.get("shown") == shown and facts.get("Last Add Time", "Not Available") != "Not Available":
        return [], dict(known)
    before = known.get("entries")
    wanted = max(entries - before if isinstance(before, int) else 0, FEWEST_RECORDS) + 1
    listed = bmc.last(wanted) if entries else []
    if known.get("last") and len(listed) >= wanted and not _holds(listed, known):
        listed = bmc.all()
    last = f"{listed[-1].id}|{listed[-1].stamp}" if listed else ""
    return list(_after(listed, known)), {"shown": shown, "entries": entries, "last": last}


def _holds(records: Sequence[SelRecord], known: Mapping[str, object]) -> bool:
    return any(f"{record.id}|{record.stamp}" == known.get("last") for record in records)


def _after(records: Sequence[SelRecord], known: Mapping[str, object]) -> Iterator[SelRecord]:
    """Yield the records after the last known; all of them where the log was cleared since."""
    is_new = not _holds(records, known)
    for record in records:
        if is_new:
            yield record
        is_new = is_new or f"{record.id}|{record.stamp}" == known.get("last")


class _Lines:
    """Records to readings: what is too old, or of a time that nobody can tell, is left out."""

    def __init__(
        self,
        site: Site,
        settings: BmcSettings,
        now: datetime,
        clock: BmcTime | None,
        *,
        is_first: bool,
        is_continuous: bool,
    ) -> None:
        self._site = site
        self._now = now
        self._clock = clock
        self._oldest = now - timedelta(seconds=settings.lookback_seconds) if is_first else None
        # A record without a time, found shortly after the look before, is new all the same.
        self._needs_time = is_first or not is_continuous

    def readings(self, records: Sequence[SelRecord]) -> Iterator[Reading]:
        for record in records:
            happened_at = self._happened_at(record.at)
            if happened_at is None and self._needs_time:
                continue
            if happened_at is not None and self._oldest is not None and happened_at < self._oldest:
                continue
            yield self._reading(record, happened_at)

    def _happened_at(self, at: BmcTime | None) -> datetime | None:
        """Return when a record was written by this node's clock: the BMC's own may be wrong, its distances are not."""
        ago = _between(at, self._clock)
        return self._now - max(ago, timedelta(0)) if ago is not None and ago >= -_TOLERANCE else None

    def _reading(self, record: SelRecord, happened_at: datetime | None) -> Reading:
        return Reading(
            source=BmcCollector.name,
            node=self._site.node,
            # The log outlives boots, so that a record has one name over all of them.
            position=f"{record.id}|{record.stamp}",
            observed_at=self._now,
            happened_at=happened_at,
            text=record.text,
            fields={"origin": f"sel:{record.id}"},
        )


def _between(earlier: BmcTime | None, later: BmcTime | None) -> timedelta | None:
    """Return the span between two times of one clock; None where it was set in between."""
    if isinstance(earlier, timedelta) and isinstance(later, timedelta):
        return later - earlier
    if isinstance(earlier, datetime) and isinstance(later, datetime):
        return later - earlier
    return None


def _sample(looks: Looks, fields: Mapping[str, Scalar]) -> Reading:
    key = f"{fields['number']}/{fields['sensor']}"
    measured = f"{fields['value']:g} {fields['unit']}" if isinstance(fields["value"], float) else "no reading"
    said = fields["states"] or measured
    return looks.reading(SENSOR, key, fields, f"{fields['sensor']}: {said}")
