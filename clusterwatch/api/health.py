"""Whether this process is alive, told without touching a database or a device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Health:
    """Whether every loop comes round; *details* says of each that does not what is wrong with it."""

    alive: bool
    details: Mapping[str, str] = field(default_factory=dict)
