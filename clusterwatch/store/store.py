"""The one door to the database: each method is one transaction, and what fails is a StoreError."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from clusterwatch.model import (
    Changes,
    CollectorStatus,
    Event,
    MaintenanceWindow,
    Outcome,
    Step,
    Topology,
    World,
)
from clusterwatch.store.inbox import Cursor
from clusterwatch.store.lease import Lease
from clusterwatch.store.reader import Reader


class Store:
    """Records, the inbox, the lease and the steps. Safe to use from several threads.

    Attributes:
        read: Queries for people.
    """

    read: Reader

    @classmethod
    def open(cls, url: str, *, create: bool = False, accept_simulated: bool = False) -> Store:
        """Return the store at *url* ("sqlite:///path" or "postgresql://...").

        Args:
            create: Make or upgrade the schema first: what the embedded default does.
            accept_simulated: Take events marked simulated. A daemon on the machine's clock does not.

        Raises:
            StoreError: Unreachable, or of another schema version; the message says what to do.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Give back the connections."""
        raise NotImplementedError

    def ping(self) -> None:
        """Return when the database answers.

        Raises:
            StoreError: If it does not.
        """
        raise NotImplementedError

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
        raise NotImplementedError

    def position(self, node: str, collector: str) -> dict[str, object]:
        """Return where *collector* on *node* goes on; {} the first time."""
        raise NotImplementedError

    def collector_statuses(self) -> list[CollectorStatus]:
        """Return how every collector does, by node and name."""
        raise NotImplementedError

    def acquire(self, holder: str, seconds: float) -> Lease | None:
        """Return the lease for *holder* (unique to a process) for *seconds*; None while another holds it."""
        raise NotImplementedError

    def renew(self, lease: Lease, seconds: float) -> Lease | None:
        """Return *lease* extended to *seconds* from now; None if it has expired or changed hands."""
        raise NotImplementedError

    def release(self, lease: Lease) -> None:
        """Give *lease* back, if still held, so that the next need not wait."""
        raise NotImplementedError

    def world(self, now: datetime) -> tuple[World, Cursor]:
        """Return the open state and how far the inbox was read, of one moment; `watching_since` is *now*."""
        raise NotImplementedError

    def inbox(self, cursor: Cursor, limit: int = 5000) -> tuple[list[Event], Cursor]:
        """Return the events committed since *cursor*, at most *limit*, and the cursor after them; none is skipped."""
        raise NotImplementedError

    def commit_turn(self, lease: Lease, changes: Changes, cursor: Cursor, now: datetime) -> None:
        """Write everything in *changes* and the *cursor*, all or nothing.

        Steps already recorded change only from recorded to cancelled here: what an actuator wrote stays.

        Raises:
            LeaseLostError: If *lease* is not held any more; nothing is written.
        """
        raise NotImplementedError

    def steps_to_perform(self, actuators: Mapping[str, frozenset[str] | None]) -> list[Step]:
        """Return steps recorded or begun for these actuators (name to targets; None: any), oldest decision first.

        Of a decision only the first step that has not ended. Only what may be done: the decision's mode is auto, or
        a person approved it, or the step merely asks a person.
        """
        raise NotImplementedError

    def begin_step(self, step_id: str, now: datetime) -> bool:
        """Move a step from recorded to begun; False if another did, or it was cancelled."""
        raise NotImplementedError

    def finish_step(self, outcome: Outcome) -> bool:
        """Write what became of a step, with an audit row; False if it was not begun or has ended already.

        If it was not done, the later steps of the decision are cancelled.
        """
        raise NotImplementedError

    def approve(self, decision_id: str, actor: str, reason: str, now: datetime) -> None:
        """Record that *actor* allows a decision to be carried out."""
        raise NotImplementedError

    def set_topology(self, topology: Topology, now: datetime) -> None:
        """Replace who is near whom."""
        raise NotImplementedError

    def add_maintenance(self, window: MaintenanceWindow, now: datetime) -> None:
        """Write a maintenance window, or change the one with its id."""
        raise NotImplementedError

    def audit(self, actor: str, action: str, subject: str, detail: str, now: datetime) -> None:
        """Write who did what to what."""
        raise NotImplementedError

    def prune(self, before: datetime) -> dict[str, int]:
        """Delete events and progress observed earlier than *before*; return rows deleted by table."""
        raise NotImplementedError

    def housekeep(self, now: datetime) -> None:
        """Make the partitions of the days to come (PostgreSQL); call it at start and once a day."""
        raise NotImplementedError
