"""Nested values to JSON text and back, for values that JSON has no words for."""

from __future__ import annotations

import json
import math
from typing import Any

from clusterwatch.store.columns import storable

# Losses become NaN; PostgreSQL's JSON takes no such number, and a plain string would come back as a string.
_NOT_FINITE = "$float"


def dumps(value: object) -> str:
    """Return *value* as JSON that every database takes."""
    try:
        text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    except ValueError:
        text = json.dumps(_marked(value), separators=(",", ":"))
    if "\\u0000" in text or "\\ud" in text:
        return json.dumps(_cleaned(json.loads(text)), separators=(",", ":"))
    return text


def loads(text: str | bytes) -> Any:
    """Return the value that `dumps` wrote."""
    return json.loads(text, object_hook=_unmarked)


def _marked(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return {_NOT_FINITE: str(value)}
    return _each(value, _marked)


def _cleaned(value: object) -> object:
    return storable(value) if isinstance(value, str) else _each(value, _cleaned)


def _each(value: object, change: Any) -> object:
    if isinstance(value, dict):
        return {storable(str(key)): change(inner) for key, inner in value.items()}
    return [change(inner) for inner in value] if isinstance(value, list | tuple) else value


def _unmarked(value: dict[str, Any]) -> object:
    return float(value[_NOT_FINITE]) if value.keys() == {_NOT_FINITE} else value
