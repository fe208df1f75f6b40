"""TOML to its tables, each with its keys read and checked."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from clusterwatch.detect.patterns import linear, why_not_linear
from clusterwatch.model import Cause

SITE = "site/"
"""What the names of the site's own rule files begin with."""

T = TypeVar("T")

_CAUSES = frozenset(cause.value for cause in Cause)
_HEAVIEST = 20.0
"""In nats: odds of half a milliard to one, beyond which nothing could speak against it."""

_TEXT, _TEXTS, _NUMBER = "a text", "a list of texts", f"a number from -{_HEAVIEST:g} to {_HEAVIEST:g}"


@dataclass(slots=True)
class Entry:
    """One table of a file; reads its keys and notes in *mistakes* what is wrong with them."""

    file: str
    table: str
    name: str
    values: Mapping[str, Any]
    mistakes: list[str]

    def wrong(self, what: str) -> None:
        """Note a mistake."""
        self.mistakes.append(f"{self.file}: {self.table} {self.name!r}: {what}")

    def only(self, known: frozenset[str]) -> None:
        """Note each key that is not one of *known*."""
        for key in sorted(self.values.keys() - known):
            self.wrong(f"unknown key {key!r}; known are {', '.join(sorted(known))}")

    def text(self, key: str, required: bool = True) -> str:
        """Return the text at *key*; "" where there is none."""
        value = self.values.get(key, "")
        if not isinstance(value, str) or (required and not value):
            self.wrong(f"{key} must be {_TEXT}")
            return ""
        return value

    def texts(self, key: str, required: bool = False) -> tuple[str, ...]:
        """Return the texts at *key*, which may be a single one; () where there are none."""
        value = self.values.get(key, [])
        listed = [value] if isinstance(value, str) else value
        if not isinstance(listed, list) or not all(isinstance(item, str) and item for item in listed):
            self.wrong(f"{key} must be {_TEXTS}")
            return ()
        if required and not listed:
            self.wrong(f"{key} is missing")
        return tuple(listed)

    def seconds(self, key: str) -> float:
        """Return the seconds at *key*; 0 where there are none."""
        return self.number(key, "a number of seconds")

    def number(self, key: str, what: str = "a number from 0 on") -> float:
        """Return the number at *key*, which is *what*; 0 where there is none."""
        value = self.values.get(key, 0)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            self.wrong(f"{key} must be {what}")
            return 0.0
        return float(value)

    def flag(self, key: str) -> bool:
        """Return whether *key* is true; False where it is not there."""
        value = self.values.get(key, False)
        if not isinstance(value, bool):
            self.wrong(f"{key} must be true or false")
        return value is True

    def weights(self, values: Mapping[str, Any]) -> dict[Cause, float]:
        """Return the weights by cause that *values* hold."""
        found: dict[Cause, float] = {}
        for name, weight in values.items():
            if name not in _CAUSES:
                self.wrong(f"unknown cause {name!r}")
            elif isinstance(weight, bool) or not isinstance(weight, int | float) or not abs(weight) <= _HEAVIEST:
                self.wrong(f"weight of {name!r} must be {_NUMBER}")
            else:
                found[Cause(name)] = float(weight)
        return found

    def table_at(self, key: str) -> Mapping[str, Any]:
        """Return the table at *key*; {} where there is none."""
        value = self.values.get(key, {})
        if isinstance(value, dict):
            return value
        self.wrong(f"{key} must be a table")
        return {}

    def table_of_texts(self, key: str) -> dict[str, tuple[str, ...]]:
        """Return the texts, one or several, by the names in the table at *key*."""
        values = self.table_at(key)
        part = Entry(self.file, self.table, f"{self.name}.{key}", values, self.mistakes)
        return {name: part.texts(name, required=True) for name in values}

    def pattern(self, key: str = "pattern") -> re.Pattern[str]:
        """Return the regular expression at *key*; an empty one where it is none."""
        try:
            found = linear(re.compile(self.text(key)))
        except (re.error, OverflowError, RecursionError) as error:
            self.wrong(f"{key} is not a regular expression: {error}")
            return re.compile("")
        # Ours are looked at by the tests, which is sooner than every time anything starts.
        for reason in why_not_linear(found) if self.file.startswith(SITE) else ():
            self.wrong(f"{key} may stall on a long line: {reason}")
        return found

    def one_of(self, key: str, known: Mapping[str, T], otherwise: T) -> T:
        """Return what *known* has under the name at *key*; *otherwise* where it has nothing."""
        value = self.values.get(key)
        if isinstance(value, str) and value in known:
            return known[value]
        self.wrong(f"{key} must be one of {', '.join(known)}, not {value!r}")
        return otherwise


def entries_in(file: str, text: str, tables: Iterable[str], mistakes: list[str]) -> Iterator[Entry]:
    """Return the entries of the *tables* that the TOML *text* of *file* holds; other tables are mistakes."""
    known = tuple(tables)
    try:
        found = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        mistakes.append(f"{file}: not TOML: {error}")
        return
    for table, entries in found.items():
        if table not in known or not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
            mistakes.append(f"{file}: {table!r} is not one of {', '.join(f'[[{name}]]' for name in known)}")
            continue
        for values in entries:
            name = str(values.get("name") or values.get("kind") or values.get("number") or "without a name")
            yield Entry(file, table, name, values, mistakes)
