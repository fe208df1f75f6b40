"""File, environment and flags to one `Settings`, with every mistake reported at once."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import EnvSettingsSource, SettingsError

from clusterwatch.config.mistakes import did_you_mean, misspelt_collector_keys, mistakes_in
from clusterwatch.config.settings import Settings, flattened
from clusterwatch.errors import ConfigError, Mistake

DEFAULT_FILE = Path("/etc/clusterwatch/clusterwatch.toml")
"""Read when neither --config nor $CLUSTERWATCH_CONFIG names a file, if it exists."""

PREFIX = "CLUSTERWATCH_"
"""What the environment variables begin with; "__" separates the levels."""

Layer = dict[str, Any]


def load(path: Path | None = None, overrides: Mapping[str, object] | None = None) -> Settings:
    """Return the settings; of two sources that give a value, flags win over environment, file and defaults in turn.

    Args:
        path: The file that --config names; None for $CLUSTERWATCH_CONFIG or `DEFAULT_FILE`.
        overrides: Values of flags by dotted key ("server.port"); a value of None means that the flag was not given.

    Raises:
        ConfigError: With all mistakes of all sources.
    """
    file = path or _file_of_environment()
    in_file, file_mistakes = _file_layer(file)
    in_environment, environment_mistakes = _environment_layer()
    layers = {"file": in_file, "environment": in_environment, "flag": _nested(overrides or {})}
    origins = {key: origin for origin, layer in layers.items() for key in flattened(layer)}
    settings, value_mistakes = _validated(_merged(*layers.values()), origins)
    if settings is None or file_mistakes or environment_mistakes:
        raise ConfigError(_names_of(file), [*file_mistakes, *environment_mistakes, *value_mistakes])
    return settings


def _validated(values: Layer, origins: dict[str, str]) -> tuple[Settings | None, list[Mistake]]:
    try:
        settings = Settings(**values)
    except ValidationError as error:
        return None, mistakes_in(error, origins)
    settings._origins.update(origins)
    mistakes = misspelt_collector_keys(settings)
    return (None if mistakes else settings), mistakes


def _file_of_environment() -> Path | None:
    named = os.environ.get(f"{PREFIX}CONFIG")
    if named:
        return Path(named)
    return DEFAULT_FILE if DEFAULT_FILE.exists() else None


def _names_of(file: Path | None) -> str:
    return f"configuration ({file}, environment, flags)" if file else "configuration (environment, flags)"


def _file_layer(file: Path | None) -> tuple[Layer, list[Mistake]]:
    if file is None:
        return {}, []
    text = ""
    try:
        text = file.read_text(encoding="utf-8")
        return tomllib.loads(text), []
    except OSError as error:
        return {}, [Mistake(str(file), f"cannot be read: {error.strerror}; expected a TOML file")]
    except UnicodeDecodeError:
        return {}, [Mistake(str(file), "is not UTF-8 text; expected a TOML file")]
    except tomllib.TOMLDecodeError as error:
        return {}, [Mistake(f"{file}:{_line_of(error, text)}", f"is not valid TOML: {error}")]


def _line_of(error: tomllib.TOMLDecodeError, text: str) -> int:
    line = re.search(r"at line (\d+)", str(error))
    return int(line[1]) if line else len(text.splitlines())


def _environment_layer() -> tuple[Layer, list[Mistake]]:
    source = EnvSettingsSource(Settings)
    mistakes = _unknown_variables()
    while True:
        try:
            return _with_parsed_options(source()), mistakes
        except SettingsError as error:
            # The source stops at the first value that is no JSON; go on without it to find the others.
            wrong = _variables_in(error, source.env_vars)
            expected = "is not valid JSON; expected JSON for a table or a list"
            mistakes.append(Mistake(", ".join(wrong).upper() or "environment", expected))
            if not wrong:
                return {}, mistakes
            source.env_vars = {name: value for name, value in source.env_vars.items() if name not in wrong}


def _variables_in(error: SettingsError, variables: Iterable[str]) -> list[str]:
    """Return the names, lower-case, of the variables that set the field which *error* names."""
    field = re.search(r'"(\w+)"', str(error))
    name = f"{PREFIX}{field[1]}".lower() if field else ""
    return [variable for variable in variables if variable == name or variable.startswith(f"{name}__")] if name else []


def _unknown_variables() -> list[Mistake]:
    """Return variables that look like settings and are none.

    A name with "__" can only be meant as one. A plain name may belong to somebody else (a supervised training command
    is given CLUSTERWATCH_ATTEMPT and others), unless it is a slip of a plain setting's name.
    """
    plain = [name for name in Settings.model_fields if name in ("node", "state_dir", "database", "rules_dir")]
    mistakes = []
    for variable in sorted(name for name in os.environ if name.startswith(PREFIX)):
        first, _, rest = variable.removeprefix(PREFIX).lower().partition("__")
        known, cutoff = (list(Settings.model_fields), 0.6) if rest else (plain, 0.85)
        hint = did_you_mean(first, known, cutoff)
        if first not in Settings.model_fields and (rest or hint):
            mistakes.append(Mistake(variable, f"names no setting{hint}"))
    return mistakes


def _with_parsed_options(layer: Layer) -> Layer:
    """Return *layer* with the collectors' own options as numbers, booleans and lists: a variable holds only text."""
    for table in layer.get("collectors", {}).values():
        for key, value in table.items() if isinstance(table, dict) else ():
            table[key] = _parsed(value)
    return layer


def _parsed(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _nested(dotted: Mapping[str, object]) -> Layer:
    tree: Layer = {}
    for key, value in dotted.items():
        *tables, last = key.split(".")
        level = tree
        for table in tables:
            level = level.setdefault(table, {})
        if value is not None:
            level[last] = value
    return tree


def _merged(*layers: Layer) -> Layer:
    """Return one tree in which a later layer's leaf replaces an earlier one's."""
    merged: Layer = {}
    for layer in layers:
        for key, value in layer.items():
            old = merged.get(key)
            merged[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged
