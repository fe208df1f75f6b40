"""Tables of TOML to dataclasses, with every mistake in them at once.

A field's type says what its key may hold: a number, a name, true or false, a time, a word of an enum, a table
(another dataclass), a list of any of these (`tuple[X, ...]`) or a table of them (`Mapping[K, X]`).
`Annotated[int, Range(1, 8)]` says how large it may be. A field without a default must be there.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from datetime import datetime
from enum import Enum
from functools import cache
from math import inf, isfinite
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from clusterwatch.errors import ConfigError, Mistake

T = TypeVar("T")

LONGEST_TEXT = 2_000
"""Characters of the longest text in a table."""


@dataclass(frozen=True, slots=True)
class Range:
    """Between what a number must lie, ends included; *above* is the same with that end left out."""

    least: float = -inf
    most: float = inf
    above: float = -inf

    def problem(self, value: float) -> str:
        """Return what is wrong with *value*; "" when nothing is."""
        if not isfinite(value):
            return "must be finite"
        if value < self.least:
            return f"must be at least {self.least:,.15g}"
        if value <= self.above:
            return f"must be above {self.above:,.15g}"
        return f"must be at most {self.most:,.15g}" if value > self.most else ""


def from_table(of: type[T], table: Mapping[str, object], origin: str) -> T:
    """Return the *of* that *table* describes; *origin* is what it is called in mistakes.

    Raises:
        ConfigError: Something in it is wrong: holds all mistakes.
    """
    found: list[Mistake] = []
    value: T = _record(of, table, "", found)
    if found:
        raise ConfigError(origin, found)
    return value


@cache
def _types(of: type) -> Mapping[str, Any]:
    return get_type_hints(of, include_extras=True)


def _record(of: Any, table: object, place: str, found: list[Mistake]) -> Any:
    """Return an *of* made from *table*, or None with what is wrong added to *found*."""
    if not isinstance(table, Mapping):
        found.append(Mistake(place, "must be a table"))
        return None
    known, before = {each.name: each for each in fields(of)}, len(found)
    prefix = f"{place}." if place else ""
    found.extend(
        Mistake(f"{prefix}{key}", f"no such key: known are {', '.join(known)}") for key in table if key not in known
    )
    for name, each in known.items():
        if name not in table and each.default is MISSING and each.default_factory is MISSING:
            found.append(Mistake(f"{prefix}{name}", "is missing"))
    values = {name: _value(_types(of)[name], table[name], f"{prefix}{name}", found) for name in known if name in table}
    return None if len(found) > before else of(**values)


def _value(of: Any, value: object, place: str, found: list[Mistake]) -> Any:
    allowed = Range()
    if get_origin(of) is Annotated:
        of, allowed = get_args(of)[:2]
    if is_dataclass(of):
        return _record(of, value, place, found)
    if get_origin(of) in _MANY:
        return _MANY[get_origin(of)](of, value, place, found)
    made, problem = _scalar(of, value, allowed)
    if problem:
        found.append(Mistake(place, problem))
    return made


def _list(of: Any, value: object, place: str, found: list[Mistake]) -> tuple[Any, ...]:
    kinds = get_args(of)
    if not isinstance(value, list | tuple):
        found.append(Mistake(place, "must be a list"))
        return ()
    if kinds[-1] is not Ellipsis and len(value) != len(kinds):
        found.append(Mistake(place, f"must hold {len(kinds)} values"))
        return ()
    kinds = kinds if kinds[-1] is not Ellipsis else (kinds[0],) * len(value)
    pairs = enumerate(zip(kinds, value, strict=True), 1)
    return tuple(_value(kind, each, f"{place}[{number}]", found) for number, (kind, each) in pairs)


def _mapping(of: Any, value: object, place: str, found: list[Mistake]) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        found.append(Mistake(place, "must be a table"))
        return {}
    key_type, value_type = get_args(of)
    return {
        _value(key_type, key, f"{place}.{key}", found): _value(value_type, each, f"{place}.{key}", found)
        for key, each in value.items()
    }


_MANY: Mapping[Any, Callable[[Any, object, str, list[Mistake]], Any]] = {tuple: _list, Mapping: _mapping}

_WORDS: Mapping[type, str] = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
    datetime: "a time with its zone, such as 2026-03-04T12:00:00Z",
}


def _scalar(of: type, value: object, allowed: Range) -> tuple[Any, str]:
    """Return *value* as an *of*, and what is wrong with it ("" when nothing is)."""
    if issubclass(of, Enum):
        found = next((word for word in of if word.value == value), None)
        return found, "" if found is not None else f"must be one of {', '.join(str(word.value) for word in of)}"
    wanted: type | types.UnionType = int | float if of is float else of
    if not isinstance(value, wanted) or (isinstance(value, bool) and of is not bool):
        return None, f"must be {_WORDS[of]}, not {str(value)[:60]!r}"
    return _limited(of, value, allowed)


def _limited(of: type, value: Any, allowed: Range) -> tuple[Any, str]:
    if of is datetime:
        return value, "" if value.tzinfo is not None else f"must be {_WORDS[datetime]}"
    if of is str:
        return value, "" if len(value) <= LONGEST_TEXT else f"must have at most {LONGEST_TEXT:,} characters"
    if of is bool:
        return value, ""
    return of(value), allowed.problem(value)
