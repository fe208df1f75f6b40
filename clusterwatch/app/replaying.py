"""A trace through the whole pipeline, on a clock that jumps to wherever something happens.

What the daemon does by the second is done here by the event: collect, observe, record, respond, act, with the same
code on the same store. The clock jumps to the next thing that happens, arrives or is due, and never by less than
`COLLECTED_EVERY`: collectors look once a second too.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from prometheus_client import CollectorRegistry

from clusterwatch import pipeline
from clusterwatch.app.wiring import abilities_of
from clusterwatch.clock import CatchUpClock
from clusterwatch.detect import Catalog, ObserverState
from clusterwatch.metrics import Metrics
from clusterwatch.model import Mode
from clusterwatch.pipeline import Limits
from clusterwatch.seams import Site, TraceFleet
from clusterwatch.server import Actor, Responder
from clusterwatch.store import Store

COLLECTED_EVERY = timedelta(seconds=1)
LONGEST_JUMP = timedelta(minutes=10)
"""While a job trains undisturbed: what it told in between comes in one batch."""

LOOKS_TOGETHER = 256
"""So many looks are committed at once: nobody else writes, and each commit writes most of the index of ids anew."""

_COLLECTED_AFTER = 50_000
"""So many new objects: a burst of events makes as many, and they are gone after it."""

_SITE = Site("replay")


@dataclass(slots=True)
class Volume:
    """How much went through."""

    readings: int = 0
    events: int = 0
    turns: int = 0


@dataclass(slots=True)
class Replay:
    """One run of *fleet* through the pipeline into *store*, from its start to its end."""

    fleet: TraceFleet
    store: Store
    catalog: Catalog
    limits: Limits
    mode: Mode = Mode.AUTO
    longest_jump: timedelta = LONGEST_JUMP
    looks_together: int = LOOKS_TOGETHER
    metrics: Metrics = field(default_factory=lambda: Metrics(CollectorRegistry()))
    volume: Volume = field(default_factory=Volume)
    _clock: CatchUpClock = field(init=False)
    _responder: Responder = field(init=False)
    _actor: Actor = field(init=False)
    _observer: ObserverState = field(default_factory=ObserverState)
    _window_closes_at: datetime | None = None
    _has_steps: bool = True

    def __post_init__(self) -> None:
        """Wire the parts on a clock that begins when the trace does."""
        self._clock = CatchUpClock(self.fleet.start)
        modes = {**self.limits.policy.modes, self.fleet.name: self.mode}
        abilities = {**self.limits.policy.abilities, **abilities_of([self.fleet])}
        limits = replace(self.limits, policy=replace(self.limits.policy, modes=modes, abilities=abilities))
        self._responder = Responder(
            self.store,
            self.catalog.knowledge,
            limits,
            self._clock,
            self.metrics,
            holder="replay",
            lease_seconds=3600.0,
            topology=self.fleet.topology(),
            watched=self.fleet.watched(),
        )
        self._actor = Actor(self.store, [self.fleet], self._clock, self.metrics)

    @property
    def now(self) -> datetime:
        """The simulated present."""
        return self._clock.now()

    def run(self, on_progress: Callable[[datetime], object] = lambda now: None) -> None:
        """Replay everything that is left; *on_progress* hears the simulated time now and then, and at the end.

        With `looks_together` 1 that is before each look.
        """
        self.run_until(self.fleet.ends_at, on_progress)
        self._responder.stop()

    def run_until(self, end: datetime, on_progress: Callable[[datetime], object] = lambda now: None) -> None:
        """Replay what happens up to *end*, which is looked at as well."""
        if self.now == self.fleet.start:
            self._announce()
        with _few_collections():
            self._live_until(end, on_progress)

    def _live_until(self, end: datetime, on_progress: Callable[[datetime], object]) -> None:
        is_over = False
        while not is_over:
            on_progress(self.now)
            with self.store.together():
                is_over = self._take_looks(end)
        on_progress(self.now)

    def _take_looks(self, end: datetime) -> bool:
        """Take the next looks; return whether *end* was looked at."""
        for _ in range(self.looks_together):
            self._live_at(self.now)
            if self.now >= end:
                return True
            self._clock.advance((min(self._next(self.now), end) - self.now) / timedelta(seconds=1))
        return False

    def _announce(self) -> None:
        for window in self.fleet.maintenance():
            self.store.add_maintenance(window, self.fleet.start)

    def _live_at(self, now: datetime) -> None:
        self._collect(now)
        while True:
            self._responder.turn()
            self.volume.turns += 1
            self._has_steps |= self._responder.has_planned
            if self._responder.has_asked:
                self.fleet.call_person(self.now)
            if not self._responder.is_behind and not self._act():
                return

    def _act(self) -> bool:
        """Carry out what is due, step after step as the actor of a daemon does; return whether anything was."""
        has_steps, self._has_steps = self._has_steps and self.fleet.is_followed, False
        return has_steps and sum(iter(self._actor.turn, 0)) > 0

    def _collect(self, now: datetime) -> None:
        readings = self.fleet.collect(_SITE, {}, now).readings
        self._observer, events, self._window_closes_at = pipeline.observe(self._observer, readings, self.catalog, now)
        events = [*self.fleet.noticed(now), *events]
        self.volume.readings += len(readings)
        if events:
            self.volume.events += self.store.record(_SITE.node, self.fleet.name, events, {}, None, now)

    def _next(self, now: datetime) -> datetime:
        due = [self.fleet.next_at(), self._responder.wake_at, self._window_closes_at]
        if not self.fleet.could_train(now):
            due.append(self._responder.silent_at)
        soonest = min((at for at in due if at is not None), default=self.fleet.ends_at)
        return min(max(soonest, now + COLLECTED_EVERY), now + self.longest_jump, self.fleet.ends_at)


@contextmanager
def _few_collections() -> Iterator[None]:
    """Let Python seldom look for garbage that goes round in circles: there is hardly any, and looking takes time."""
    thresholds = gc.get_threshold()
    # Code, rules and schedule stay: there is no need to go through them again and again.
    gc.freeze()
    gc.set_threshold(_COLLECTED_AFTER, *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
