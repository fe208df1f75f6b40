"""Literals to stems: parts of them that hardly any line holds, and of which there are far fewer.

1. Every literal holds one of the stems, so a line without a stem holds no literal and is done.
2. Which parts are rare is learned from a sample of the text: a log repeats itself, but each log its own words.
3. Of the rare parts that one is taken next that many literals without a stem share and that is made of rare pairs of
   bytes, which are what a search looks at first. A literal of common parts stays whole.
4. At last those are exchanged because of which a search would often look twice (see `lookalikes`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from heapq import heapify, heappop, heapreplace
from itertools import pairwise
from math import log

from clusterwatch.detect.lookalikes import exchanged

STEM_BYTES = 6
"""Shorter ones are fewer and found more often; measured with 4,337 literals, 5 to 8 differ by a tenth."""

COMMON_ONCE_IN_BYTES = 100_000
"""What the sample holds more often than once in so many bytes is no stem."""

# Against the surprise at its pairs, in nats: two literals that share a stem weigh as much as two pairs never seen.
_WEIGHT_OF_SHARING = 32.0
# Against each other pair. Stems that end alike are looked for together, so what they begin with tells most.
_WEIGHT_OF_FIRST_PAIR = 4.0


def stems(literals: Iterable[bytes], sample: bytes) -> list[bytes]:
    """Return the stems of *literals* in texts like *sample*: few of them, and rare there; in the order of their bytes.

    Where the sample is not like the text, they are found more often, and no line is lost.
    """
    left = set(literals)
    seen = Counter(_parts(sample))
    most = len(sample) / COMMON_ONCE_IN_BYTES
    holders: dict[bytes, set[bytes]] = {}
    for literal in left:
        for part in _parts(literal):
            if seen[part] <= most:
                holders.setdefault(part, set()).add(literal)
    chosen = _cover(holders, _surprise_in(sample), left)
    long = {part: held for part, held in chosen.items() if len(part) == STEM_BYTES}

    def parts_of(literal: bytes) -> list[bytes]:
        return [part for part in _parts(literal) if part in holders]

    return sorted(exchanged(long, parts_of, seen).union(chosen.keys() - long, left))


def _cover(
    holders: Mapping[bytes, Collection[bytes]], surprise_at: Callable[[bytes], float], left: set[bytes]
) -> dict[bytes, set[bytes]]:
    """Return parts of *holders*, each with the literals it is to stand for, and take those out of *left*."""
    nats = {part: surprise_at(part) for part in holders}
    counts = {part: len(held) for part, held in holders.items()}
    best = [(-nats[part] - _WEIGHT_OF_SHARING * log(count), part) for part, count in counts.items()]
    heapify(best)
    chosen: dict[bytes, set[bytes]] = {}
    while best and left:
        part = best[0][1]
        held = left.intersection(holders[part])
        if len(held) == counts[part]:
            chosen[part] = held
            left -= held
        if not held or part in chosen:
            heappop(best)
        else:
            counts[part] = len(held)
            heapreplace(best, (-nats[part] - _WEIGHT_OF_SHARING * log(len(held)), part))
    return chosen


def _parts(text: bytes) -> list[bytes]:
    return [text[at : at + STEM_BYTES] for at in range(len(text) - STEM_BYTES + 1)] or [text]


def _surprise_in(sample: bytes) -> Callable[[bytes], float]:
    """Return what tells the surprise, in nats, at the pairs of bytes in a part, after *sample*."""
    total = max(len(sample), 2)
    never = log(total)
    nats = {pair: log(total / count) for pair, count in Counter(pairwise(sample)).items()}

    def surprise(part: bytes) -> float:
        found = [nats.get(pair, never) for pair in pairwise(part)]
        return sum(found) + (_WEIGHT_OF_FIRST_PAIR - 1) * found[0] if found else 0.0

    return surprise
