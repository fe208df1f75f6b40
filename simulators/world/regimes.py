"""How a cluster is operated when ClusterWatch only watches, by name; the figures and their sources stand in a table."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from simulators.world.terms import Script

DEFAULT_SAVE_SECONDS = 210.0
"""Daly's interval for a save of 2 s and a failure every 3.09 hours, which is what Llama 3's cluster had."""


@dataclass(frozen=True, slots=True)
class Regime:
    """One way to operate a cluster."""

    about: str
    save_every_seconds: float
    script: Script


@cache
def regimes() -> Mapping[str, Regime]:
    """Return the regimes in which something else than ClusterWatch acts, by name."""
    text = (resources.files("simulators") / "world" / "regimes.toml").read_text(encoding="utf-8")
    return {name: _regime(table) for name, table in tomllib.loads(text).items()}


def _regime(table: Mapping[str, object]) -> Regime:
    values = dict(table)
    about, save = str(values.pop("about")), float(str(values.pop("save_every_seconds")))
    return Regime(about, save, Script(**values))  # type: ignore[arg-type] # our own table; a test reads all of it
