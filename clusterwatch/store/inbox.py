"""Events in, in a safe order out: the events table is the responder's inbox.

1. A sequence is no safe cursor: PostgreSQL hands out numbers before it knows who commits first.
2. So each row holds its transaction, and only transactions older than any that still runs are read
   (https://www.postgresql.org/docs/15/functions-info.html, pg_snapshot_xmin). A long transaction delays, never loses.
3. SQLite has one writer at a time: its numbers are in the order of commit, and the transaction is always 0. The number
   is the key there, so that a row is put at the end, and only the index of the ids says what is known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from clusterwatch.model import CollectorStatus, Event
from clusterwatch.store.driver import rows_of
from clusterwatch.store.eventrows import COLUMNS, events_of
from clusterwatch.store.records import EVENT
from clusterwatch.store.tables import collector_state, events
from clusterwatch.store.writing import put_row, write_rows

_COPIED_FROM = 100
"""So many rows at once go to PostgreSQL by COPY; it takes as long to begin as some dozens of them."""

_NAMES = frozenset({"node", "name"})
_WANTED = ", ".join(f'"{name}"' for name in (*COLUMNS, "xact", "seq"))
_FROM_EVENTS = f"SELECT {_WANTED} FROM events "  # noqa: S608 - names of our own columns
_NEXT = {
    "sqlite": _FROM_EVENTS + "WHERE xact >= ? AND seq > ? ORDER BY seq LIMIT ?",
    "postgresql": _FROM_EVENTS + "WHERE (xact, seq) > (%s::text::xid8, %s) "
    "AND xact < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY xact, seq LIMIT %s",
}


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far the inbox was read: the last event's transaction and number. The default is the very beginning."""

    xact: int = 0
    seq: int = 0

    def as_json(self) -> dict[str, int]:
        """Return the cursor as it is stored."""
        return {"xact": self.xact, "seq": self.seq}


@dataclass(frozen=True, slots=True)
class Added:
    """Events that were written, and the number of the first where they are numbered without a gap (SQLite)."""

    events: Sequence[Event] = ()
    first_seq: int | None = None


def add_events(connection: sa.Connection, arrived: Sequence[Event], now: datetime) -> Added:
    """Write those of *arrived* whose id is not stored yet; return them."""
    by_id = {event.id: event for event in arrived}
    return _ADD[connection.dialect.name](connection, by_id, now) if by_id else Added()


def put_position(
    connection: sa.Connection,
    node: str,
    collector: str,
    position: Mapping[str, object],
    status: CollectorStatus | None,
    now: datetime,
) -> None:
    """Write where a collector goes on, and how it does if *status* tells."""
    row: dict[str, Any] = {"node": node, "collector": collector, "position": dict(position), "received_at": now}
    told = asdict(status) if status is not None else {}
    put_row(connection, collector_state, row | {key: value for key, value in told.items() if key not in _NAMES})


def next_events(connection: sa.Connection, cursor: Cursor, limit: int) -> tuple[list[Event], Cursor]:
    """Return the next *limit* events in the safe order and the cursor after them."""
    dialect = connection.dialect.name
    rows = rows_of(connection, _NEXT[dialect], (cursor.xact, cursor.seq, limit))
    return events_of(rows, dialect), Cursor(*map(int, rows[-1][-2:])) if rows else cursor


def _add_numbered(connection: sa.Connection, by_id: Mapping[str, Event], now: datetime) -> Added:
    """Write what is new; SQLite numbers it without a gap, and nobody else writes meanwhile."""
    before = _newest(connection)
    write_rows(connection, events, EVENT.columns, EVENT.rows(by_id.values(), now, "sqlite"))
    if _newest(connection) - before == len(by_id):
        return Added(list(by_id.values()), before + 1)
    new = {id_ for (id_,) in rows_of(connection, "SELECT id FROM events WHERE seq > ?", (before,))}
    return Added([event for id_, event in by_id.items() if id_ in new], before + 1)


def _newest(connection: sa.Connection) -> int:
    # Retention never deletes the newest event, so a number is never handed out twice.
    ((newest,),) = rows_of(connection, "SELECT coalesce(max(seq), 0) FROM events")
    return int(newest)


def _add_unknown(connection: sa.Connection, by_id: Mapping[str, Event], now: datetime) -> Added:
    """Look for what is known and write the rest; PostgreSQL's key does not tell, for it holds a time as well."""
    query = "SELECT id FROM events WHERE id = ANY(%s)"
    known = set(connection.exec_driver_sql(query, (list(by_id),)).scalars())
    new = [event for event in by_id.values() if event.id not in known]
    _copy(connection, EVENT.rows(new, now, "postgresql"))
    return Added(new)


def _copy(connection: sa.Connection, rows: list[tuple[Any, ...]]) -> None:
    if len(rows) < _COPIED_FROM:
        write_rows(connection, events, EVENT.columns, rows)
        return
    # Known ones were left out, under the lock that the position's row is: one that is there all the same was written
    # in this moment under another name of the collector, and is known when the collector reads again.
    names = ", ".join(f'"{name}"' for name in EVENT.columns)
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(f"COPY events ({names}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


_ADD = {"sqlite": _add_numbered, "postgresql": _add_unknown}
