"""Literals to stems: parts of them that hardly any line holds, and of which there are far fewer.

1. Every literal holds one of the stems, so a line without a stem holds no literal and is done.
2. Which parts are rare is learned from a sample of the text: a log repeats itself, but each log its own words.
3. Of the rare parts that one is taken next that many literals without a stem share and that is made of rare pairs of
   bytes, which are what a search looks at first. A literal of common parts stays whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sized
from heapq import heapify, heappop, heappush
from itertools import pairwise
from math import inf, log

STEM_BYTES = 6
"""Shorter ones are fewer and found more often; measured with 4,337 literals, 5 to 8 differ by a tenth."""

COMMON_ONCE_IN_BYTES = 100_000
"""What the sample holds more often than once in so many bytes is no stem."""

# Against the surprise at its pairs, in nats: two literals that share a stem weigh as much as a pair never seen.
_WEIGHT_OF_SHARING = 16.0


def stems(literals: Iterable[bytes], sample: bytes) -> list[bytes]:
    """Return the stems of *literals* in texts like *sample*: few of them, and rare there; in the order of their bytes.

    Where the sample is not like the text, they are found more often, and no line is lost.
    """
    left = set(literals)
    holders: dict[bytes, set[bytes]] = {}
    for literal in left:
        for part in _parts(literal):
            holders.setdefault(part, set()).add(literal)
    nats = _surprise_at_rare(holders, sample)
    best = [(_cost(nats[part], holders[part]), part) for part in nats]
    heapify(best)
    chosen: set[bytes] = set()
    while best and left:
        cost, part = heappop(best)
        holders[part] &= left
        if cost == _cost(nats[part], holders[part]):
            chosen.add(part)
            left -= holders[part]
        elif holders[part]:
            heappush(best, (_cost(nats[part], holders[part]), part))
    return sorted(chosen | left)


def _parts(text: bytes) -> list[bytes]:
    return [text[at : at + STEM_BYTES] for at in range(len(text) - STEM_BYTES + 1)] or [text]


def _cost(nats: float, holders: Sized) -> float:
    """Return how bad a stem a part is; the less the better."""
    return -nats - _WEIGHT_OF_SHARING * log(len(holders)) if holders else inf


def _surprise_at_rare(parts: Iterable[bytes], sample: bytes) -> dict[bytes, float]:
    """Return the surprise at those of *parts* that are rare in *sample*."""
    seen = Counter(_parts(sample))
    most = len(sample) / COMMON_ONCE_IN_BYTES
    surprise_at = _surprise_in(sample)
    return {part: surprise_at(part) for part in parts if seen[part] <= most}


def _surprise_in(sample: bytes) -> Callable[[bytes], float]:
    """Return what tells the surprise, in nats, at the pairs of bytes in a part, after *sample*."""
    total = max(len(sample), 2)
    never = log(total)
    nats = {pair: log(total / count) for pair, count in Counter(pairwise(sample)).items()}
    return lambda part: sum([nats.get(pair, never) for pair in pairwise(part)])
