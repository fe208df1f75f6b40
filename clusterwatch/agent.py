"""The loop on a node: run collectors, observe what they read, hand the events over with the source position.

Each collector runs apart from the others: with its own deadline, its own success and duration on record. What it
read and where it goes on are written in one transaction, so that a kill at any moment neither loses nor repeats.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from clusterwatch import pipeline
from clusterwatch.detect import Catalog, ObserverState
from clusterwatch.errors import PluginError, StoreError, is_silence
from clusterwatch.metrics import Metrics
from clusterwatch.model import Collected, CollectorStatus, Event, Reading, Scalar, kinds
from clusterwatch.seams import Clock, Collector, Site
from clusterwatch.store import Store

STATUS_EVERY = timedelta(seconds=30)
"""How often a collector that has nothing new still says that it works."""

log = structlog.get_logger(component="agent")


@dataclass(slots=True)
class _Slot:
    """A collector with what the agent remembers of it between runs."""

    collector: Collector
    lock: threading.Lock = field(default_factory=threading.Lock)
    position: Mapping[str, Any] | None = None
    observer: ObserverState = field(default_factory=ObserverState)
    status: CollectorStatus | None = None
    written_at: datetime | None = None
    worker: threading.Thread | None = None


class Agent:
    """Runs collectors for one node and records what they see.

    *on_recorded* is called whenever events were recorded, for who responds in the same process.
    """

    def __init__(
        self,
        collectors: Sequence[Collector],
        site: Callable[[str], Site],
        store: Store,
        catalog: Catalog,
        clock: Clock,
        metrics: Metrics,
        scope: str = "",
    ) -> None:
        """Take *collectors*, and *site*: what to tell a collector of that name about this node right now.

        *scope* keeps the positions of this agent apart from those of another on the same node and database.
        """
        self._slots = {collector.name: _Slot(collector) for collector in collectors}
        self._site = site
        self._store = store
        self._catalog = catalog
        self._clock = clock
        self._metrics = metrics
        self._observing = threading.Lock()
        self._scope = f"@{scope}" if scope else ""
        self.on_recorded: Callable[[], object] = lambda: None

    @property
    def collectors(self) -> tuple[Collector, ...]:
        """The collectors, in the order given."""
        return tuple(slot.collector for slot in self._slots.values())

    def run(self, name: str) -> bool:
        """Run one collector once; return whether its source holds more.

        Never raises, neither for what the collector or the database does nor for a mistake of ours: it is logged,
        counted, and tried again next time from the same position.
        """
        slot = self._slots[name]
        with slot.lock:
            try:
                return self._run(slot)
            except StoreError as error:
                log.error("events not recorded, will read again", collector=name, error=str(error))
            except Exception:
                # Our own mistake: it is told loudly, and the timer that called goes on.
                log.exception("collection failed, will read again", collector=name)
            return False

    def drain(self, name: str, rounds: int = 1000) -> None:
        """Run a collector until its source is empty, and tell what was still being folded."""
        if name not in self._slots:
            return
        while rounds > 0 and self.run(name):
            rounds -= 1
        slot = self._slots[name]
        with slot.lock:
            try:
                self._close_windows(slot)
            except StoreError as error:
                log.error("events not recorded, will be told later", collector=name, error=str(error))
            except Exception:
                log.exception("what was being folded is not told", collector=name)

    def close(self) -> None:
        """Let every collector give back what it holds."""
        for slot in self._slots.values():
            slot.collector.close()

    def _run(self, slot: _Slot) -> bool:
        now = self._clock.now()
        site = self._site(slot.collector.name)
        self._restore(slot, site)
        began = self._clock.monotonic()
        try:
            collected = self._collect(slot, site, now)
        except Exception as error:  # whatever a plugin raises is its own failure and never its neighbours'
            self._record_failure(slot, site, error, self._clock.monotonic() - began)
            return False
        seconds = self._clock.monotonic() - began
        try:
            self._record(slot, site, collected, seconds)
        except StoreError:
            raise
        except Exception as error:
            self._record_mistake(slot, site, error, seconds)
            return False
        return collected.more

    def _restore(self, slot: _Slot, site: Site) -> None:
        if slot.position is None:
            saved = self._store.position(site.node, self._key(slot))
            source, observer = saved.get("source"), saved.get("observer")
            slot.position = source if isinstance(source, dict) else {}
            slot.observer = _restored(observer, self._key(slot))

    def _collect(self, slot: _Slot, site: Site, now: datetime) -> Collected:
        """Return what the collector gives within its deadline; a call that hangs keeps its thread, and only that."""
        if slot.worker is not None and slot.worker.is_alive():
            raise _given_up(slot, "the previous run still hangs")
        results: list[Collected | Exception] = []

        def work() -> None:
            try:
                results.append(slot.collector.collect(site, slot.position or {}, now))
            except Exception as error:  # handed to the caller's thread
                results.append(error)

        slot.worker = threading.Thread(target=work, name=f"collect-{slot.collector.name}", daemon=True)
        slot.worker.start()
        seconds = site.deadline_seconds or slot.collector.deadline_seconds
        slot.worker.join(seconds)
        if not results:
            raise _given_up(slot, f"no answer within {seconds:g} s")
        if isinstance(results[0], Exception):
            raise results[0]
        return results[0]

    def _record(self, slot: _Slot, site: Site, collected: Collected, seconds: float) -> None:
        now = self._clock.now()
        name = slot.collector.name
        readings = self._with_recovery(slot, site, collected.readings, now)
        observer, events = self._observe(slot, readings, now)
        status = _succeeded(slot.status, site.node, name, collected, seconds, now)
        changed = bool(events) or collected.position != slot.position or observer != slot.observer
        self._log_condition(slot.status, status)
        if changed or self._status_is_due(slot, status, now):
            position = {"source": dict(collected.position), "observer": observer.to_json()}
            self._store.record(site.node, self._key(slot), events, position, status, now)
            slot.written_at = now
        slot.position, slot.observer, slot.status = collected.position, observer, status
        self._count(name, len(collected.readings), events, seconds, now)

    def _record_mistake(self, slot: _Slot, site: Site, error: Exception, seconds: float) -> None:
        """Record that what was read could not be observed: our mistake, which counts as the collector's failure."""
        failure = PluginError(slot.collector.name, error)
        if slot.status is None or slot.status.error != str(failure):
            log.exception("what was read could not be observed", collector=slot.collector.name)
        self._record_failure(slot, site, failure, seconds)

    def _record_failure(self, slot: _Slot, site: Site, error: Exception, seconds: float) -> None:
        now = self._clock.now()
        name = slot.collector.name
        status = _failed(slot.status, site.node, name, error, seconds, now)
        self._metrics.collector_failed(name, seconds)
        if slot.status is None or slot.status.error != status.error:
            log.warning("collector failed", collector=name, error=status.error)
            told = _told(kinds.COLLECTOR_FAILED, site, name, now, error=status.error, silent=is_silence(error))
            slot.observer, events = self._observed_if_possible(slot, told, now)
            position = {"source": dict(slot.position or {}), "observer": slot.observer.to_json()}
            self._store.record(site.node, self._key(slot), events, position, status, now)
            slot.written_at = now
        slot.status = status

    def _key(self, slot: _Slot) -> str:
        return slot.collector.name + self._scope

    def _observe(self, slot: _Slot, readings: Sequence[Reading], now: datetime) -> tuple[ObserverState, list[Event]]:
        # The core knows no threads: its compiled matcher has one scratch space.
        with self._observing:
            observer, events, _ = pipeline.observe(slot.observer, readings, self._catalog, now)
        return observer, events

    def _observed_if_possible(self, slot: _Slot, told: Reading, now: datetime) -> tuple[ObserverState, list[Event]]:
        """Observe that a collector failed; even where observing is what fails, its status can be recorded."""
        try:
            return self._observe(slot, [told], now)
        except Exception:
            log.exception("failure of a collector not told", collector=slot.collector.name)
            return slot.observer, []

    def _close_windows(self, slot: _Slot) -> None:
        """Record what open fold windows hold, as if their time had come."""
        site = self._site(slot.collector.name)
        now = self._clock.now()
        observer, events = slot.observer, list[Event]()
        wake_at: datetime | None = now
        with self._observing:
            while wake_at is not None:
                observer, closed, wake_at = pipeline.observe(observer, (), self._catalog, wake_at)
                events += closed
        if events:
            position = {"source": dict(slot.position or {}), "observer": observer.to_json()}
            self._store.record(site.node, self._key(slot), events, position, None, now)
            slot.observer = observer

    def _with_recovery(self, slot: _Slot, site: Site, readings: Sequence[Reading], now: datetime) -> Sequence[Reading]:
        if slot.status is None or not slot.status.error:
            return readings
        log.info("collector works again", collector=slot.collector.name)
        return [*readings, _told(kinds.COLLECTOR_RECOVERED, site, slot.collector.name, now)]

    def _log_condition(self, before: CollectorStatus | None, after: CollectorStatus) -> None:
        if after.condition and (before is None or before.condition != after.condition):
            log.info("collector states a condition", collector=after.name, condition=after.condition)

    def _status_is_due(self, slot: _Slot, status: CollectorStatus, now: datetime) -> bool:
        if slot.status is None or slot.written_at is None or slot.status.condition != status.condition:
            return True
        return now - slot.written_at >= STATUS_EVERY

    def _count(self, name: str, readings: int, events: Sequence[Event], seconds: float, now: datetime) -> None:
        self._metrics.collected(name, seconds, readings, now)
        self._metrics.events_recorded(events)
        if events:
            self.on_recorded()


