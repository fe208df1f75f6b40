"""What a sample can show, as values: conditions that hold or do not, counters that move."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from clusterwatch.detect.progress import number
from clusterwatch.model import Scalar

Fields = Mapping[str, Scalar]

Holds = Callable[[Fields, bool], bool | None]
"""Sample, and whether it held before, to whether it holds; None where the sample does not say."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Something a sample shows: True, False, or None where it does not say.

    Attributes:
        kind: Of the event when it becomes true.
        holds: Sample, and whether it held before, to whether it holds.
        text: What the event says; a template of the sample's fields.
        from_start: It is news too when the first sample shows it.
    """

    kind: str
    holds: Holds
    text: str
    from_start: bool = True


@dataclass(frozen=True, slots=True)
class Counter:
    """A value whose move in one *direction* (+1 or -1) is an event.

    Attributes:
        kind: Of the event; of several counters of one kind the first that moved tells it.
        name: Field of the sample.
        text: What the event says, before the two values; a template of the sample's fields.
        least: Smallest move between two samples that is told.
        is_volatile: It starts at zero with the driver, so that a value from before a reboot says nothing.
        unless: Kinds that say the same more exactly; where one was told of this sample, this one is not.
        longest_gap_seconds: Between two samples; what moved in a longer one has no time and is no evidence. None
            where the value is a state that stands, such as how many links there are.
    """

    kind: str
    name: str
    direction: int
    text: str
    least: float = 1
    is_volatile: bool = False
    unless: tuple[str, ...] = ()
    longest_gap_seconds: float | None = None


def flag(name: str) -> Holds:
    """Hold while the field is true."""
    return lambda fields, before: None if fields.get(name) is None else bool(fields[name])


def off(name: str) -> Holds:
    """Hold while the field is false, and is there."""
    return lambda fields, before: None if fields.get(name) is None else not fields[name]


def equals(name: str, *values: Scalar) -> Holds:
    """Hold while the field is one of *values*."""
    return lambda fields, before: None if fields.get(name) is None else fields[name] in values


def bits(name: str, mask: int) -> Holds:
    """Hold while a bit of *mask* is set in the field."""

    def holds(fields: Fields, before: bool) -> bool | None:
        value = number(fields.get(name))
        return None if value is None else bool(int(value) & mask)

    return holds


def beyond(name: str, limit: float, calm: float) -> Holds:
    """Hold from *limit* on until *calm* is reached again, so that a value at the limit tells once."""
    upwards = limit > calm

    def holds(fields: Fields, before: bool) -> bool | None:
        value = number(fields.get(name))
        if value is None:
            return None
        bound = calm if before else limit
        return value >= bound if upwards else value < bound

    return holds


def reaches(name: str, limit: str, calm_below: float = 0.0) -> Holds:
    """Hold from the value of the field *limit* on, until it is *calm_below* that again."""

    def holds(fields: Fields, before: bool) -> bool | None:
        value, bound = number(fields.get(name)), number(fields.get(limit))
        if value is None or bound is None:
            return None
        return value >= bound - (calm_below if before else 0)

    return holds


def below(name: str, other: str) -> Holds:
    """Hold while the field is less than the field *other*."""

    def holds(fields: Fields, before: bool) -> bool | None:
        value, bound = number(fields.get(name)), number(fields.get(other))
        return None if value is None or bound is None else value < bound

    return holds
