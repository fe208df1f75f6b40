"""Rows into tables: insert, or insert and overwrite, in the dialect of the database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from clusterwatch.store.records import RecordType

T = TypeVar("T")

_INSERT: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}


def put(connection: sa.Connection, kind: RecordType[T], records: Iterable[T], now: datetime) -> None:
    """Write *records*; what has the same key is overwritten, but for the times of its first writing."""
    put_rows(connection, kind.table, [kind.row(record, now) for record in records], kind.overwritten)


def add(connection: sa.Connection, kind: RecordType[T], records: Iterable[T], now: datetime) -> None:
    """Write those of *records* whose key is not there yet."""
    add_rows(connection, kind.table, [kind.row(record, now) for record in records])


def put_rows(
    connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]], overwritten: Iterable[str]
) -> None:
    """Write *rows*; where the key is there, take over the columns *overwritten*."""
    insert = _INSERT[connection.dialect.name](table)
    changed = {name: insert.excluded[name] for name in overwritten}
    _execute(connection, insert.on_conflict_do_update(index_elements=list(table.primary_key), set_=changed), rows)


def add_rows(connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write those of *rows* whose key is not there yet."""
    _execute(connection, _INSERT[connection.dialect.name](table).on_conflict_do_nothing(), rows)


def _execute(connection: sa.Connection, statement: sa.Insert, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        connection.execute(statement, rows)
