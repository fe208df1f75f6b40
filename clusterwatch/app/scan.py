"""A node to a report of its health: everything that can be checked at once, within a deadline. Changes nothing.

The checks are the collectors that declare `scans`, sums with known answers on each GPU, and NVIDIA's diagnostics. What
they see goes through the same rules as what the service sees, so that a scan and an incident use the same words.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

from clusterwatch import detect, plugins
from clusterwatch.app import dcgm, known_answers, processors, scan_report, wiring
from clusterwatch.app.scan_report import Check, Report, State
from clusterwatch.config import Settings
from clusterwatch.detect import Catalog, ObserverState
from clusterwatch.detect.samples import since_the_driver_started
from clusterwatch.errors import is_silence
from clusterwatch.model import Collected, Event, Reading, kinds
from clusterwatch.seams import Clock, Collector, Site

MOST_BATCHES = 100
"""How often a source that holds more than one batch is asked again."""

# A probe that starts a process of its own is given this much less than it has, to end it and say so.
_MARGIN_SECONDS = 0.5

# Readings that say in a few words what a check saw.
_TELLING = frozenset({"gpu.count", known_answers.CHECKED})


@dataclass(frozen=True, slots=True)
class Probe:
    """One source that a scan looks at.

    Attributes:
        name: Of the check.
        deadline_seconds: How long a look may take; the scan's own deadline cuts it.
        look: The present, and the seconds there are, to what is seen now; may raise anything.
        close: Gives back what the look held.
    """

    name: str
    deadline_seconds: float
    look: Callable[[datetime, float], Collected]
    close: Callable[[], None] = lambda: None


Tell = Callable[[str, State, int, int], None]
"""Told after each check: its name, what became of it, how many are done, of how many."""


def scan(
    settings: Settings,
    clock: Clock,
    deadline_seconds: float | None = None,
    probes: Iterable[Probe] | None = None,
    tell: Tell = lambda name, state, done, of: None,
    catalog: Catalog | None = None,
) -> Report:
    """Return what every check of this node finds, within *deadline_seconds* (as configured otherwise).

    A process that has *probes* or the *catalog* already gives them; else they are those of *settings*.

    Raises:
        ClusterWatchError: The detection rules cannot be read.
    """
    started_at, begun = clock.now(), clock.monotonic()
    seconds = settings.scan.deadline_seconds if deadline_seconds is None else deadline_seconds
    catalog = catalog or wiring.catalog_of(settings)
    found, broken = (list(probes), []) if probes is not None else probes_of(settings)
    wanted = [probe for probe in found if probe.name not in settings.scan.skip]
    looks = {check.name: _Judgement([check]) for check in broken}
    for name, result in _results(wanted, clock, seconds):
        looks[name] = _judged(name, result, catalog, started_at)
        tell(name, scan_report.worst(looks[name].checks), len(looks) - len(broken), len(wanted))
    in_order = [looks[name] for name in sorted(looks)]
    return scan_report.report_of(
        settings.node,
        started_at,
        clock.monotonic() - begun,
        [check for look in in_order for check in look.checks],
        [event for look in in_order for event in look.events],
    )


def probes_of(settings: Settings) -> tuple[list[Probe], list[Check]]:
    """Return what can be looked at here, and a failed check for each collector that cannot be loaded."""
    disabled = [name for name, options in settings.collectors.items() if not options.enabled]
    collectors, errors = plugins.collectors(disabled)
    site_of = wiring.site_of(settings, lambda: ())
    own_settings: Mapping[str, Mapping[str, object]] = {
        "kernel_log": {"lookback_seconds": settings.scan.kernel_log_seconds},
        "bmc": {"lookback_seconds": settings.scan.kernel_log_seconds},
        "pcie_edac": {"since_boot": True},
    }
    probes = [
        _of_collector(collector, site_of(collector.name), own_settings.get(collector.name, {}))
        for collector in collectors
        if getattr(collector, "scans", False)
    ]
    advice = "reinstall it or disable it"
    broken = [Check(error.name, State.FAILED, str(error), advice) for error in errors]
    return [*probes, *_own_probes(settings, site_of("scan"))], broken


def _own_probes(settings: Settings, site: Site) -> Iterator[Probe]:
    options = settings.scan
    yield Probe(processors.NAME, options.deadline_seconds, lambda now, seconds: processors.computed(site, now, seconds))
    if options.compute != "off":
        yield Probe(
            known_answers.NAME,
            options.deadline_seconds,
            lambda now, seconds: known_answers.computed(
                site, now, seconds, python=options.python, device=options.compute, rounds=options.rounds
            ),
        )
    if options.dcgmi:
        yield Probe(
            dcgm.NAME,
            options.deadline_seconds,
            lambda now, seconds: dcgm.diagnosed(site, now, seconds, command=options.dcgmi),
        )


def _of_collector(collector: Collector, site: Site, own: Mapping[str, object]) -> Probe:
    told = replace(site, settings={**own, **site.settings})

    def look(now: datetime, seconds: float) -> Collected:
        here = replace(told, deadline_seconds=seconds)
        collected = collector.collect(here, {}, now)
        readings = list(collected.readings)
        for _ in range(MOST_BATCHES):
            if not collected.more:
                break
            collected = collector.collect(here, collected.position, now)
            readings += collected.readings
        return replace(collected, readings=tuple(readings))

    return Probe(collector.name, site.deadline_seconds or collector.deadline_seconds, look, collector.close)


Result = Collected | Exception
"""What a look gave, or what it raised."""


def _results(probes: list[Probe], clock: Clock, deadline_seconds: float) -> Iterator[tuple[str, Result]]:
    """Yield what each probe saw, as it comes; an error for each that has not answered in time."""
    answers: queue.SimpleQueue[tuple[Probe, Result]] = queue.SimpleQueue()
    begun = clock.monotonic()
    pending = {probe.name: probe for probe in probes}
    for probe in probes:
        seconds = min(probe.deadline_seconds, deadline_seconds)
        # A daemon: one that hangs in a driver must not keep the process from ending.
        threading.Thread(target=_look, args=(probe, clock, seconds, answers), name=probe.name, daemon=True).start()
    while pending:
        passed = clock.monotonic() - begun
        due = {name: min(probe.deadline_seconds, deadline_seconds) - passed for name, probe in pending.items()}
        for name in [name for name, seconds in due.items() if seconds <= 0]:
            late = pending.pop(name)
            # What it started must not outlive the scan: the next one would find it there, and start another.
            _close(late)
            yield name, TimeoutError(f"no answer within {min(late.deadline_seconds, deadline_seconds):g} s")
            due.pop(name)
        try:
            probe, result = answers.get(timeout=max(min(due.values(), default=0), 0.001))
        except queue.Empty:
            continue
        if pending.pop(probe.name, None) is not None:
            _close(probe)
            yield probe.name, result


def _close(probe: Probe) -> None:
    with suppress(Exception):  # somebody else's code: what it saw is told all the same
        probe.close()


def _look(probe: Probe, clock: Clock, seconds: float, answers: queue.SimpleQueue[tuple[Probe, Result]]) -> None:
    try:
        answers.put((probe, probe.look(clock.now(), max(seconds - _MARGIN_SECONDS, seconds / 2))))
    except Exception as error:  # somebody else's code: whatever it raises is what was found
        answers.put((probe, error))


@dataclass(frozen=True, slots=True)
class _Judgement:
    """What came of one probe."""

    checks: list[Check]
    events: list[Event] = field(default_factory=list)


def _judged(name: str, result: Result, catalog: Catalog, now: datetime) -> _Judgement:
    if isinstance(result, Exception):
        return _Judgement([_refused(name, result)])
    events = _events(result.readings, catalog, now)
    found = scan_report.checks_of(name, events, catalog.knowledge, _summary(result))
    if result.condition and not result.readings and found[0].state is State.OK:
        return _Judgement([Check(name, State.NOT_HERE, result.condition)])
    return _Judgement(found, events)


def _refused(name: str, error: Exception) -> Check:
    words = str(error) or type(error).__name__
    if isinstance(error.__cause__, PermissionError):
        # Who may look is no question of the node's health.
        return Check(name, State.WARNING, words, "run the scan as root")
    if is_silence(error):
        return Check(name, State.FAILED, words, "see what it waits for", f"{kinds.COLLECTOR_FAILED}.silent.{name}")
    return Check(name, State.FAILED, words)


def _events(readings: tuple[Reading, ...], catalog: Catalog, now: datetime) -> list[Event]:
    state = ObserverState(samples=since_the_driver_started(readings))
    state, events, wake_at = detect.notice(state, readings, catalog, now)
    while wake_at is not None:
        state, more, wake_at = detect.notice(state, (), catalog, wake_at)
        events += more
    return events


def _summary(seen: Collected) -> str:
    """Return what was seen in a few words, and what could not be looked at."""
    telling = [reading.text for reading in seen.readings if reading.subject in _TELLING]
    told = "; ".join(telling) or f"nothing wrong in {len(seen.readings)} readings"
    return f"{told}, but {seen.condition}" if seen.condition else told
