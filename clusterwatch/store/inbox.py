"""Events in, in a safe order out: the events table is the responder's inbox.

1. A sequence is no safe cursor: PostgreSQL hands out numbers before it knows who commits first.
2. So each row holds its transaction, and only transactions older than any that still runs are read
   (https://www.postgresql.org/docs/15/functions-info.html, pg_snapshot_xmin). A long transaction delays, never loses.
3. SQLite has one writer at a time: its numbers are in the order of commit, and the transaction is always 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from clusterwatch.model import CollectorStatus, Event
from clusterwatch.store.columns import TransactionId
from clusterwatch.store.records import COLLECTOR, EVENT, event_of
from clusterwatch.store.tables import collector_state, events
from clusterwatch.store.writing import add_rows, put_rows

_IDS_PER_QUERY = 1000


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far the inbox was read: the last event's transaction and number. The default is the very beginning."""

    xact: int = 0
    seq: int = 0

    def as_json(self) -> dict[str, int]:
        """Return the cursor as it is stored."""
        return asdict(self)


def add_events(connection: sa.Connection, arrived: Sequence[Event], now: datetime) -> int:
    """Write those of *arrived* whose id is not stored yet; return how many."""
    by_id = {event.id: event for event in arrived}
    known = _known(connection, list(by_id))
    rows = [EVENT.row(event, now) for event_id, event in by_id.items() if event_id not in known]
    add_rows(connection, events, rows if connection.dialect.name == "postgresql" else list(_numbered(connection, rows)))
    return len(rows)


def put_position(
    connection: sa.Connection,
    node: str,
    collector: str,
    position: Mapping[str, object],
    status: CollectorStatus | None,
    now: datetime,
) -> None:
    """Write where a collector goes on, and how it does if *status* tells."""
    row: dict[str, Any] = {} if status is None else COLLECTOR.row(status, now)
    row |= {"node": node, "collector": collector, "position": dict(position), "received_at": now}
    put_rows(connection, collector_state, [row], row.keys() - {"node", "collector"})


def next_events(connection: sa.Connection, cursor: Cursor, limit: int) -> tuple[list[Event], Cursor]:
    """Return the next *limit* events in the safe order and the cursor after them."""
    place = sa.tuple_(events.c.xact, events.c.seq)
    after = sa.tuple_(sa.literal(cursor.xact, TransactionId), sa.literal(cursor.seq, sa.BigInteger))
    query = sa.select(events).where(place > after).order_by(events.c.xact, events.c.seq).limit(limit)
    if connection.dialect.name == "postgresql":
        query = query.where(events.c.xact < sa.func.pg_snapshot_xmin(sa.func.pg_current_snapshot()))
    rows = connection.execute(query).mappings().all()
    return [event_of(row) for row in rows], Cursor(rows[-1]["xact"], rows[-1]["seq"]) if rows else cursor


def _known(connection: sa.Connection, ids: list[str]) -> set[str]:
    found: set[str] = set()
    for start in range(0, len(ids), _IDS_PER_QUERY):
        query = sa.select(events.c.id).where(events.c.id.in_(ids[start : start + _IDS_PER_QUERY]))
        found.update(connection.scalars(query))
    return found


def _numbered(connection: sa.Connection, rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    # Retention never deletes the newest event, so a number is never handed out twice.
    newest = connection.scalar(sa.select(sa.func.max(events.c.seq)).where(events.c.xact == 0)) or 0
    return (row | {"seq": newest + count} for count, row in enumerate(rows, start=1))
