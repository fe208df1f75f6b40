"""The service: timers, the responder's and the actor's loop, and the window, in one process."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import Any

import structlog
from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED, JobEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from clusterwatch.agent import Agent
from clusterwatch.clock import SystemClock
from clusterwatch.errors import StoreError
from clusterwatch.metrics import Metrics
from clusterwatch.seams import Clock
from clusterwatch.server import Actor, Responder
from clusterwatch.store import Store

log = structlog.get_logger(component="service")

HOUSEKEEPING_EVERY = timedelta(hours=6)
STALLED_AFTER_SECONDS = 60.0
"""A loop that has not come round for this long is not alive."""

SHORTEST_PAUSE_SECONDS = 0.02
"""What is due but cannot be done yet must not keep a processor busy."""


@dataclass(frozen=True, slots=True)
class Loops:
    """How often the loops come round by themselves, and how long events are kept.

    What happens in this process, they hear of at once: the tick is for what other processes record.
    """

    tick_seconds: float = 0.5
    keep_events: timedelta = timedelta(days=30)


class Service:
    """Runs an agent and a server in this process until it is stopped."""

    def __init__(
        self,
        store: Store,
        agent: Agent,
        responder: Responder,
        actor: Actor,
        clock: Clock,
        metrics: Metrics,
        loops: Loops,
        collector_seconds: Callable[[str], float | None] = lambda name: None,
    ) -> None:
        """Take the parts; *collector_seconds* gives another period for a collector than its own."""
        self.store = store
        self.agent = agent
        self.responder = responder
        self.actor = actor
        self.clock = clock
        self.metrics = metrics
        self._loops = loops
        self._collector_seconds = collector_seconds
        self._stopping = threading.Event()
        self._nudges = {"responder": threading.Event(), "actor": threading.Event()}
        agent.on_recorded = self._nudges["responder"].set
        self._threads: list[threading.Thread] = []
        self._beats: dict[str, float] = {}
        self._timers = _timers(len(agent.collectors) + 2)

    def start(self) -> None:
        """Start the timers and loops; returns at once."""
        self._timers.add_listener(self._timer_trouble, EVENT_JOB_ERROR | EVENT_JOB_MISSED | EVENT_JOB_MAX_INSTANCES)
        for collector in self.agent.collectors:
            seconds = self._collector_seconds(collector.name) or collector.every_seconds
            self._timers.add_job(
                self._collect,
                "interval",
                seconds=seconds,
                args=[collector.name],
                id=collector.name,
                next_run_time=SystemClock().now(),
            )
        self._timers.add_job(
            self._housekeeping,
            "interval",
            seconds=HOUSEKEEPING_EVERY.total_seconds(),
            id="housekeeping",
            next_run_time=SystemClock().now(),
        )
        # What is there by now (code, rules, tables) stays; going through it again and again would stall turns.
        gc.freeze()
        self._timers.start()
        for name, turn in (("responder", self._respond), ("actor", self._act)):
            thread = threading.Thread(target=self._loop, args=(name, turn), name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Stop clean: no new work, what is under way ends, the lease is given back."""
        self._stopping.set()
        for nudge in self._nudges.values():
            nudge.set()
        if self._timers.running:
            self._timers.shutdown(wait=False)
        for thread in self._threads:
            thread.join(timeout=15)
        try:
            self.responder.stop()
        except StoreError as error:
            log.warning("lease not given back, it will expire", error=str(error))
        self.agent.close()

    def stalled_loops(self) -> list[str]:
        """Return the loops that have not come round for a minute; does not touch database or hardware."""
        now = self.clock.monotonic()
        return [name for name, beat in self._beats.items() if now - beat > STALLED_AFTER_SECONDS]

    def _collect(self, name: str) -> None:
        while self.agent.run(name) and not self._stopping.is_set():
            continue

    def _act(self) -> bool:
        # Actuators that only this process hosts need no lease: nobody else can act on their targets.
        has_acted = bool(self.actor.turn())
        if has_acted:
            self._nudges["responder"].set()
        return has_acted

    def _respond(self) -> bool:
        more = self.responder.turn()
        if self.responder.has_planned or self.responder.has_asked:
            self._nudges["actor"].set()
        return more

    def _loop(self, name: str, turn: Callable[[], bool]) -> None:
        complaint = ""
        while not self._stopping.is_set():
            self._beats[name] = self.clock.monotonic()
            more = False
            try:
                more = turn()
                complaint = ""
            except StoreError as error:
                if str(error) != complaint:
                    log.error("database trouble, will try again", loop=name, error=str(error))
                complaint = str(error)
            except Exception:
                # Our own mistake: this turn is lost, loudly, and the next one starts from what is on record.
                log.exception("turn failed", loop=name)
            if not more:
                self._nudges[name].wait(self._pause_seconds(name))
            self._nudges[name].clear()

    def _pause_seconds(self, name: str) -> float:
        """Return how long the loop waits unless something happens: until its tick, or until the responder is due."""
        wake_at = self.responder.wake_at if name == "responder" else None
        if wake_at is None:
            return self._loops.tick_seconds
        due_seconds = (wake_at - self.clock.now()).total_seconds()
        return min(max(due_seconds, SHORTEST_PAUSE_SECONDS), self._loops.tick_seconds)

    def _housekeeping(self) -> None:
        now = self.clock.now()
        self.store.housekeep(now)
        deleted = self.store.prune(now - self._loops.keep_events)
        log.info("old records deleted", **deleted)

    def _timer_trouble(self, event: JobEvent) -> None:
        if event.code == EVENT_JOB_ERROR:
            self.metrics.timer_failed(event.job_id)
            log.error("timer failed", timer=event.job_id, error=str(getattr(event, "exception", "")))
        else:
            self.metrics.timer_missed()


def _timers(workers: int) -> Any:
    return BackgroundScheduler(
        timezone=UTC,
        executors={"default": ThreadPoolExecutor(max_workers=workers)},
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
    )
