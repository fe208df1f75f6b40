"""The mix of faults: how often each cause strikes, and what it does then."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from clusterwatch.model import HARDWARE_CAUSES, Cause, ComponentKind
from simulators.fleet_wording import FaultKind, fault_kinds
from simulators.fleet_wording import Harm as FleetHarm
from simulators.trace.specs import builtin_spec

LLAMA3_NODE_DAYS = 54 * 2048
"""Over how many days of how many nodes the counts of the built-in mix were counted."""

NO_PART = frozenset({ComponentKind.JOB, ComponentKind.SERVICE})
"""What is broken is on no node."""


class Harm(StrEnum):
    """What a fault does to the job."""

    CRASH = "crash"
    HANG = "hang"
    SLOW = "slow"
    CORRUPT = "corrupt"


AS_SEEN_BY_JOB = {
    FleetHarm.CRASH: Harm.CRASH,
    # For the job the end of a node is the end of a process; who notices it how fast is another matter.
    FleetHarm.NODE_DOWN: Harm.CRASH,
    FleetHarm.HANG: Harm.HANG,
    FleetHarm.SLOW: Harm.SLOW,
    FleetHarm.CORRUPT: Harm.CORRUPT,
}
"""What each harm of a kind of fault is to the job; what harms nothing is none."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Faults of one cause.

    Attributes:
        count: How often it strikes, relative to the others.
        has_part: A node holds what is broken.
        harm: Chances of what it does; they add up to one.
        stays: Chances that a fault of each harm strikes again until that node is out; none where there is no figure.
    """

    cause: Cause
    count: float
    has_part: bool
    harm: Mapping[Harm, float]
    stays: Mapping[Harm, float]

    @property
    def is_hardware(self) -> bool:
        """Whether the part ages: its failures follow the clock of its node."""
        return self.cause in HARDWARE_CAUSES


Mix = tuple[Behaviour, ...]


@cache
def built_in_mix() -> Mix:
    """Return the mix of Table 5: its counts as the built-in trace has them, its kinds of fault as replays have them."""
    counts: dict[Cause, float] = {}
    for row in builtin_spec("llama3-54d").category:
        for cause, share in row.causes.items():
            counts[cause] = counts.get(cause, 0.0) + row.count * share
    return mix_of(fault_kinds().values(), counts)


def mix_of(kinds: Iterable[FaultKind], counts: Mapping[Cause, float]) -> Mix:
    """Return the mix of *counts*, behaving as *kinds* of fault say: by share, harm and whether they stay.

    A cause without a kind that harms is left out.
    """
    by_cause: dict[Cause, list[FaultKind]] = {}
    for kind in kinds:
        if kind.harm in AS_SEEN_BY_JOB and kind.share > 0.0:
            by_cause.setdefault(kind.cause, []).append(kind)
    return tuple(_behaviour(cause, count, by_cause[cause]) for cause, count in counts.items() if cause in by_cause)


def _behaviour(cause: Cause, count: float, kinds: list[FaultKind]) -> Behaviour:
    shares = {harm: _shares(kind for kind in kinds if AS_SEEN_BY_JOB[kind.harm] is harm) for harm in Harm}
    total = sum(every for every, _ in shares.values())
    harms = {harm: every / total for harm, (every, _) in shares.items() if every}
    stays = {harm: staying / every for harm, (every, staying) in shares.items() if every}
    return Behaviour(cause, count, any(kind.component not in NO_PART for kind in kinds), harms, stays)


def _shares(kinds: Iterable[FaultKind]) -> tuple[float, float]:
    """Return the shares of all *kinds* together, and of those that stay."""
    found = list(kinds)
    return sum(kind.share for kind in found), sum(kind.share for kind in found if kind.stays)
