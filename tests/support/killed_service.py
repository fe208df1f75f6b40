"""A simulated cluster in closed loop with ClusterWatch, which is killed where a test says so and started again.

The parts are the daemon's: agent, responder and actor on a SQLite file, taken apart and put together anew at each
start. The cluster lives on meanwhile. What a step leaves behind are *marks*, in the order in which they are made:
the decision on record, and of each step that it was begun, carried out and ended. Between two marks nothing lasting
happens: whoever is killed there is killed after the one and before the other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from prometheus_client import CollectorRegistry

from clusterwatch.agent import Agent
from clusterwatch.app.reckoning import present_of, whole_ledger
from clusterwatch.clock import ManualClock
from clusterwatch.detect import Catalog
from clusterwatch.metrics import Metrics
from clusterwatch.model import (
    Attempt,
    Changes,
    Collected,
    CollectorStatus,
    Decision,
    Event,
    Mode,
    Node,
    Outcome,
    Reading,
    Step,
    StepKind,
    StepState,
    WorldState,
)
from clusterwatch.pipeline import Limits
from clusterwatch.seams import Site
from clusterwatch.server import Actor, Responder
from clusterwatch.store import Cursor, IncidentView, JobView, Lease, Store
from simulators.trace_fleet import TraceFleet

BACK_AFTER_SECONDS = 7.0
"""How long a killed service is away: its lease has run out by then."""

_HEAD = "head"

LONGEST_SECONDS = 5.0
"""Between two looks at the cluster, at most."""

ALL = 10_000


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


@dataclass
class Marks:
    """What was done, in order; *kill_at* are the numbers of marks before which ClusterWatch dies, once each.

    With *every_write*, every other write to the database is a mark as well.
    """

    kill_at: frozenset[int] = frozenset()
    every_write: bool = False
    made: list[str] = field(default_factory=list)
    kills: list[str] = field(default_factory=list)

    def making(self, mark: str) -> None:
        """Be told that *mark* is about to be made."""
        if len(self.made) in self.kill_at and len(self.made) not in self._died_at:
            self._died_at.add(len(self.made))
            self.kills.append(f"before {mark!r}")
            raise Killed
        self.made.append(mark)

    _died_at: set[int] = field(default_factory=set)


class MarkedStore(Store):
    """The store, which tells of each mark before it makes it."""

    marks: Marks

    def record(
        self,
        node: str,
        collector: str,
        events: Sequence[Event],
        position: Mapping[str, object],
        status: CollectorStatus | None,
        now: datetime,
    ) -> int:
        if self.marks.every_write:
            self.marks.making(" ".join([f"record of {collector}", *(event.origin for event in events[:1])]))
        return super().record(node, collector, events, position, status, now)

    def commit_turn(self, lease: Lease, changes: Changes, cursor: Cursor, now: datetime) -> None:
        planned = [step.kind.value for decision in changes.decisions for step in decision.steps]
        if planned or changes.steps or self.marks.every_write:
            self.marks.making(f"decision: {', '.join(planned) or 'none'}")
        super().commit_turn(lease, changes, cursor, now)

    def begin_step(self, step_id: str, now: datetime) -> bool:
        self.marks.making(f"begin {step_id}")
        return super().begin_step(step_id, now)

    def finish_step(self, outcome: Outcome, *told: Event) -> bool:
        self.marks.making(f"finish {outcome.step_id}")
        return super().finish_step(outcome, *told)


@dataclass
class Hands:
    """The cluster's actuator: counts how often each step was carried out. *tells* is what it says when it is asked."""

    fleet: TraceFleet
    marks: Marks
    tells: Callable[[Step], WorldState]
    performed: list[Step] = field(default_factory=list)
    name: str = TraceFleet.name
    mode: Mode = Mode.AUTO

    def perform(self, step: Step, now: datetime) -> Outcome:
        self.marks.making(f"perform {step.id} ({step.kind})")
        self.performed.append(step)
        return self.fleet.perform(step, now)

    def state_of(self, step: Step) -> WorldState:
        return self.tells(step)

    def targets(self) -> frozenset[str]:
        return self.fleet.targets()


@dataclass
class Mail:
    """The cluster's collector: what was told stays, and is read on from where it was last recorded."""

    fleet: TraceFleet
    told: list[Reading] = field(default_factory=list)
    name: str = TraceFleet.name
    every_seconds: float = 1.0
    deadline_seconds: float = 60.0

    def collect(self, site: Site, position: Mapping[str, object], now: datetime) -> Collected:
        self.told += self.fleet.collect(site, {}, now).readings
        return Collected(tuple(self.told[int(str(position.get("read", 0))) :]), {"read": len(self.told)})

    def close(self) -> None:
        """Hold nothing."""


