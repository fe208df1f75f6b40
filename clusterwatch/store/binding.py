"""Values to what a driver takes, and back: what SQLAlchemy does for each value, done once for each column.

1. A row is a tuple in the order of its columns, and goes to the driver as it is.
2. Rows are converted column by column: a look at a whole column finds that it holds plain text, which may stay.
3. What is the same for all rows, such as the time at which they are written, is converted once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache, partial
from types import NoneType
from typing import Any, NamedTuple

import sqlalchemy as sa

from clusterwatch.store import jsontext
from clusterwatch.store.columns import Text, UTCDateTime, storable

Convert = Callable[[Any], Any]
ConvertAll = Callable[[Sequence[Any]], Iterable[Any]]


class Conversion(NamedTuple):
    """What is done to the values at a *place* in a row: to one of them, or to a whole column."""

    place: int
    one: Convert
    all: ConvertAll


Conversions = tuple[Conversion, ...]
"""The values elsewhere stay as they are."""

_FEW = 4
"""So few rows are converted value by value: a look at a whole column takes longer than at its values."""

_TIMES_KEPT = 4096
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@cache
def conversions(table: sa.Table, names: tuple[str, ...], dialect: str) -> Conversions:
    """Return what to do to rows of *names* of *table* before the driver of *dialect* takes them."""
    found = ((place, _conversion(table.c[name].type, dialect)) for place, name in enumerate(names))
    return tuple(Conversion(place, *found_for) for place, found_for in found if found_for is not None)


def converted(
    rows: Sequence[tuple[Any, ...]], conversions: Conversions, behind: tuple[Any, ...] = ()
) -> list[tuple[Any, ...]]:
    """Return *rows* as the driver takes them, each with the values *behind*, converted already, behind its own."""
    if len(rows) < _FEW:
        return [_converted_row(row, conversions, behind) for row in rows]
    columns: list[Any] = list(zip(*rows, strict=True))
    for place, _, convert in conversions:
        columns[place] = convert(columns[place])
    columns += ([value] * len(rows) for value in behind)
    return list(zip(*columns, strict=True))


def _converted_row(row: tuple[Any, ...], conversions: Conversions, behind: tuple[Any, ...]) -> tuple[Any, ...]:
    values = list(row)
    for place, convert, _ in conversions:
        if values[place] is not None:
            values[place] = convert(values[place])
    return (*values, *behind)


@lru_cache(maxsize=_TIMES_KEPT)
def time_from_text(text: str) -> datetime:
    """Return the time that SQLite keeps as *text*."""
    return datetime.fromisoformat(f"{text}+00:00")


@lru_cache(maxsize=_TIMES_KEPT)
def time_in_utc(value: datetime) -> datetime:
    """Return *value* in UTC; a time without a zone is a programming mistake."""
    if value.tzinfo is None:
        raise ValueError(f"time without a zone: {value.isoformat()}")
    return value.astimezone(UTC)


def time_for(dialect: str) -> Callable[[datetime], str | datetime]:
    """Return what makes of a time what the driver of *dialect* takes."""
    return _time_as_text if dialect == "sqlite" else time_in_utc


def _time_as_text(value: datetime) -> str:
    # Hardly two events have the same time, but many the same second; isoformat works the zone out for each anew.
    since = (value if value.tzinfo is UTC else time_in_utc(value)) - _EPOCH
    return f"{_second_as_text(since.days, since.seconds)}.{since.microseconds:06d}"


@lru_cache(maxsize=_TIMES_KEPT)
def _second_as_text(days: int, seconds: int) -> str:
    return (_EPOCH + timedelta(days, seconds)).replace(tzinfo=None).isoformat(" ", "seconds")


def _text(value: Any) -> str:
    # An enumeration is text to itself, but not to every driver.
    return storable(value if type(value) is str else str(value))


def _texts(column: Sequence[Any]) -> Iterable[Any]:
    if set(map(type, column)) == {str}:
        joined = "".join(column)
        if joined.isascii() and "\0" not in joined:
            return column
    return _each_once(_text, column)


def _numbers(column: Sequence[Any]) -> Iterable[Any]:
    # SQLite's driver asks around for an adapter of whatever is not exactly a number.
    return column if set(map(type, column)) <= {int, NoneType} else _each_once(int, column)


def _each_once(convert: Convert, column: Sequence[Any]) -> Iterable[Any]:
    """Return what *convert* makes of each value but None; in such columns few are different."""
    made = {value: None if value is None else convert(value) for value in set(column)}
    return [made[value] for value in column]


def _each(convert: Convert) -> ConvertAll:
    return lambda column: [None if value is None else convert(value) for value in column]


def _conversion(type_: sa.types.TypeEngine[Any], dialect: str) -> tuple[Convert, ConvertAll] | None:
    if isinstance(type_, UTCDateTime):
        return time_for(dialect), _each(time_for(dialect))
    if isinstance(type_, Text):
        return _text, _texts
    if isinstance(type_, sa.JSON):
        return jsontext.dumps, partial(map, jsontext.dumps)
    is_number = isinstance(type_, sa.Integer) or (isinstance(type_, sa.Boolean) and dialect == "sqlite")
    return (int, _numbers) if is_number else None
