"""The one door to the database: each method is one transaction, and what fails is a StoreError."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta

import sqlalchemy as sa

from clusterwatch.errors import LeaseLostError, StoreError
from clusterwatch.model import (
    Changes,
    CollectorStatus,
    Decision,
    Event,
    Hold,
    Incident,
    MaintenanceWindow,
    Outcome,
    Step,
    Topology,
    World,
)
from clusterwatch.store import inbox, migrations, retention, steps, tables
from clusterwatch.store import lease as lease_row
from clusterwatch.store.audit import write_audit
from clusterwatch.store.engine import Database
from clusterwatch.store.inbox import Cursor
from clusterwatch.store.justwritten import JustWritten
from clusterwatch.store.lease import Lease
from clusterwatch.store.nodelists import NodesWritten
from clusterwatch.store.partitions import make_days_ahead
from clusterwatch.store.queries import fetch, fetch_decisions
from clusterwatch.store.reader import Reader
from clusterwatch.store.records import COLLECTOR, DECISION, HOLD, INCIDENT, MAINTENANCE, STEP
from clusterwatch.store.world import (
    held,
    maintenance,
    open_world,
    replace_topology,
    saved_cursor,
    watched,
    write_changes,
)
from clusterwatch.store.writing import add, put

KEEP_EVERY_STEP = timedelta(days=1)
"""How long each event of progress is kept; the row a minute stays as long as everything else."""


class Store:
    """Records, the inbox, the lease and the steps. Safe to use from several threads.

    Attributes:
        read: Queries for people.
    """

    def __init__(self, database: Database, *, accept_simulated: bool = False) -> None:
        self._database = database
        self._accept_simulated = accept_simulated
        self.read = Reader(database)
        self._nodes_written = NodesWritten()
        self._just_written = JustWritten()

    @classmethod
    def open(
        cls,
        url: str,
        *,
        create: bool = False,
        accept_simulated: bool = False,
        durable: bool = True,
        alone: bool = False,
    ) -> Store:
        """Return the store at *url* ("sqlite:///path" or "postgresql://...").

        Args:
            create: Make or upgrade the schema first: what the embedded default does.
            accept_simulated: Take events marked simulated. A daemon on the machine's clock does not.
            durable: Wait for the disk at each commit. Without it, a loss of power may lose the last commits, or the
                whole file of SQLite: for what can be made again, such as a replay.
            alone: Nobody else opens a file of SQLite meanwhile: it is thrown away in the end.

        Raises:
            StoreError: Unreachable, or of another schema version; the message says what to do.
        """
        if create:
            migrations.upgrade(url)
        database = Database(url, durable=durable, alone=alone)
        try:
            migrations.check_of(database)
        except BaseException:
            database.close()
            raise
        return cls(database, accept_simulated=accept_simulated)

    def close(self) -> None:
        """Give back the connections."""
        self._database.close()

    def together(self) -> AbstractContextManager[None]:
        """Return what commits at its end, all at once, what this thread writes within; SQLite only, PostgreSQL as ever.

        For what runs alone and can be made again: other writers wait, and a loss of power takes all of it.
        """
        return self._database.together()

    def ping(self) -> None:
        """Return when the database answers.

        Raises:
            StoreError: If it does not.
        """
        with self._database.read() as connection:
            connection.execute(sa.select(1))

    def check(self) -> None:
        """Return when the database answers and has the schema of this version.

        Raises:
            StoreError: If not; the message says what to do.
        """
        migrations.check_of(self._database)

    def record(
        self,
        node: str,
        collector: str,
        events: Sequence[Event],
        position: Mapping[str, object],
        status: CollectorStatus | None,
        now: datetime,
    ) -> int:
        """Write *events* and the collector's *position* together; return how many events were new.

        Idempotent by event id. `received_at` becomes *now*. With *status* None the collector's status stays.

        Raises:
            StoreError: If an event is simulated and this store takes none; nothing is written.
        """
        if not self._accept_simulated and any(event.simulated for event in events):
            raise StoreError(f"collector {collector} sent simulated events: a real cluster's records stay real")
        with self._database.write() as connection:
            # The row of the position comes first: it lets only one writer a collector look for known events at a time.
            inbox.put_position(connection, node, collector, position, status, now)
            added = inbox.add_events(connection, events, now)
        self._just_written.note(added.events, added.first_seq, now)
        return len(added.events)

    def position(self, node: str, collector: str) -> dict[str, object]:
        """Return where *collector* on *node* goes on; {} the first time."""
        state = tables.collector_state
        query = sa.select(state.c.position).where(state.c.node == node, state.c.collector == collector)
        with self._database.read() as connection:
            return dict(connection.scalar(query) or {})

    def watched(self, now: datetime) -> dict[str, frozenset[str]]:
        """Return the names of the collectors that work, by node: what they did not see was not there."""
        with self._database.read() as connection:
            return watched(connection, now)

    def restraints(self, now: datetime) -> tuple[dict[str, Hold], tuple[MaintenanceWindow, ...]]:
        """Return what people told automation to leave alone: holds by subject, and windows that have not ended."""
        with self._database.read() as connection:
            return held(connection), maintenance(connection, now)

    def collector_statuses(self) -> list[CollectorStatus]:
        """Return how every collector does, by node and name."""
        with self._database.read() as connection:
            return list(fetch(connection, COLLECTOR))

    def acquire(self, holder: str, seconds: float) -> Lease | None:
        """Return the lease for *holder* (unique to a process) for *seconds*; None while another holds it."""
        with self._database.write() as connection:
            return lease_row.acquire(connection, holder, seconds)

    def renew(self, lease: Lease, seconds: float) -> Lease | None:
        """Return *lease* extended to *seconds* from now; None if it has expired or changed hands."""
        with self._database.write() as connection:
            return lease_row.renew(connection, lease, seconds)

    def release(self, lease: Lease) -> None:
        """Give *lease* back, if still held, so that the next need not wait."""
        with self._database.write() as connection:
            lease_row.release(connection, lease)

    def world(self, now: datetime) -> tuple[World, Cursor]:
        """Return the open state and how far the inbox was read, of one moment; `watching_since` is *now*."""
        with self._database.read() as connection:
            return open_world(connection, now), saved_cursor(connection)

    def inbox(self, cursor: Cursor, limit: int = 5000) -> tuple[list[Event], Cursor]:
        """Return the events committed since *cursor*, at most *limit*, and the cursor after them; none is skipped."""
        written = self._just_written.after(cursor.seq, limit)
        if written:
            return written, Cursor(cursor.xact, cursor.seq + len(written))
        with self._database.read() as connection:
            return inbox.next_events(connection, cursor, limit)

    def commit_turn(self, lease: Lease, changes: Changes, cursor: Cursor, now: datetime) -> None:
        """Write everything in *changes* and the *cursor*, all or nothing.

        Steps already there change only as their life cycle allows: what an actuator wrote meanwhile stays.

        Raises:
            LeaseLostError: If *lease* is not held any more; nothing is written.
        """
        with self._database.write() as connection:
            if not lease_row.move_cursor(connection, lease, cursor.as_json()):
                raise LeaseLostError(f"{lease.holder} is not the responder any more: nothing of this turn was written")
            write_changes(connection, changes, now, self._nodes_written)
        self._nodes_written.committed(changes)

    def steps_to_perform(self, actuators: Mapping[str, frozenset[str] | None]) -> list[Step]:
        """Return steps recorded or begun for these actuators (name to targets; None: any), oldest decision first.

        Of a decision only the first step that has not ended. Only what may be done: the decision's mode is auto, or
        a person approved it, or the step merely asks a person.
        """
        with self._database.read() as connection:
            return steps.to_perform(connection, actuators)

    def begin_step(self, step_id: str, now: datetime) -> bool:
        """Move a step from recorded to begun; False if another did, or it was cancelled."""
        with self._database.write() as connection:
            return steps.begin(connection, step_id, now)

    def finish_step(self, outcome: Outcome, *told: Event) -> bool:
        """Write what became of a step, with an audit row; False if it was not begun or has ended already.

        If it was not done, the later steps of the decision are cancelled. *told* are the events by which the responder
        learns of it: they are written with it or not at all, for nobody tells them again.
        """
        with self._database.write() as connection:
            has_finished = steps.finish(connection, outcome)
            added = inbox.add_events(connection, told, outcome.at) if has_finished and told else inbox.Added()
        self._just_written.note(added.events, added.first_seq, outcome.at)
        return has_finished

    def approve(self, decision_id: str, actor: str, reason: str, now: datetime) -> None:
        """Record that *actor* allows a decision to be carried out."""
        with self._database.write() as connection:
            steps.approve(connection, decision_id, actor, reason, now)

    def veto(
        self, decision_id: str, actor: str, reason: str, now: datetime, told: Callable[[Step], Event] | None = None
    ) -> list[Step]:
        """Cancel the steps of a decision that were not begun, on the word of *actor*; return those steps.

        *told* gives the event by which the responder learns of a cancelled step; it is written with it or not at all.
        """
        with self._database.write() as connection:
            cancelled = steps.veto(connection, decision_id, actor, reason, now)
            if told is not None:
                inbox.add_events(connection, [told(step) for step in cancelled], now)
            return cancelled

    def hold(self, hold: Hold, now: datetime) -> None:
        """Write what automation must leave alone, or that it need not any more, with an audit row."""
        with self._database.write() as connection:
            put(connection, HOLD, [hold], now)
            action = "held" if hold.is_active else "released"
            write_audit(connection, hold.lifted_by or hold.made_by, action, hold.subject, hold.reason, now)

    def ask(self, decision: Decision, incident: Incident, actor: str, now: datetime) -> None:
        """Write a decision that *actor*, a person, asked for, with the *incident* it is kept under and an audit row."""
        with self._database.write() as connection:
            put(connection, INCIDENT, [incident], now)
            put(connection, DECISION, [decision], now)
            add(connection, STEP, decision.steps, now)
            write_audit(connection, actor, "asked", decision.id, decision.reason, now)

    def decided_by(self, rule: str, since: datetime) -> tuple[Decision, ...]:
        """Return the decisions that *rule* made from *since* on, oldest first."""
        made = (tables.decisions.c.rule == rule, tables.decisions.c.happened_at >= since)
        with self._database.read() as connection:
            return fetch_decisions(connection, *made, order=[tables.decisions.c.happened_at])

    def set_topology(self, topology: Topology, now: datetime) -> None:
        """Replace who is near whom."""
        with self._database.write() as connection:
            replace_topology(connection, topology, now)

    def add_maintenance(self, window: MaintenanceWindow, now: datetime) -> None:
        """Write a maintenance window, or change the one with its id."""
        with self._database.write() as connection:
            put(connection, MAINTENANCE, [window], now)

    def audit(self, actor: str, action: str, subject: str, detail: str, now: datetime) -> None:
        """Write who did what to what."""
        with self._database.write() as connection:
            write_audit(connection, actor, action, subject, detail, now)

    def prune(self, before: datetime) -> dict[str, int]:
        """Delete events and progress observed earlier than *before*; return rows deleted by table."""
        with self._database.write() as connection:
            return retention.prune(connection, before)

    def housekeep(self, now: datetime) -> None:
        """Make the partitions of the days to come (PostgreSQL) and thin out old progress; at start and once a day."""
        with self._database.write() as connection:
            if self._database.is_postgresql:
                make_days_ahead(connection, now)
            retention.prune_steps(connection, now - KEEP_EVERY_STEP)