def _restored(stored: object, key: str) -> ObserverState:
    """Return what was remembered; nothing where another version wrote it in a form that is not ours."""
    try:
        return ObserverState.from_json(stored) if isinstance(stored, dict) else ObserverState()
    except ValueError as error:
        log.warning("what was being observed is forgotten: another version wrote it", collector=key, error=str(error))
        return ObserverState()


def _succeeded(
    before: CollectorStatus | None, node: str, name: str, collected: Collected, seconds: float, now: datetime
) -> CollectorStatus:
    known = before or CollectorStatus(node, name, None, None)
    return replace(
        known,
        last_success_at=now,
        last_run_at=now,
        seconds=seconds,
        condition=collected.condition,
        error="",
        readings_total=known.readings_total + len(collected.readings),
    )


def _failed(
    before: CollectorStatus | None, node: str, name: str, error: Exception, seconds: float, now: datetime
) -> CollectorStatus:
    known = before or CollectorStatus(node, name, None, None)
    message = str(error) or type(error).__name__
    return replace(known, last_run_at=now, seconds=seconds, error=message, failures_total=known.failures_total + 1)


def _given_up(slot: _Slot, why: str) -> PluginError:
    late = TimeoutError(why)
    failure = PluginError(slot.collector.name, late)
    failure.__cause__ = late
    return failure


def _told(kind: str, site: Site, name: str, now: datetime, **fields: Scalar) -> Reading:
    return Reading(
        source="agent",
        node=site.node,
        position=f"{name}/{kind}/{now.isoformat()}",
        observed_at=now,
        happened_at=now,
        boot_id=site.boot_id,
        subject=kind,
        text=f"{kind} {name} {fields.get('error', '')}".strip(),
        fields={"collector": name, **fields},
    )
