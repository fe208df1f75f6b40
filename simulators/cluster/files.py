"""TOML to a cluster."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from clusterwatch.errors import ConfigError, Mistake
from simulators.cluster.spec import ClusterSpec
from simulators.tables import from_table


def builtin_cluster(name: str = "llama3") -> ClusterSpec:
    """Return the cluster that is shipped as *name*.

    Raises:
        ConfigError: There is none of that name.
    """
    folder = resources.files("simulators") / "cluster"
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
    return from_table(ClusterSpec, table, origin)
