"""One line of a trace file to a value, or to what is wrong with its form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import UTC
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from simulators.trace.checks import Problem
from simulators.trace.records import FORMAT, RECORD_TYPES, VERSION, Record, Schedule

LONGEST_LINE = 4 << 20
"""Characters of the longest line that is read."""

HEADER_KEYS = ("format", "version", "kind", "name", "seed", "start", "days", "cluster", "jobs", "assumptions")

_WORDS: Mapping[str, str] = {
    "missing": "is missing",
    "string_type": "must be text",
    "float_type": "must be a number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "dataclass_type": "must be a table",
    "mapping_type": "must be a table",
    "dict_type": "must be a table",
    "datetime_type": 'must be a time such as "2026-03-04T12:00:00Z"',
    "datetime_from_date_parsing": 'must be a time such as "2026-03-04T12:00:00Z"',
    "datetime_parsing": 'must be a time such as "2026-03-04T12:00:00Z"',
}


class FormError(Exception):
    """A line is not of the form of a trace; holds what is wrong with it."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__(problems)
        self.problems = problems


def header_in(line: str | bytes) -> Schedule:
    """Return what the first line of a trace says: a schedule without records.

    Raises:
        FormError: It is no header, or one of another format, version or kind.
    """
    table = table_in(line)
    expected: tuple[tuple[str, object, str], ...] = (
        ("format", FORMAT, f'must be "{FORMAT}": is this a trace file?'),
        ("version", VERSION, f"this version of clusterwatch reads version {VERSION}: write the trace again"),
        ("kind", "schedule", 'must be "schedule": only schedules are read here'),
    )
    wrong = [
        (key, f"{words}, not {str(table.get(key))[:40]!r}") for key, want, words in expected if table.get(key) != want
    ]
    if wrong:
        raise FormError(*wrong)
    unknown = unknown_keys(table, HEADER_KEYS)
    if unknown or "assumptions" not in table:
        raise FormError(*unknown, *([] if "assumptions" in table else [("assumptions", "is missing")]))
    found: Schedule = validated(Schedule, line)
    # Python's own UTC: all times of a replay descend from this one, and to compare times in two kinds of it takes long.
    return found if found.start.tzinfo is None else replace(found, start=found.start.astimezone(UTC))


def record_in(line: str | bytes) -> Record:
    """Return the record that *line* holds.

    Raises:
        FormError: It holds none.
    """
    table = table_in(line)
    of = RECORD_TYPES.get(str(table.get("type")))
    if of is None:
        raise FormError(("type", f"must be one of {', '.join(RECORD_TYPES)}, not {str(table.get('type'))[:40]!r}"))
    unknown = unknown_keys(table, ("type", *(each.name for each in fields(of))))
    if unknown:
        raise FormError(*unknown)
    found: Record = validated(of, line)
    return found


def table_in(line: str | bytes) -> Mapping[str, Any]:
    """Return the JSON object that *line* holds.

    Raises:
        FormError: It holds none.
    """
    if len(line) > LONGEST_LINE:
        raise FormError(("", f"is longer than {LONGEST_LINE:,} characters: name fewer nodes on it"))
    try:
        # Python's own parser takes NaN, and a thousand brackets for a reason to crash.
        table = from_json(line, allow_inf_nan=False)
    except ValueError as cause:
        raise FormError(("", f"is no JSON ({cause}): write one object a line")) from cause
    if not isinstance(table, dict):
        raise FormError(("", "is no JSON object: write one {...} a line"))
    return table


def unknown_keys(table: Mapping[str, Any], known: tuple[str, ...]) -> list[Problem]:
    """Return a problem for each key of *table* that is not *known*."""
    return [(key[:60], f"no such key: known are {', '.join(known)}") for key in table if key not in known]


@cache
def _adapter(of: type) -> TypeAdapter[Any]:
    return TypeAdapter(of)


def validated(of: type, line: str | bytes) -> Any:
    """Return the *of* that *line* holds.

    Raises:
        FormError: It holds none; with all that is wrong.
    """
    try:
        return _adapter(of).validate_json(line, strict=True)
    except ValidationError as error:
        raise FormError(*(_problem(each["loc"], each["type"], each["msg"]) for each in error.errors())) from error


def _problem(place: tuple[int | str, ...], kind: str, words: str) -> Problem:
    return ".".join(map(str, place)), _WORDS.get(kind, words[:1].lower() + words[1:])
