"""The settings model to the configuration reference, so that the two cannot differ."""

from __future__ import annotations

import types
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from clusterwatch.config.loading import DEFAULT_FILE, PREFIX
from clusterwatch.config.settings import Settings, table_type

_INTRODUCTION = f"""# Configuration reference

Generated from the settings model; a test keeps it current (`make reference` writes it again).

A value comes from the first of these that gives one:

1. a flag of the command line;
2. an environment variable: `{PREFIX}` and the key in upper case, `__` between the levels;
3. the TOML file: `--config FILE`, else `${PREFIX}CONFIG`, else `{DEFAULT_FILE}` if it exists;
4. the default.

`clusterwatch config validate` reports all mistakes at once, `clusterwatch config show` says where each value came from.
An unknown key is a mistake. In an environment variable a table or a list is written as JSON.
"""

_TYPE_NAMES = {str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path"}


def reference_markdown() -> str:
    """Return the whole reference: one table per section of the file, keys in the order of the model."""
    parts = [_INTRODUCTION, "## Top level\n", _table(Settings, f"{PREFIX}")]
    for header, model, variable in _sections():
        parts += [f"## `{header}`\n", f"{(model.__doc__ or '').strip()}\n", _table(model, variable)]
    return "\n".join(parts)


def _sections() -> Iterator[tuple[str, type[BaseModel], str]]:
    for name, field in Settings.model_fields.items():
        model = table_type(field.annotation)
        if model is None:
            continue
        if get_origin(field.annotation) is dict:
            yield f"[{name}.NAME]", model, f"{PREFIX}{name.upper()}__NAME__"
        elif get_origin(field.annotation) is tuple:
            yield f"[[{name}]]", model, ""
        else:
            yield f"[{name}]", model, f"{PREFIX}{name.upper()}__"


def _table(model: type[BaseModel], variable: str) -> str:
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    plain = {name: field for name, field in model.model_fields.items() if not table_type(field.annotation)}
    rows += [_row(name, field) for name, field in plain.items()]
    example = (
        f"\nAs a variable: `{variable}{next(iter(plain)).upper()}`.\n"
        if variable
        else "\nAs a variable: the whole list as JSON.\n"
    )
    return "\n".join(rows) + "\n" + example


def _row(name: str, field: FieldInfo) -> str:
    cells = (f"`{name}`", _type_name(field.annotation) + _bounds(field), _default(field), field.description or "")
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _type_name(annotation: Any) -> str:
    origin, inner = get_origin(annotation), [part for part in get_args(annotation) if part is not type(None)]
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in inner)
    if origin in (Union, types.UnionType):
        return _type_name(inner[0])
    if origin is tuple:
        return f"list of {_type_name(inner[0])}"
    if origin is dict:
        return f"table of {_type_name(inner[1])}"
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return ", ".join(f"`{value}`" for value in annotation)
    return _TYPE_NAMES.get(annotation, _type_name(inner[0]) if inner else str(annotation))


_SIGNS = {"gt": "above", "ge": "from", "lt": "below", "le": "to"}


def _bounds(field: FieldInfo) -> str:
    limits = [
        f"{word} {getattr(constraint, sign):g}"
        for constraint in field.metadata
        for sign, word in _SIGNS.items()
        if getattr(constraint, sign, None) is not None
    ]
    return f", {' '.join(limits)}" if limits else ""


def _default(field: FieldInfo) -> str:
    extra = field.json_schema_extra
    if isinstance(extra, dict) and "shown_as" in extra:
        return str(extra["shown_as"])
    if field.is_required():
        return "(required)"
    value = field.get_default(call_default_factory=True, validated_data={})
    return "" if value is None or value in ((), {}, "") else f"`{_as_toml(value)}`"


def _as_toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f'{key} = "{inner}"' for key, inner in value.items()) + "}"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)
