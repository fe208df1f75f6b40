"""What localising says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How the collectives of a job stand."""

    OK = "ok"
    MISMATCH = "mismatch"
    STALLED = "stalled"
    STRAGGLER = "straggler"
    INCOMPLETE = "incomplete"


class CulpritKind(StrEnum):
    """What a rank did, or did not, that holds up the others."""

    ABSENT = "absent"
    MISMATCHED = "mismatched"
    DEVICE_STUCK = "device_stuck"
    HOST_STUCK = "host_stuck"
    DIED = "died"
    NO_DUMP = "no_dump"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a rank runs; the GPU is the local index, None if unknown."""

    node: str
    gpu: int | None = None


@dataclass(frozen=True, slots=True)
class Culprit:
    """A rank that holds up others, and how sure that is (0-1)."""

    rank: int
    kind: CulpritKind
    why: str
    confidence: float
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Localisation:
    """Which ranks hold up a job, and in which collective.

    Attributes:
        status: How the collectives stand.
        process_group: The group in which it began; "" where nothing is held up.
        collective_seq: The number of the collective in that group; None where nothing is held up.
        operation: Its name, such as "all_reduce".
        culprits: The ranks at fault, surest first.
        waiting: How many ranks wait, in this group or in another because of it.
        stuck_together: Where nobody is at fault by what the dumps tell: the ranks of the group that stands still.
        missing_dumps: Ranks that belong to a group but of which there is no dump, in order.
        explanation: All of it in an operator's words.
    """

    status: Status
    process_group: str
    collective_seq: int | None
    operation: str
    culprits: tuple[Culprit, ...]
    waiting: int
    missing_dumps: tuple[int, ...]
    explanation: str
    stuck_together: tuple[int, ...] = ()
