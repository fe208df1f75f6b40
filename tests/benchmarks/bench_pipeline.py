"""What an event costs on its whole way, stage by stage: observe, record, read the inbox, respond, commit.

Interruptions of a job on 2,048 nodes: each node's eight ranks say that a collective timed out, as one folded reading.
Beside it, in the same run and the same batches, the rows of the events go into the same table through the bare driver:
what the database alone costs. Figures are medians over the interruptions, in microseconds an event.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import TypeVar

import pytest
import sqlalchemy as sa

from clusterwatch import pipeline
from clusterwatch.clock import SystemClock
from clusterwatch.detect import ObserverState
from clusterwatch.model import Event, Reading, Trust, World
from clusterwatch.store import Cursor, Lease, Store, tables
from clusterwatch.testing import NOON, seconds, training_job
from shipped import shipped_catalog

NODES = 2048
GPUS = 8
INTERRUPTIONS = 12
APART_SECONDS = 4000
STAGES = ("observe", "record", "inbox", "respond", "commit")
MOST_TIMES_THE_DRIVER = 12.0
"""A floor, not a mark: the whole way may take so many times as long as the bare driver's writing of the rows."""

CATALOG = shipped_catalog()
LIMITS = pipeline.Limits()
TIMED_OUT = (
    "[rank{rank}]:[E1121 09:00:00.123456789 ProcessGroupNCCL.cpp:632] [Rank {rank}] Watchdog caught collective "
    "operation timeout: WorkNCCL(SeqNum=1234{number}, OpType=ALLREDUCE, NumelIn=1, NumelOut=1, Timeout(ms)=600000) ran "
    "for 600029 milliseconds before timing out."
)
T = TypeVar("T")


@dataclass(slots=True)
class Bench:
    """The parts of the path, and how long each took, in microseconds an event, by stage."""

    store: Store
    lease: Lease
    world: World = field(default_factory=lambda: World(watching_since=NOON))
    cursor: Cursor = field(default_factory=Cursor)
    observer: ObserverState = field(default_factory=ObserverState)
    taken: dict[str, list[float]] = field(default_factory=lambda: {stage: [] for stage in STAGES})
    clock: SystemClock = field(default_factory=SystemClock)

    def interruption(self, readings: list[Reading], at: datetime) -> list[Event]:
        """Take *readings* all the way, and note what it took."""
        observed = self._timed("observe", lambda: pipeline.observe(self.observer, readings, CATALOG, at))
        self.observer, events, _ = observed
        self.feed(events, at)
        return events

    def feed(self, events: list[Event], at: datetime) -> None:
        """Take *events* from the store's door on."""
        self._timed("record", lambda: self.store.record("node0000", "job_log", events, {}, None, at))
        inbox, cursor = self._timed("inbox", lambda: self.store.inbox(self.cursor))
        turn = self._timed("respond", lambda: pipeline.respond(self.world, inbox, CATALOG.knowledge, LIMITS, at))
        self._timed("commit", lambda: self.store.commit_turn(self.lease, turn.changes, cursor, at))
        assert len(inbox) == len(events)
        self.world, self.cursor = turn.world, cursor

    def _timed(self, stage: str, work: Callable[[], T]) -> T:
        began = self.clock.monotonic()
        result = work()
        self.taken[stage].append((self.clock.monotonic() - began) / NODES * 1e6)
        return result


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh database."""
    postgres = request.param == "postgresql"
    return request.getfixturevalue("postgres_url") if postgres else f"sqlite:///{tmp_path / 'bench.db'}"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """A fresh store, that waits for no disk, as a replay's."""
    store = Store.open(url, create=True, durable=False)
    yield store
    store.close()


def test_whole_way_of_an_event_costs_a_few_times_what_writing_its_row_costs(
    store: Store, url: str, request: pytest.FixtureRequest
):
    lease = store.acquire("bench", 3600)
    assert lease is not None
    bench = Bench(store, lease)
    bench.feed(training_job("job", nodes=",".join(f"node{number:04d}" for number in range(NODES))), NOON)
    bench.taken = {stage: [] for stage in STAGES}
    gc.collect()
    gc.freeze()  # as the service does when it starts

    batches = []
    for number in range(INTERRUPTIONS):
        at = NOON + seconds(100 + number * APART_SECONDS)
        batches.append(bench.interruption([timed_out(number, node, at) for node in range(NODES)], at))

    bare = by_the_driver_alone(url)
    figures = {stage: median(bench.taken[stage]) for stage in STAGES}
    whole = sum(figures.values())
    stages = "  ".join(f"{stage} {figure:.1f}" for stage, figure in figures.items())
    print(f"\n{request.node.callspec.id}: {stages}  all {whole:.1f} us an event; driver alone {bare:.1f}", end="")
    print(f"; {whole / bare:.1f} times as long")
    assert all(len(batch) == NODES for batch in batches)
    assert whole < MOST_TIMES_THE_DRIVER * bare


def timed_out(number: int, node: int, at: datetime) -> Reading:
    """Return what the ranks of a node print alike, as whoever reads it folds it."""
    first = node * GPUS
    return Reading(
        source="job_log",
        node=f"node{node:04d}",
        position=f"{number}:{node}",
        observed_at=at,
        happened_at=at,
        trust=Trust.USER,
        text=TIMED_OUT.format(rank=first, number=number),
        fields={"origin": f"log{node}:{number}", "ranks": f"{first}-{first + GPUS - 1}", "count": GPUS},
        job="job",
        attempt=1,
        rank=first,
    )


def by_the_driver_alone(url: str) -> float:
    """Return what it takes to write the events of *url* once more, as tuples through its driver: microseconds a row."""
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    columns = [column.name for column in tables.events.columns if column.name not in ("seq", "xact", "fields")]
    names = ", ".join(f'"{name}"' for name in columns)
    with engine.begin() as connection:
        rows = connection.exec_driver_sql(f"SELECT {names} FROM events").fetchall()
        connection.exec_driver_sql("DELETE FROM events")
    mark = "?" if engine.dialect.name == "sqlite" else "%s"
    marks = ", ".join([mark] * len(columns))
    statement = f"INSERT INTO events ({names}, fields, seq) VALUES ({marks}, '{{}}', {mark})"
    numbered = [(*row, number) for number, row in enumerate(rows)]
    clock, taken = SystemClock(), []
    for start in range(0, len(numbered) - NODES, NODES):
        batch = numbered[start : start + NODES]
        began = clock.monotonic()
        with engine.begin() as connection:
            connection.exec_driver_sql(statement, batch)
        taken.append((clock.monotonic() - began) / len(batch) * 1e6)
    engine.dispose()
    return median(taken)
