"""Rows into tables: insert, or insert and overwrite, in words that both databases understand."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeVar

import sqlalchemy as sa

from clusterwatch.store.binding import conversions, converted
from clusterwatch.store.driver import execute_each
from clusterwatch.store.records import RecordType

T = TypeVar("T")

AT_ONCE_FROM = 50
"""So many rows go to PostgreSQL in one statement instead of one each."""


def put(
    connection: sa.Connection, kind: RecordType[T], records: Collection[T], now: datetime, *, but: str = ""
) -> None:
    """Write *records*; what has the same key is overwritten, but for the times of its first writing.

    *but* is a column that stays as it is where the key is there.
    """
    if rows := kind.rows(records, now, connection.dialect.name):
        overwritten = tuple(name for name in kind.overwritten if name != but)
        write_rows(connection, kind.table, kind.columns, rows, overwritten)


def add(connection: sa.Connection, kind: RecordType[T], records: Collection[T], now: datetime) -> None:
    """Write those of *records* whose key is not there yet."""
    write_rows(connection, kind.table, kind.columns, kind.rows(records, now, connection.dialect.name))


def put_row(connection: sa.Connection, table: sa.Table, row: dict[str, Any]) -> None:
    """Write *row*; where the key is there, take over all else."""
    columns, key = tuple(row), {column.name for column in table.primary_key}
    rows = converted([tuple(row.values())], conversions(table, columns, connection.dialect.name))
    write_rows(connection, table, columns, rows, tuple(name for name in columns if name not in key))


def add_rows(
    connection: sa.Connection, table: sa.Table, columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Write those of *rows*, in the order of *columns*, whose key is not there yet."""
    convert = conversions(table, columns, connection.dialect.name)
    write_rows(connection, table, columns, converted(rows, convert))


def write_rows(
    connection: sa.Connection,
    table: sa.Table,
    columns: tuple[str, ...],
    rows: Sequence[tuple[Any, ...]],
    overwritten: tuple[str, ...] = (),
) -> None:
    """Write *rows* as the driver takes them; where a key is there, take over *overwritten*, or nothing."""
    if not rows:
        return
    conflict = on_conflict(connection.dialect, table, overwritten)
    if _go_at_once(connection, table, columns, rows):
        arrays = tuple(list(values) for values in zip(*rows, strict=True))
        connection.exec_driver_sql(insert_at_once(connection.dialect, table, columns) + conflict, arrays)
    else:
        execute_each(connection, insert(connection.dialect, table, columns) + conflict, rows)


def _go_at_once(
    connection: sa.Connection, table: sa.Table, columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]]
) -> bool:
    """Return whether PostgreSQL gets *rows* in one statement: many, and no key twice, for it changes no row twice."""
    if connection.dialect.name != "postgresql" or len(rows) < AT_ONCE_FROM:
        return False
    places = [columns.index(column.name) for column in table.primary_key]
    return len({tuple(row[place] for place in places) for row in rows}) == len(rows)


# Building a statement costs as much as running it, and there are few.
@lru_cache(maxsize=256)
def on_conflict(dialect: sa.Dialect, table: sa.Table, overwritten: tuple[str, ...]) -> str:
    """Return what an insert does where the key of a row is there: take over *overwritten*, or nothing."""
    if not overwritten:
        return " ON CONFLICT DO NOTHING"
    quote = dialect.identifier_preparer.quote
    key = ", ".join(quote(column.name) for column in table.primary_key)
    return f" ON CONFLICT ({key}) DO UPDATE SET " + ", ".join(
        f"{quote(name)} = excluded.{quote(name)}" for name in overwritten
    )


@lru_cache(maxsize=256)
def insert(dialect: sa.Dialect, table: sa.Table, columns: tuple[str, ...]) -> str:
    """Return the statement that writes a row of *columns*, with the driver's own marks for values."""
    return f"{_into(dialect, table, columns)} VALUES ({', '.join([mark_of(dialect)] * len(columns))})"


def mark_of(dialect: sa.Dialect) -> str:
    """Return the driver's own mark for a value in a statement."""
    return "?" if dialect.paramstyle == "qmark" else "%s"


@lru_cache(maxsize=256)
def insert_at_once(dialect: sa.Dialect, table: sa.Table, columns: tuple[str, ...]) -> str:
    """Return the statement that writes any number of rows, given as an array for each of *columns*, to PostgreSQL."""
    arrays = ", ".join(f"%s::{table.c[name].type.compile(dialect=dialect)}[]" for name in columns)
    return f"{_into(dialect, table, columns)} SELECT * FROM unnest({arrays})"  # noqa: S608 - names of our own tables


def _into(dialect: sa.Dialect, table: sa.Table, columns: tuple[str, ...]) -> str:
    names = ", ".join(dialect.identifier_preparer.quote(name) for name in columns)
    return f"INSERT INTO {table.name} ({names})"
