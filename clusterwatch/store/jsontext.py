"""Nested values to JSON text and back, for values that JSON has no words for."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any

from pydantic_core import from_json, to_json

from clusterwatch.store.columns import storable

# Losses become NaN; PostgreSQL's JSON takes no such number, and a plain string would come back as a string.
_NOT_FINITE = "$float"


def dumps(value: object) -> str:
    """Return *value*, which may hold frozen records of the model, as JSON that every database takes."""
    try:
        text = to_json(value, inf_nan_mode="constants").decode()
    except ValueError:  # half of a surrogate pair
        return _slowly(value)
    # What only looks like one of these is written as well, at more cost.
    return _slowly(value) if "NaN" in text or "Infinity" in text or "\\u0000" in text else text


def loads(text: str | bytes) -> Any:
    """Return the value that `dumps` wrote."""
    marked = _NOT_FINITE in text if isinstance(text, str) else _NOT_FINITE.encode() in text
    return json.loads(text, object_hook=_unmarked) if marked else from_json(text)


def _slowly(value: object) -> str:
    return json.dumps(_plain(value), separators=(",", ":"))


def _plain(value: object) -> object:
    """Return *value* as JSON's own types, without what no database takes."""
    if isinstance(value, str):
        return storable(str(value))
    if isinstance(value, float) and not math.isfinite(value):
        return {_NOT_FINITE: str(value)}
    if isinstance(value, datetime):
        return value.isoformat()
    if is_dataclass(value):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    return int(value) if isinstance(value, IntEnum) else _each(value)


def _each(value: object) -> object:
    if isinstance(value, Mapping):
        return {storable(str(key)): _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple | frozenset | set) else value


def _unmarked(value: dict[str, Any]) -> object:
    return float(value[_NOT_FINITE]) if value.keys() == {_NOT_FINITE} else value
