"""Statements of every turn, in the driver's own words.

SQLAlchemy's way through them takes longer than SQLite takes to run most of them, so there they go straight to the
driver. PostgreSQL's go the long way: it finds out on it that a server is gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa


def rows_of(connection: sa.Connection, statement: str, values: tuple[Any, ...] = ()) -> Sequence[Any]:
    """Return the rows of a query."""
    if connection.dialect.name == "sqlite":
        rows: Sequence[Any] = connection.connection.cursor().execute(statement, values).fetchall()
        return rows
    return connection.exec_driver_sql(statement, values).all()


def changed_by(connection: sa.Connection, statement: str, values: tuple[Any, ...]) -> int:
    """Return how many rows *statement* changed."""
    if connection.dialect.name != "sqlite":
        return connection.exec_driver_sql(statement, values).rowcount
    cursor = connection.connection.cursor()
    cursor.execute(statement, values)
    return cursor.rowcount


def execute_each(connection: sa.Connection, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Run *statement* with each of *rows*."""
    if connection.dialect.name == "sqlite":
        connection.connection.cursor().executemany(statement, rows)
    else:
        connection.exec_driver_sql(statement, list(rows))
