"""Rows of failure statistics to how many faults of which cause."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from clusterwatch.errors import ConfigError, Mistake
from clusterwatch.model import Cause
from simulators.faults.draws import apportioned
from simulators.fleet_wording import FaultKind
from simulators.trace.specs import Category, TraceSpec

Kinds = Mapping[str, FaultKind]
"""Kinds of fault and of noise by name."""


@dataclass(frozen=True, slots=True)
class Expected:
    """Faults of one cause in one category: how many on the average, and exactly where they are counted."""

    category: Category
    cause: Cause
    mean: float
    count: int


def expected(spec: TraceSpec, days: float) -> Iterator[Expected]:
    """Yield what *spec* gives over *days*; the exact counts add up to the rounded total."""
    weights: dict[str, float] = {each.name: each.count for each in spec.category}
    weights_total = sum(weights.values())
    if weights_total <= 0:
        return
    total = (spec.faults_total or weights_total) * days / spec.days
    counts = apportioned(round(total), weights)
    for category in spec.category:
        share_of_all = category.count / weights_total
        by_cause = apportioned(counts[category.name], category.causes)
        for cause, share in category.causes.items():
            mean = total * share_of_all * share / sum(category.causes.values())
            yield Expected(category, cause, mean, by_cause[cause])


def shares_of(kinds: Kinds, cause: Cause, among: tuple[str, ...] = ()) -> dict[str, float]:
    """Return the kinds of *cause* with their shares; only those *among* the named, if any are.

    Raises:
        ConfigError: There are none, or one that is named is of another cause.
    """
    mistakes = [
        Mistake(name, f"is no kind of {cause}: they are {', '.join(_of(kinds, cause))}")
        for name in among
        if name not in kinds or kinds[name].cause is not cause
    ]
    found = {name: kinds[name].share for name in among or _of(kinds, cause) if name in kinds}
    if not found:
        mistakes.append(Mistake(cause, "no kind of fault has this cause"))
    if mistakes:
        raise ConfigError("kinds of faults", mistakes)
    return found


def _of(kinds: Kinds, cause: Cause) -> list[str]:
    return [name for name, kind in kinds.items() if kind.cause is cause]


def slug(name: str) -> str:
    """Return *name* as a part of an assumption's name: "gpu_hbm3_memory"."""
    return "_".join("".join(letter.lower() if letter.isalnum() else " " for letter in name).split())
