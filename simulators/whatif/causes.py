"""The mix of faults: how often each cause strikes, and what it does then."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib import resources

from clusterwatch.model import HARDWARE_CAUSES, Cause

LLAMA3_NODE_DAYS = 54 * 2048
"""Over how many days of how many nodes the counts of the built-in mix were counted."""


class Harm(StrEnum):
    """What a fault does to the job."""

    CRASH = "crash"
    HANG = "hang"
    SLOW = "slow"
    CORRUPT = "corrupt"


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Faults of one cause.

    Attributes:
        count: How often it strikes, relative to the others.
        has_part: A node holds what is broken.
        stays: Chance that it strikes again until that node is out.
        harm: Chances of what it does; they add up to one.
    """

    cause: Cause
    count: float
    has_part: bool
    stays: float
    harm: Mapping[Harm, float]

    @property
    def is_hardware(self) -> bool:
        """Whether the part ages: its failures follow the clock of its node."""
        return self.cause in HARDWARE_CAUSES


Mix = tuple[Behaviour, ...]


def built_in_mix() -> Mix:
    """Return the mix of Table 5."""
    return mix_of((resources.files("simulators") / "whatif" / "causes.toml").read_text(encoding="utf-8"))


def mix_of(text: str) -> Mix:
    """Return the mix that the TOML *text* tells.

    Raises:
        ValueError: If a chance is out of range, or chances do not add up.
    """
    return tuple(_behaviour(name, table) for name, table in tomllib.loads(text).items())


def _behaviour(name: str, table: Mapping[str, object]) -> Behaviour:
    told = table["harm"]
    harm = {Harm(key): float(share) for key, share in told.items()} if isinstance(told, Mapping) else {}
    behaviour = Behaviour(
        Cause(name), float(str(table["count"])), bool(table["part"]), float(str(table["stays"])), harm
    )
    if abs(sum(harm.values()) - 1.0) > 1e-6 or min(harm.values()) < 0.0:
        raise ValueError(f"{name}: the chances of what it does must add up to 1")
    if not 0.0 <= behaviour.stays <= 1.0 or behaviour.count < 0.0:
        raise ValueError(f"{name}: a count must not be negative, and a chance lies between 0 and 1")
    return behaviour


_AS_CRASH = "node_down"
"""For the job the end of a node is the end of a process; who notices it how fast is another matter."""


def mix_from_kinds(kinds: Mapping[str, Mapping[str, object]], counts: Mapping[Cause, float]) -> Mix:
    """Return the mix of *counts*, behaving as a table of fault kinds says: by share, harm and whether they stay.

    A cause without a kind in the table is left out.
    """
    found: list[Behaviour] = []
    for cause, count in counts.items():
        ours = [kind for kind in kinds.values() if kind["cause"] == cause and kind["harm"] != "none"]
        total = sum(float(str(kind["share"])) for kind in ours)
        if total <= 0.0:
            continue
        harm: dict[Harm, float] = {}
        for kind in ours:
            what = Harm.CRASH if kind["harm"] == _AS_CRASH else Harm(str(kind["harm"]))
            harm[what] = harm.get(what, 0.0) + float(str(kind["share"])) / total
        stays = sum(float(str(kind["share"])) for kind in ours if kind["stays"]) / total
        found.append(
            Behaviour(cause, count, any(kind["component"] not in ("job", "service") for kind in ours), stays, harm)
        )
    return tuple(found)
