"""TOML to a cluster, with every mistake in it at once."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from importlib import resources
from math import isfinite
from pathlib import Path
from typing import Any, get_type_hints

from clusterwatch.errors import ConfigError, Mistake
from simulators.cluster.spec import ClusterSpec

LARGEST_CLUSTER = 1_000_000
"""Nodes of the largest cluster that is simulated."""

_MAY_BE_ZERO = frozenset(
    {
        "spares_total",
        "others_total",
        "burst_seconds",
        "gpu_waiting_watts",
        "rest_waiting_watts",
        "depth",
        "slowest_hour",
    }
)
_AT_MOST: Mapping[str, float] = {
    "training_nodes_total": LARGEST_CLUSTER,
    "spares_total": LARGEST_CLUSTER,
    "others_total": LARGEST_CLUSTER,
    "gpus_per_node": 8,
    "depth": 0.5,
    "slowest_hour": 24.0,
}
_WORDS: Mapping[type, str] = {int: "a whole number", float: "a number", str: "a name", bool: "true or false"}


def builtin_cluster(name: str = "llama3") -> ClusterSpec:
    """Return the cluster that is shipped as *name*.

    Raises:
        ConfigError: There is none of that name.
    """
    folder = resources.files("simulators.cluster")
    names = sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml"))
    if name not in names:
        raise ConfigError(name, [Mistake("cluster", f"no such built-in cluster: choose one of {', '.join(names)}")])
    return cluster_from(tomllib.loads((folder / f"{name}.toml").read_text(encoding="utf-8")), name)


def read_cluster(path: Path) -> ClusterSpec:
    """Return the cluster that the TOML file *path* describes.

    Raises:
        ConfigError: The file cannot be read, or something in it is wrong: holds all mistakes.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as cause:
        raise ConfigError(str(path), [Mistake("file", f"cannot be read: {cause}")]) from cause
    return cluster_from(table, str(path))


def cluster_from(table: Mapping[str, object], origin: str) -> ClusterSpec:
    """Return the cluster that *table* describes; *origin* is what it is called in mistakes.

    Raises:
        ConfigError: Something in it is wrong: holds all mistakes.
    """
    found: list[Mistake] = []
    spec = _built(ClusterSpec, table, "", found)
    if found:
        raise ConfigError(origin, found)
    assert isinstance(spec, ClusterSpec)
    return spec


def _built(of: type, table: Mapping[str, object], prefix: str, found: list[Mistake]) -> object:
    """Return an *of* made from *table*, or None with what is wrong added to *found*."""
    known = {each.name: each for each in fields(of)}
    types = get_type_hints(of)
    found.extend(
        Mistake(f"{prefix}{key}", f"no such key: known are {', '.join(known)}") for key in table if key not in known
    )
    found.extend(Mistake(f"{prefix}{name}", "is missing") for name in _missing(known, table))
    values: dict[str, Any] = {}
    for name in known.keys() & table.keys():
        values[name] = _value(types[name], name, table[name], prefix, found)
    return None if found else of(**values)


def _missing(known: Mapping[str, Field[Any]], table: Mapping[str, object]) -> Iterator[str]:
    for name, each in known.items():
        if each.default is MISSING and each.default_factory is MISSING and name not in table:
            yield name


def _value(of: type, name: str, value: object, prefix: str, found: list[Mistake]) -> object:
    if is_dataclass(of):
        if isinstance(value, Mapping):
            return _built(of, value, f"{prefix}{name}.", found)
        found.append(Mistake(f"{prefix}{name}", "must be a table"))
        return None
    problem = _problem(of, name, value)
    if problem:
        found.append(Mistake(f"{prefix}{name}", problem))
        return None
    return float(value) if of is float and isinstance(value, int) else value


def _problem(of: type, name: str, value: object) -> str:
    """Return what is wrong with *value*; "" when nothing is."""
    fits = isinstance(value, int | float) if of is float else isinstance(value, of)
    if not fits or (isinstance(value, bool) and of is not bool):
        return f"must be {_WORDS[of]}, not {str(value)[:60]!r}"
    if isinstance(value, str):
        return "" if 0 < len(value) <= 100 else "must have 1 to 100 characters"
    if of is bool or not isinstance(value, int | float):
        return ""
    return _range_problem(name, value)


def _range_problem(name: str, value: float) -> str:
    if not isfinite(value):
        return "must be finite"
    if value < 0 or (value == 0 and name not in _MAY_BE_ZERO):
        return "must not be negative" if name in _MAY_BE_ZERO else "must be positive"
    limit = _AT_MOST.get(name, 1e18)
    return f"must be at most {limit:,.15g}" if value > limit else ""
