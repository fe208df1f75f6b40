"""How a policy answers each strike of each fault: how fast, and what it takes the fault for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clusterwatch.model import Cause
from simulators.whatif.causes import Harm, Mix
from simulators.whatif.deciding import CAUSES
from simulators.whatif.draws import Floats, Purpose, Whole, normal, uniforms
from simulators.whatif.latency import Latency
from simulators.whatif.policies import ALL, Chances, Policy
from simulators.whatif.scenario import HOUR, Scenario

HARMS = tuple(Harm)
NOBODY, STRUCK, OTHER = 0, 1, 2
"""Which node is named."""

_PURPOSES = np.array([Purpose.DIAGNOSED, Purpose.NAMED, Purpose.DETECT, Purpose.DECIDE, Purpose.REPAIR])


@dataclass(frozen=True, slots=True)
class Faulty:
    """What faults are like, whoever answers: index of the cause in the mix, of the harm in HARMS; whether they stay."""

    cause: Whole
    harm: Whole
    stays: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


@dataclass(frozen=True, slots=True)
class Answers:
    """How strikes are answered: index of the diagnosed cause in CAUSES, who is named, seconds of each stage."""

    diagnosed: Whole
    named: Whole
    detect: Floats
    decide: Floats
    repair: Floats


class Nature:
    """Draws what faults are like."""

    def __init__(self, mix: Mix, seed: int) -> None:
        # The last row is for planned stops and for restarts without a reason: they harm nothing and do not stay.
        self._stays = np.array([*([each.stays.get(harm, 0.0) for harm in HARMS] for each in mix), [0.0] * len(HARMS)])
        harms = [[each.harm.get(harm, 0.0) for harm in HARMS] for each in mix]
        self._harms = _Ladder([*harms, [1.0] + [0.0] * (len(HARMS) - 1)])
        self._seed = seed

    def of(self, run: Whole, fault: Whole, cause: Whole) -> Faulty:
        """Return what the faults of *cause* are like."""
        harm = self._harms.drawn(cause, uniforms(self._seed, Purpose.HARM, run, fault))
        stays = uniforms(self._seed, Purpose.STAYS, run, fault) < self._stays[cause, harm]
        return Faulty(cause, harm, stays)


class Answering:
    """Draws how a policy answers."""

    def __init__(self, scenario: Scenario, policy: Policy, seed: int) -> None:
        self._scenario, self._policy, self._seed = scenario, policy, seed
        mix = scenario.mix
        self._right = np.array([*(_chance(policy.right, each.cause) if each.has_part else 0.0 for each in mix), 0.0])
        self._wrong = np.array([*(_chance(policy.wrong, each.cause) for each in mix), 0.0])
        self._diagnosed = _Ladder(
            [*(_confusion(policy, each.cause) for each in mix), _confusion(policy, Cause.UNKNOWN)]
        )

    def to(self, faulty: Faulty, run: Whole, fault: Whole, strike: Whole | int) -> Answers:
        """Return the answers to strike number *strike*, 0 for the first, of each fault."""
        purposes = _PURPOSES.reshape(-1, *[1] * run.ndim)
        diagnosed, named, detect, decide, repair = uniforms(self._seed, purposes, run, fault, strike)
        seconds = _times([self._policy.detects(harm) for harm in HARMS], faulty.harm, detect)
        return Answers(
            self._diagnosed.drawn(faulty.cause, diagnosed),
            self._named(faulty.cause, named),
            np.maximum(seconds + self._scenario.detect_change_seconds, 0.0),
            _times([self._policy.decides(harm) for harm in HARMS], faulty.harm, decide),
            self._scenario.repair_hours * HOUR * np.exp(self._scenario.repair_spread * normal(repair)),
        )

    def person(self, run: Whole, fault: Whole, strike: Whole) -> Floats:
        """Return how long a person takes each time."""
        level = uniforms(self._seed, Purpose.PERSON, run, fault, strike)
        return _quantiles(self._policy.person, level)

    def _named(self, cause: Whole, level: Floats) -> Whole:
        right = self._right[cause]
        return np.where(level < right, STRUCK, np.where(level < right + self._wrong[cause], OTHER, NOBODY))


class _Ladder:
    """Draws from one of several distributions at once: row r of the chances takes the levels from r to r + 1."""

    def __init__(self, chances: list[list[float]]) -> None:
        table = np.array(chances, dtype=np.float64)
        self._width = table.shape[1]
        steps = np.cumsum(table, axis=1)
        steps[:, -1] = 1.0
        self._steps = (np.minimum(steps, 1.0) + np.arange(len(table))[:, None]).ravel()

    def drawn(self, row: Whole, level: Floats) -> Whole:
        """Return which member of its row each level falls on."""
        found: Whole = np.searchsorted(self._steps, row + level, side="left") - row * self._width
        return found


def _times(by_harm: list[Latency], harm: Whole, level: Floats) -> Floats:
    if all(each == by_harm[0] for each in by_harm):
        return _quantiles(by_harm[0], level)
    found = np.empty(level.shape)
    for number, each in enumerate(by_harm):
        ours = harm == number
        found[ours] = _quantiles(each, level[ours])
    return found


def _quantiles(latency: Latency, level: Floats) -> Floats:
    found: Floats = np.exp(np.interp(level, latency.levels, latency.logarithms))
    return found


def _chance(chances: Chances, cause: Cause) -> float:
    return chances.get(cause, chances.get(ALL, 0.0))


def _confusion(policy: Policy, true: Cause) -> list[float]:
    """Return the chance of each diagnosis, in the order of CAUSES; what is missing to one is "unknown"."""
    told = policy.diagnosed.get(true, policy.diagnosed.get(ALL, {"same": 1.0}))
    chances = {Cause(true if name == "same" else name): chance for name, chance in told.items()}
    chances[Cause.UNKNOWN] = chances.get(Cause.UNKNOWN, 0.0) + max(0.0, 1.0 - sum(chances.values()))
    return [chances.get(cause, 0.0) for cause in CAUSES]
