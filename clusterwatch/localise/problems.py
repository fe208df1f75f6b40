"""A process group, or two ranks of a transfer, that does not go on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from clusterwatch.localise.result import CulpritKind


class Problem(IntEnum):
    """What is wrong, the one that explains most first."""

    MISMATCH = 0
    HELD_UP = 1
    NO_DUMP = 2
    NOBODY_TOLD = 3


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Why a rank is held for a culprit."""

    kind: CulpritKind
    why: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Stop:
    """Where a group stands still: at which call, who waits there and for whom."""

    problem: Problem
    group: str
    sequence: int
    operation: str
    waiting: frozenset[int]
    suspicions: Mapping[int, Suspicion] = field(default_factory=dict)
    since_ns: int = 0
    size: int = 0