@cache
def _empty_database() -> bytes:
    """Return a database with its tables: to make them takes a fifth of what a scenario takes."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "empty.db"
        Store.open(f"sqlite:///{path}", create=True).close()
        return path.read_bytes()


class KilledService:
    """ClusterWatch over *fleet*, as often as it is started."""

    def __init__(
        self,
        fleet: TraceFleet,
        database: Path,
        catalog: Catalog,
        limits: Limits,
        marks: Marks | None = None,
        tells: Callable[[Step], WorldState] | None = None,
        longest_seconds: float = LONGEST_SECONDS,
    ) -> None:
        self.fleet = fleet
        self.marks = marks or Marks()
        self.hands = Hands(fleet, self.marks, tells or fleet.state_of)
        self.clock = ManualClock(fleet.start)
        self.starts = 0
        self._mail = Mail(fleet)
        self._longest_seconds = longest_seconds
        self._database, self._catalog, self._limits = database, catalog, limits
        self._start()
        for window in fleet.maintenance():
            self.store.add_maintenance(window, fleet.start)

    @property
    def seconds(self) -> float:
        """How long it is since the start."""
        return (self.clock.now() - self.fleet.start).total_seconds()

    def live_until(self, seconds: float) -> None:
        """Let time pass until *seconds* after the start; who is killed comes back."""
        end = self.fleet.start + timedelta(seconds=seconds)
        while self.clock.now() < end:
            self.clock.advance(self._seconds_to_next())
            try:
                self._live()
            except Killed:
                self._come_back()

    def tell(self, *readings: Reading) -> None:
        """Let the collector read these too."""
        self._mail.told += readings

    def tell_all_again(self) -> None:
        """Kill it, and lose how far everything was read."""
        self.store.record(_HEAD, self._mail.name, [], {}, None, self.clock.now())
        self._come_back()

    def close(self) -> None:
        """End it for good."""
        self.store.close()

    def job(self) -> JobView:
        """Return what is on record of the only job."""
        (job_id,) = self.fleet.targets()
        view = self.store.read.job(job_id)
        assert view is not None
        return view

    def attempts(self) -> Sequence[Attempt]:
        """Return the attempts of the job, in order."""
        return self.job().attempts

    def node(self, name: str) -> Node:
        """Return what is on record of a node."""
        return next(node for node in self.store.read.nodes() if node.name == name)

    def decisions(self) -> list[Decision]:
        """Return every decision, oldest first."""
        return self.store.read.decisions(ALL)[::-1]

    def steps(self, kind: StepKind | None = None) -> list[Step]:
        """Return the steps of every decision, or those of one *kind*, in order."""
        steps = [step for decision in self.decisions() for step in decision.steps]
        return [step for step in steps if kind in (None, step.kind)]

    def done(self, kind: StepKind) -> list[Step]:
        """Return the steps of *kind* that were carried out, in order."""
        return [step for step in self.steps(kind) if step.state is StepState.DONE]

    def interrupting(self) -> list[IncidentView]:
        """Return the incidents that interrupted the job, in order."""
        ids = dict.fromkeys(each.incident_id for each in self.job().interruptions if each.incident_id)
        return [view for each in ids if (view := self.store.read.incident(each)) is not None]

    def performed(self) -> Counter[str]:
        """Return how often each step was carried out in the cluster, by its id."""
        return Counter(step.id for step in self.hands.performed)

    def seconds_by_reason(self) -> tuple[Mapping[str, float], float]:
        """Return where the job's time went by its ledger, and how long it has been there."""
        view, now = self.job(), self.clock.now()
        elapsed = (present_of(view.job, now) - view.job.started_at).total_seconds()
        return {str(reason): each for reason, each in whole_ledger(view, now).seconds_by_reason().items()}, elapsed

    def _seconds_to_next(self) -> float:
        """Return how long nothing is due; collectors look once a second, and nothing is left alone for long."""
        due = (self.fleet.next_at(), self._responder.wake_at, self._responder.silent_at)
        soonest = min((at for at in due if at is not None), default=self.clock.now())
        return min(max((soonest - self.clock.now()).total_seconds(), 1.0), self._longest_seconds)

    def _live(self) -> None:
        self._agent.run(self._mail.name)
        acts = True
        while acts:
            while self._responder.turn():
                continue
            acts = self._actor.turn() > 0

    def _start(self) -> None:
        self.starts += 1
        if self.starts == 1:
            self._database.write_bytes(_empty_database())
        self.store = MarkedStore.open(f"sqlite:///{self._database}", accept_simulated=True, durable=False)
        self.store.marks = self.marks
        metrics: Any = Metrics(CollectorRegistry())
        self._agent = Agent([self._mail], lambda _: Site(_HEAD), self.store, self._catalog, self.clock, metrics)
        self._responder = Responder(
            self.store,
            self._catalog.knowledge,
            self._limits,
            self.clock,
            metrics,
            holder=self._holder,
            lease_seconds=3600.0,
            topology=self.fleet.topology(),
        )
        self._actor = Actor(self.store, [self.hands], self.clock, metrics)

    @property
    def _holder(self) -> str:
        return f"process {self.starts}"

    def _come_back(self) -> None:
        # The lease runs by the database's clock, which no test moves.
        lease = self.store.acquire(self._holder, 3600.0)
        if lease is not None:
            self.store.release(lease)
        self.store.close()
        self.clock.advance(BACK_AFTER_SECONDS)
        self._start()
