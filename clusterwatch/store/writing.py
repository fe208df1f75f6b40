"""Rows into tables: insert, or insert and overwrite, in words that both databases understand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeVar

import sqlalchemy as sa

from clusterwatch.store.binding import conversions, converted
from clusterwatch.store.records import RecordType

T = TypeVar("T")


def put(connection: sa.Connection, kind: RecordType[T], records: Iterable[T], now: datetime, *, but: str = "") -> None:
    """Write *records*; what has the same key is overwritten, but for the times of its first writing.

    *but* is a column that stays as it is where the key is there.
    """
    rows = kind.rows(records, now, connection.dialect.name)
    if rows:
        overwritten = tuple(name for name in kind.overwritten if name != but)
        connection.exec_driver_sql(upsert(connection.dialect, kind.table, kind.columns, overwritten), rows)


def add(connection: sa.Connection, kind: RecordType[T], records: Iterable[T], now: datetime) -> None:
    """Write those of *records* whose key is not there yet."""
    rows = kind.rows(records, now, connection.dialect.name)
    if rows:
        connection.exec_driver_sql(insert_if_new(connection.dialect, kind.table, kind.columns), rows)


def put_row(connection: sa.Connection, table: sa.Table, row: dict[str, Any]) -> None:
    """Write *row*; where the key is there, take over all else."""
    columns, key = tuple(row), {column.name for column in table.primary_key}
    overwritten = tuple(name for name in columns if name not in key)
    rows = converted([tuple(row.values())], conversions(table, columns, connection.dialect.name))
    connection.exec_driver_sql(upsert(connection.dialect, table, columns, overwritten), rows)


def add_rows(
    connection: sa.Connection, table: sa.Table, columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Write those of *rows*, in the order of *columns*, whose key is not there yet."""
    if rows:
        convert = conversions(table, columns, connection.dialect.name)
        statement = insert_if_new(connection.dialect, table, columns)
        connection.exec_driver_sql(statement, converted(rows, convert))


# Building a statement costs as much as running it, and there are few.
@lru_cache(maxsize=256)
def upsert(dialect: sa.Dialect, table: sa.Table, columns: tuple[str, ...], overwritten: tuple[str, ...]) -> str:
    """Return the statement that writes a row of *columns*; where its key is there, it takes over *overwritten*."""
    quote = dialect.identifier_preparer.quote
    key = ", ".join(quote(column.name) for column in table.primary_key)
    changed = ", ".join(f"{quote(name)} = excluded.{quote(name)}" for name in overwritten)
    return f"{insert(dialect, table, columns)} ON CONFLICT ({key}) DO UPDATE SET {changed}"


@lru_cache(maxsize=256)
def insert_if_new(dialect: sa.Dialect, table: sa.Table, columns: tuple[str, ...]) -> str:
    """Return the statement that writes a row of *columns* whose key is not there yet."""
    return f"{insert(dialect, table, columns)} ON CONFLICT DO NOTHING"


def insert(dialect: sa.Dialect, table: sa.Table, columns: tuple[str, ...]) -> str:
    """Return the statement that writes a row of *columns*, with the driver's own marks for values."""
    mark = "?" if dialect.paramstyle == "qmark" else "%s"
    names = ", ".join(dialect.identifier_preparer.quote(name) for name in columns)
    return f"INSERT INTO {table.name} ({names}) VALUES ({', '.join([mark] * len(columns))})"  # noqa: S608 - names of our own tables
