"""Turns of the responder on a real database, timed: read the inbox, respond, commit."""

from __future__ import annotations

import gc
from dataclasses import dataclass, field
from statistics import median, quantiles

import sqlalchemy as sa

from clusterwatch import pipeline
from clusterwatch.clock import SystemClock
from clusterwatch.model import Changes, Component, ComponentKind, Event, Trust, World
from clusterwatch.store import Cursor, Lease, Store, tables
from clusterwatch.testing import NOON, event, seconds, training_job
from shipped import shipped_catalog, shipped_limits

KNOWLEDGE = shipped_catalog().knowledge
LIMITS = shipped_limits()
GPUS_PER_NODE = 8
KINDS = {"symptoms": "nccl.system_error", "exceptions": "python.exception"}
TARGET_P99_MS = {1: 5.0, 100: 5.0, 16_384: 20.0}
AT = NOON + seconds(30)

_DOUBLED_AT_MOST = 500_000
_NEW_ID = {
    "sqlite": "lower(hex(randomblob(16)))",
    "postgresql": "md5(random()::text || events.seq::text)",
}


@dataclass(slots=True)
class Times:
    """Milliseconds: of the turns in which an incident grew to its size, and of turns with one more event for it."""

    growing: list[float] = field(default_factory=list)
    one_more: list[float] = field(default_factory=list)

    def row(self, size: int) -> str:
        """Return the figures as a line of a table."""
        p99 = quantiles(self.one_more, n=100, method="inclusive")[98]
        figures = f"{sum(self.growing):>13.1f} {median(self.one_more):>13.2f} {p99:>9.2f}"
        return f"{size:>8} {figures} {TARGET_P99_MS[size]:>11.0f}"


HEADING = " symptoms  all came, ms  one more, p50      p99  target p99"


def measured(store: Store, lease: Lease, job: str, kind: str, size: int, repeats: int) -> Times:
    """Return how long turns take for an incident of *job* with *size* symptoms, and for one more, *repeats* times."""
    gc.freeze()  # as the service does when it starts
    times = Times()
    world = taken(store, lease, World(watching_since=NOON), training_job(job, nodes=_nodes(size)), [])
    world = taken(store, lease, world, [symptom(kind, job, rank) for rank in range(size)], times.growing)
    for number in range(repeats):
        more = symptom(kind, job, number % size, text=f"one more, {number}")
        world = taken(store, lease, world, [more], times.one_more)
    return times


def taken(store: Store, lease: Lease, world: World, events: list[Event], turns: list[float]) -> World:
    """Return the world after *events*, which came in beforehand; add the milliseconds of each turn to *turns*."""
    clock = SystemClock()
    _, cursor = store.world(NOON)
    store.record("node0000", "bench", events, {}, None, AT)
    left = len(events)
    while left > 0:
        began = clock.monotonic()
        inbox, cursor = store.inbox(cursor)
        turn = pipeline.respond(world, inbox, KNOWLEDGE, LIMITS, AT)
        store.commit_turn(lease, turn.changes, cursor, AT)
        turns.append((clock.monotonic() - began) * 1000)
        world, left = turn.world, left - len(inbox)
    return world


def keep(store: Store, lease: Lease, url: str, total: int) -> None:
    """Let *store* hold *total* events that were read long ago, copied by the database itself."""
    noise = [symptom("host.note", "job-past", number, text=f"noise {number}") for number in range(min(total, 1000))]
    store.record("node0000", "bench", noise, {}, None, AT)
    engine = sa.create_engine(url)
    copied = [column.name for column in tables.events.columns if column.name not in ("id", "seq", "xact")]
    names = ", ".join(f'"{name}"' for name in copied)
    with engine.begin() as connection:
        held = newest = connection.execute(sa.text("select max(seq) from events")).scalar_one()
        while held < total:
            more = min(held, total - held, _DOUBLED_AT_MOST)
            new_id = _NEW_ID[engine.dialect.name]
            # Not in the words of the store: what is measured must not be what prepares it.
            chosen = f"select {new_id}, {newest} + row_number() over (), {names} from events limit {more}"
            connection.execute(sa.text(f"insert into events (id, seq, {names}) {chosen}"))
            held, newest = held + more, newest + more
    engine.dispose()
    store.commit_turn(lease, Changes(), _end_of_inbox(store, newest), AT)


def _end_of_inbox(store: Store, newest: int) -> Cursor:
    inbox, cursor = store.inbox(Cursor(0, newest))  # where events are numbered in the order of commit, it is empty
    while inbox:
        inbox, cursor = store.inbox(cursor)
    return cursor


def symptom(kind: str, job: str, rank: int, text: str = "it happened") -> Event:
    """Return what *rank* of *job* says."""
    where = Component(ComponentKind.RANK, str(rank), f"node{rank // GPUS_PER_NODE:04d}")
    return event(kind, where, AT, job=job, attempt=1, rank=rank, trust=Trust.USER, text=text)


def _nodes(ranks: int) -> str:
    return ",".join(f"node{number:04d}" for number in range(-(-ranks // GPUS_PER_NODE)))
