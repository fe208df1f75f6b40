"""Column types that behave the same on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler


class UTCDateTime(sa.TypeDecorator[datetime]):
    """A time in UTC, time-zone aware on both sides; SQLite would drop the zone on reading."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Return *value* in UTC; a time without a zone is a programming mistake."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"time without a zone: {value.isoformat()}")
        in_utc = value.astimezone(UTC)
        return in_utc.replace(tzinfo=None) if dialect.name == "sqlite" else in_utc

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Return the stored time, aware, in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def storable(text: str) -> str:
    """Return *text* without what no database takes: NUL characters and halves of surrogate pairs."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


class Text(sa.TypeDecorator[str]):
    """Text that holds whatever a log held, less what no database takes."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        """Return *value* as plain storable text (enumerations as their values)."""
        return None if value is None else storable(str(value))


class _TransactionId(sa.types.UserDefinedType[int]):
    """PostgreSQL's 64-bit transaction id; the driver knows it only as text."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return "xid8"

    def bind_processor(self, dialect: sa.Dialect) -> Callable[[int | None], str]:
        return str

    def bind_expression(self, bindvalue: sa.BindParameter[int]) -> sa.ColumnElement[int]:
        return sa.cast(sa.type_coerce(bindvalue, sa.Text), self)

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Callable[[Any], int]:
        return int


class _PerDialect(sa.sql.expression.ColumnElement[int]):
    """An expression that PostgreSQL computes and SQLite takes for 0."""

    inherit_cache = True

    def __init__(self, on_postgresql: str) -> None:
        self.on_postgresql = on_postgresql


@compiles(_PerDialect, "postgresql")
def _on_postgresql(element: _PerDialect, _compiler: SQLCompiler, **_: object) -> str:
    return element.on_postgresql


@compiles(_PerDialect)
def _elsewhere(_element: _PerDialect, _compiler: SQLCompiler, **_: object) -> str:
    return "0"


JSON = sa.JSON().with_variant(JSONB(), "postgresql")
"""A nested value; binary JSON where the database has it."""

TransactionId = sa.BigInteger().with_variant(_TransactionId(), "postgresql")
"""The transaction that wrote a row; always 0 on SQLite, whose writers take turns."""

RowNumber = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""A number that the database hands out."""

CURRENT_TRANSACTION = _PerDialect("pg_current_xact_id()")
NEXT_EVENT = _PerDialect("nextval('events_seq')")
