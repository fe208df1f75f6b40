"""A collector's own table of the configuration to its settings, or every mistake in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from clusterwatch.errors import ConfigError, Mistake

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Settings = TypeVar("Settings", bound=DataclassInstance)
else:
    Settings = TypeVar("Settings")


def settings_in(table: Mapping[str, object], kind: type[Settings], collector: str) -> Settings:
    """Return the *kind* of settings in *table*; what is not there has its default.

    Commands and lists may be a text, cut at spaces, or a list of texts.

    Raises:
        ConfigError: With every unknown key and every value of the wrong sort.
    """
    defaults = {field.name: field.default for field in fields(kind) if field.default is not MISSING}
    mistakes = [Mistake(key, f"unknown key; known are {', '.join(defaults)}") for key in table if key not in defaults]
    values: dict[str, Any] = {}
    for key, default in defaults.items():
        read, expected = _READERS[type(default).__name__]
        try:
            values[key] = read(table.get(key, default))
        except (TypeError, ValueError):
            mistakes.append(Mistake(key, f"is {table[key]!r}, expected {expected}"))
    if mistakes:
        raise ConfigError(f"collector {collector}", mistakes)
    return kind(**values)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise ValueError(value)
    return float(value)


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(value)
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(value)
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(value)
    return value


def _path(value: object) -> Path:
    if not isinstance(value, str | Path) or not str(value):
        raise ValueError(value)
    return Path(value)


def _words(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(value.split())
    if isinstance(value, list | tuple) and all(isinstance(word, str) for word in value):
        return tuple(value)
    raise ValueError(value)


_READERS: Mapping[str, tuple[Callable[[object], object], str]] = {
    "float": (_number, "a number above 0"),
    "int": (_whole, "a whole number, 0 or more"),
    "bool": (_flag, "true or false"),
    "str": (_text, "a text"),
    "PosixPath": (_path, "a path"),
    "tuple": (_words, "a text or a list of texts"),
}
