"""Rows into tables: insert, or insert and overwrite, in the dialect of the database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
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
    if rows:
        connection.execute(_upsert(connection.dialect.name, table, frozenset(overwritten)), rows)


def add_rows(connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write those of *rows* whose key is not there yet."""
    if rows:
        connection.execute(_insert_if_new(connection.dialect.name, table), rows)


# Building a statement costs as much as running it, and there are few: a table has one set of columns to overwrite.
@lru_cache(maxsize=256)
def _upsert(dialect: str, table: sa.Table, overwritten: frozenset[str]) -> sa.Insert:
    insert = _INSERT[dialect](table)
    changed = {name: insert.excluded[name] for name in sorted(overwritten)}
    statement: sa.Insert = insert.on_conflict_do_update(index_elements=list(table.primary_key), set_=changed)
    return statement


@lru_cache(maxsize=256)
def _insert_if_new(dialect: str, table: sa.Table) -> sa.Insert:
    statement: sa.Insert = _INSERT[dialect](table).on_conflict_do_nothing()
    return statement
