"""Values to what a driver takes, and back: what SQLAlchemy does for each value, done once for each column.

1. A row is a tuple in the order of its columns, and goes to the driver as it is.
2. What is the same for many rows, such as a time, is converted once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any

import sqlalchemy as sa

from clusterwatch.store import jsontext
from clusterwatch.store.columns import Text, UTCDateTime, storable

Convert = Callable[[Any], Any]
Conversions = tuple[tuple[int, Convert], ...]
"""Place in a row, and what is done to the value there; the other values stay as they are."""

_TIMES_KEPT = 4096


@cache
def conversions(table: sa.Table, names: tuple[str, ...], dialect: str) -> Conversions:
    """Return what to do to rows of *names* of *table* before the driver of *dialect* takes them."""
    found = ((place, _conversion(table.c[name].type, dialect)) for place, name in enumerate(names))
    return tuple((place, convert) for place, convert in found if convert is not None)


def converted(values: Iterable[Any], conversions: Conversions) -> tuple[Any, ...]:
    """Return *values* as the driver takes them."""
    row = list(values)
    for place, convert in conversions:
        row[place] = convert(row[place])
    return tuple(row)


@lru_cache(maxsize=_TIMES_KEPT)
def time_from_text(text: str) -> datetime:
    """Return the time that SQLite keeps as *text*."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@lru_cache(maxsize=_TIMES_KEPT)
def time_in_utc(value: datetime) -> datetime:
    """Return *value* in UTC; a time without a zone is a programming mistake."""
    if value.tzinfo is None:
        raise ValueError(f"time without a zone: {value.isoformat()}")
    return value.astimezone(UTC)


@lru_cache(maxsize=_TIMES_KEPT)
def _time_as_text(value: datetime) -> str:
    return time_in_utc(value).replace(tzinfo=None).isoformat(" ", "microseconds")


def _text(value: Any) -> str | None:
    return None if value is None else storable(str(value))


def _optional(convert: Convert) -> Convert:
    return lambda value: None if value is None else convert(value)


def _conversion(type_: sa.types.TypeEngine[Any], dialect: str) -> Convert | None:
    if isinstance(type_, UTCDateTime):
        return _optional(_time_as_text if dialect == "sqlite" else time_in_utc)
    if isinstance(type_, Text):
        return _text
    if isinstance(type_, sa.JSON):
        return jsontext.dumps
    # SQLite's driver asks around for an adapter of whatever is not exactly a number.
    is_number = isinstance(type_, sa.Integer) or (isinstance(type_, sa.Boolean) and dialect == "sqlite")
    return _optional(int) if is_number else None
