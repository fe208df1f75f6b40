"""What the ranks of a job asked of their communicators, as one recorder a rank kept it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class CallState(StrEnum):
    """How far a rank's device came with a call."""

    SCHEDULED = "scheduled"
    STARTED = "started"
    COMPLETED = "completed"


@dataclass(frozen=True, slots=True)
class Call:
    """One collective as a rank asked for it: elements of each tensor, and their types in the order of the tensors."""

    name: str
    inputs: tuple[int, ...] = ()
    outputs: tuple[int, ...] = ()
    input_types: tuple[str, ...] = ()
    output_types: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a rank recorded under one sequence number; several calls where they were sent off together."""

    calls: tuple[Call, ...]
    state: CallState
    is_retired: bool = False


@dataclass(frozen=True, slots=True)
class GroupTrace:
    """What one rank recorded of the collectives of one process group.

    Attributes:
        name: The group's name, the same on each of its ranks.
        description: What the program calls the group ("" where it does not).
        members: Global ranks in the order of the group; empty where the dump does not tell.
        first: Sequence number of the first of *recorded*.
        recorded: By sequence number without a gap, newest last; None where nothing was recorded under a number.
        tells_states: Whether its states are to be believed; gloo leaves every call "scheduled".
        since_ns: When the oldest unfinished call, or the newest where all are finished, was made; 0 if unknown.
        where: The line of the program that made that call; "" if unknown.
    """

    name: str
    description: str
    members: tuple[int, ...]
    first: int
    recorded: tuple[Recorded | None, ...]
    tells_states: bool = True
    since_ns: int = 0
    where: str = ""

    @property
    def last(self) -> int:
        """The newest sequence number that the rank has asked for; 0 without any."""
        return self.first + len(self.recorded) - 1

    def at(self, sequence: int) -> Recorded | None:
        """Return what was recorded under *sequence*; None where nothing is known of it."""
        place = sequence - self.first
        return self.recorded[place] if 0 <= place < len(self.recorded) else None


@dataclass(frozen=True, slots=True)
class Transfer:
    """A send or receive between two ranks that is not finished. *source* and *target* are global ranks."""

    group: str
    sequence: int
    is_send: bool
    source: int
    target: int
    elements: int
    since_ns: int = 0
    where: str = ""


@dataclass(frozen=True, slots=True)
class Dump:
    """What one rank's recorder held, and those of ranks that held the very same.

    Attributes:
        rank: Global rank.
        groups: What it recorded of each process group that is still in its ring.
        transfers: Its unfinished sends and receives, oldest first.
        configured: Name and members of each group of the rank, whether or not its ring still holds a call of it.
        newest_ns: When the newest call was made, in nanoseconds of the node's clock since 1970; 0 without any.
        alike: Other ranks whose recorders held the same, where somebody folded them.
    """

    rank: int
    groups: tuple[GroupTrace, ...]
    transfers: tuple[Transfer, ...] = ()
    configured: tuple[tuple[str, tuple[int, ...]], ...] = ()
    newest_ns: int = 0
    alike: tuple[int, ...] = ()

    @property
    def ranks(self) -> tuple[int, ...]:
        """All ranks that it is of."""
        return (self.rank, *self.alike)

    @property
    def is_empty(self) -> bool:
        """Whether the recorder held no call at all, as when its buffer has no room."""
        return not self.newest_ns and not self.groups
