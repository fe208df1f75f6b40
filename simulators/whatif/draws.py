"""A number for everything that is left to chance, named by what it is for.

Not a stream but a function of (seed, run, fault, strike, purpose): so every policy meets the same luck, run for run and
fault for fault, whatever it does; and a readable loop and a vectorised one can be compared number by number.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]
Words = NDArray[np.uint64]


class Purpose(IntEnum):
    """What a number decides."""

    GAP = 1
    CAUSE = 2
    HARM = 3
    STAYS = 4
    DIAGNOSED = 5
    NAMED = 6
    DETECT = 7
    DECIDE = 8
    PERSON = 9
    REPAIR = 10
    FALSE_GAP = 11
    FIRST_AGE = 12
    NEXT_AGE = 13
    NODE_CAUSE = 14


_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_STRIKES = 64
"""A fault that strikes more often than this meets the same luck again."""


def uniforms(seed: int, purpose: ArrayLike, run: ArrayLike, fault: ArrayLike, strike: ArrayLike = 0) -> Floats:
    """Return numbers between 0 and 1, both excluded, in the shape of all arguments together, of one axis at least.

    Source:
        The mixing function is that of SplitMix64: G. L. Steele, D. Lea and C. H. Flood, "Fast splittable pseudorandom
        number generators", OOPSLA 2014.
    """
    with np.errstate(over="ignore"):
        key = _mixed(_mixed(_words(seed) * _GOLDEN + _words(purpose)) + _words(run) * _GOLDEN)
        number = _words(fault) * np.uint64(_STRIKES) + _words(strike) % np.uint64(_STRIKES)
        mixed = _mixed(key + (number + np.uint64(1)) * _GOLDEN)
    return (np.asarray(mixed >> np.uint64(11), dtype=np.float64) + 0.5) * 2.0**-53


def _words(values: ArrayLike) -> Words:
    # Of at least one dimension: scalars of numpy warn where arrays wrap around.
    return np.atleast_1d(np.asarray(values)).astype(np.uint64)


def _mixed(words: Words) -> Words:
    words = (words ^ (words >> np.uint64(30))) * _FIRST
    words = (words ^ (words >> np.uint64(27))) * _SECOND
    mixed: Words = words ^ (words >> np.uint64(31))
    return mixed


def exponential(levels: Floats) -> Floats:
    """Return times of mean one."""
    return np.asarray(-np.log(levels), dtype=np.float64)


_CENTRE_TOP = (-39.69683028665376, 220.9460984245205, -275.9285104469687, 138.3577518672690, -30.66479806614716,
               2.506628277459239)  # fmt: skip
_CENTRE_BOTTOM = (-54.47609879822406, 161.5858368580409, -155.6989798598866, 66.80131188771972, -13.28068155288572, 1.0)
_TAIL_TOP = (-7.784894002430293e-3, -0.3223964580411365, -2.400758277161838, -2.549732539343734, 4.374664141464968,
             2.938163982698783)  # fmt: skip
_TAIL_BOTTOM = (7.784695709041462e-3, 0.3224671290700398, 2.445134137142996, 3.754408661907416, 1.0)
_TAIL = 0.02425


def normal(levels: Floats) -> Floats:
    """Return the quantiles of the standard normal distribution at *levels*, to nine digits.

    Source:
        P. J. Acklam's rational approximation, as kept at
        https://web.archive.org/web/2015*/http://home.online.no/~pjacklam/notes/invnorm/
    """
    nearer = np.minimum(levels, 1.0 - levels)
    offset = levels - 0.5
    squared = offset * offset
    centre = offset * np.polyval(_CENTRE_TOP, squared) / np.polyval(_CENTRE_BOTTOM, squared)
    root = np.sqrt(-2.0 * np.log(nearer))
    tail = np.polyval(_TAIL_TOP, root) / np.polyval(_TAIL_BOTTOM, root)
    outer = np.where(levels < 0.5, tail, -tail)
    return np.where(nearer < _TAIL, outer, centre)
