"""What pydantic says of wrong settings, in an operator's words."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from clusterwatch.config.settings import CollectorSettings, Settings, table_type
from clusterwatch.errors import Mistake
from clusterwatch.redaction import redacted

# Close enough that a slip of the finger is likelier than a setting of a collector's own.
_ALMOST_KNOWN = 0.8

_PLACES = {"file": "the file", "environment": "the environment", "flag": "a flag"}


def mistakes_in(error: ValidationError, origins: Mapping[str, str]) -> list[Mistake]:
    """Return one mistake per complaint of *error*, each with its dotted key and where the value came from."""
    details = error.errors(include_url=False)
    # A default that is made from other values cannot be made from wrong ones: nobody set it, nobody can correct it.
    return [_mistake(detail, origins) for detail in details if detail["type"] != "default_factory_not_called"]


def misspelt_collector_keys(settings: Settings) -> list[Mistake]:
    """Return further keys of collectors that are almost, but not quite, keys that every collector has."""
    return [
        Mistake(f"collectors.{name}.{key}", f"unknown key{hint}")
        for name, collector in settings.collectors.items()
        for key in collector.options
        if (hint := did_you_mean(key, CollectorSettings.model_fields, _ALMOST_KNOWN))
    ]


def did_you_mean(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Return ', did you mean "..."?' for the nearest of *known*; "" when none is near."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=cutoff)
    return f', did you mean "{near[0]}"?' if near else ""


def _mistake(detail: ErrorDetails, origins: Mapping[str, str]) -> Mistake:
    location = detail["loc"]
    key = ".".join(str(part) for part in location)
    if detail["type"] == "extra_forbidden":
        hint = did_you_mean(str(location[-1]), _keys_at(Settings, location[:-1]))
        return Mistake(key, f"unknown key{hint}{_place(key, origins)}")
    if detail["type"] == "missing":
        return Mistake(key, "is missing, expected a value")
    shown = redacted(str(location[-1]), detail["input"])
    return Mistake(key, f"is {shown!r}, {_expected(detail)}{_place(key, origins)}")


def _expected(detail: ErrorDetails) -> str:
    message = detail["msg"].removeprefix("Value error, ")
    return message.replace("Input should be", "expected", 1)


def _place(key: str, origins: Mapping[str, str]) -> str:
    """Return the source of the value at *key*, or of anything below it."""
    origin = next((origins[leaf] for leaf in origins if leaf == key or leaf.startswith(f"{key}.")), "")
    return f" (from {_PLACES[origin]})" if origin else ""


def _keys_at(model: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    """Return the keys that the table at *location* may hold."""
    for part in location:
        if isinstance(part, str) and part in model.model_fields:
            model = table_type(model.model_fields[part].annotation) or model
    return list(model.model_fields)
