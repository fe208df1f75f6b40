"""What a check of an installation looks at, and what it finds."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from clusterwatch import config
from clusterwatch.config import Settings
from clusterwatch.errors import ConfigError
from clusterwatch.seams import Clock


class State(StrEnum):
    """What a finding means: all is well, worth knowing, or something to do."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found, and what to do about it ("" when nothing)."""

    name: str
    state: State
    what: str
    next_step: str = ""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What checks look at.

    Attributes:
        settings: As configured; the defaults where the configuration cannot be loaded.
        mistakes: Why it cannot be loaded; None when it can.
        root: Where /dev, /proc and the like are.
    """

    settings: Settings
    mistakes: ConfigError | None
    clock: Clock
    root: Path = field(default_factory=lambda: Path("/"))


def surroundings(file: Path | None, clock: Clock) -> Surroundings:
    """Return what there is to look at, with the configuration of *file*, environment and defaults."""
    try:
        settings = config.load(file)
    except ConfigError as error:
        return Surroundings(Settings(), error, clock)
    return Surroundings(settings, None, clock)
