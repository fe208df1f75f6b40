"""Who the one responder is: a row taken by compare-and-set on the database's own clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from clusterwatch.store import jsontext
from clusterwatch.store.driver import changed_by
from clusterwatch.store.engine import database_now
from clusterwatch.store.tables import responder

# SQLite keeps times as text of one form, of which the shorter one is the earlier one.
_MOVE_CURSOR = {
    "sqlite": "UPDATE responder SET cursor = ? WHERE holder = ? AND epoch = ? "
    "AND expires_at > strftime('%Y-%m-%d %H:%M:%f', 'now')",
    "postgresql": "UPDATE responder SET cursor = %s WHERE holder = %s AND epoch = %s "
    "AND expires_at > clock_timestamp()",
}


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to be the responder until *expires_at* (database clock, UTC). *epoch* grows at each change of hands."""

    holder: str
    epoch: int
    expires_at: datetime


def acquire(connection: sa.Connection, holder: str, seconds: float) -> Lease | None:
    """Return the lease for *holder*; None while another holds it."""
    row, now = _locked_row(connection), database_now(connection)
    if row.holder != holder and _is_running(row, now):
        return None
    epoch = row.epoch if row.holder == holder else row.epoch + 1
    return _write(connection, Lease(holder, epoch, now + timedelta(seconds=seconds)))


def renew(connection: sa.Connection, lease: Lease, seconds: float) -> Lease | None:
    """Return *lease* extended; None if it has expired or changed hands."""
    if not is_held(connection, lease):
        return None
    return _write(connection, Lease(lease.holder, lease.epoch, database_now(connection) + timedelta(seconds=seconds)))


def release(connection: sa.Connection, lease: Lease) -> None:
    """Give *lease* back if it is still held."""
    if is_held(connection, lease):
        connection.execute(sa.update(responder).values(holder="", expires_at=None))


def in_force(connection: sa.Connection) -> Lease | None:
    """Return the lease that somebody holds now, locking nothing; None while nobody does."""
    row = connection.execute(sa.select(responder)).one()
    is_held_now = row.holder and _is_running(row, database_now(connection))
    return Lease(row.holder, row.epoch, row.expires_at) if is_held_now else None


def is_held(connection: sa.Connection, lease: Lease) -> bool:
    """Return whether *lease* is in force, and keep it from changing hands until the transaction ends."""
    row = _locked_row(connection)
    is_ours = (row.holder, row.epoch) == (lease.holder, lease.epoch)
    return is_ours and _is_running(row, database_now(connection))


def move_cursor(connection: sa.Connection, lease: Lease, cursor: Mapping[str, int]) -> bool:
    """Write how far the inbox was read if *lease* is in force; keep it from changing hands until the transaction ends.

    One statement, because it is part of every turn.
    """
    values = (jsontext.dumps(cursor), lease.holder, lease.epoch)
    return changed_by(connection, _MOVE_CURSOR[connection.dialect.name], values) == 1


def _locked_row(connection: sa.Connection) -> sa.Row[Any]:
    return connection.execute(sa.select(responder).with_for_update()).one()


def _is_running(row: sa.Row[Any], now: datetime) -> bool:
    return row.expires_at is not None and row.expires_at > now


def _write(connection: sa.Connection, lease: Lease) -> Lease:
    values = {"holder": lease.holder, "epoch": lease.epoch, "expires_at": lease.expires_at}
    connection.execute(sa.update(responder).values(values))
    return lease
