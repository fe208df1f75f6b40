"""Literals to stems: parts of them that hardly any line holds, and of which there are far fewer.

1. Every literal holds one of the stems, so a line without a stem holds no literal and is done.
2. Which parts are rare is learned from a sample of the text: a log repeats itself, but each log its own words.
3. Of the rare parts of a literal the one counts most that many literals share and that is made of rare pairs of bytes,
   which are what a search looks at first. A literal of common parts stays whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from itertools import chain, pairwise
from math import log

STEM_BYTES = 6
"""Shorter ones are fewer and found more often; measured with 4,337 literals, 5 to 8 differ by a tenth."""

COMMON_ONCE_IN_BYTES = 100_000
"""What the sample holds more often than once in so many bytes is no stem."""

# Against the surprise at its pairs, in nats: ten literals that share a stem weigh as much as three pairs never seen.
_WEIGHT_OF_SHARING = 8.0


def stems(literals: Iterable[bytes], sample: bytes) -> list[bytes]:
    """Return the stems of *literals* in texts like *sample*: few of them, and rare there; in the order of their bytes.

    Where the sample is not like the text, they are found more often, and no line is lost.
    """
    parts = {literal: _parts(literal) for literal in literals}
    worth = _worth(Counter(chain.from_iterable(map(set, parts.values()))), sample)
    chosen: set[bytes] = set()
    for literal in sorted(parts, key=len):
        if chosen.isdisjoint(parts[literal]):
            rare = [part for part in parts[literal] if part in worth]
            chosen.add(max(rare, key=worth.__getitem__, default=literal))
    return sorted(chosen)


def _parts(text: bytes) -> list[bytes]:
    return [text[at : at + STEM_BYTES] for at in range(len(text) - STEM_BYTES + 1)] or [text]


def _worth(shared: Counter[bytes], sample: bytes) -> dict[bytes, float]:
    """Return how good a stem each part would be that is rare in *sample*; *shared*: how many literals hold it."""
    seen = Counter(_parts(sample))
    most = len(sample) / COMMON_ONCE_IN_BYTES
    surprise_at = _surprise_in(sample)
    return {
        part: surprise_at(part) + _WEIGHT_OF_SHARING * log(count)
        for part, count in shared.items()
        if seen[part] <= most
    }


def _surprise_in(sample: bytes) -> Callable[[bytes], float]:
    """Return what tells the surprise, in nats, at the pairs of bytes in a part, after *sample*."""
    total = max(len(sample), 2)
    never = log(total)
    nats = {pair: log(total / count) for pair, count in Counter(pairwise(sample)).items()}
    return lambda part: sum([nats.get(pair, never) for pair in pairwise(part)])
