"""How much evidence may say at most, because its like also comes when nothing follows.

On a large fleet some link flaps, some GPU is warm and somebody's notebook crashes at any hour. What belongs to a stop
comes within a minute of it four times in five, and else within minutes; what comes by chance comes at any time. The
odds of the two are those of their densities in time: the log of that is the most that the evidence may say, and where
it is below zero the evidence says nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime, timedelta

from clusterwatch.classify.circumstances import Circumstances, comes_again
from clusterwatch.model import Evidence, Knowledge, Signal

NEAR = timedelta(minutes=1)
SHARE_NEAR = 0.8
FAR = timedelta(minutes=10)
"""Assumptions: how near to the stop what belongs to it comes; later where a signal is known to be told late."""

CERTAIN = 4.0
"""Nats from which on chance is left out of account: it is one in fifty."""

_DAY = timedelta(days=1)


def heard(nats: float, signal: Signal) -> float:
    """Return how loud evidence of *signal* is heard that may say at most *nats*, 0-1 of its weight."""
    strongest = max(signal.weights.values(), default=0.0)
    return 1.0 if strongest <= nats else nats / strongest


def nats_at_most(
    evidence: Evidence, knowledge: Knowledge, known: Circumstances, beside: Iterable[Evidence] = ()
) -> float:
    """Return the most that *evidence* may say, in nats; infinite where nothing speaks for chance.

    *beside* is other evidence of the incident: where it tells of the same, the commoner kind counts, because a link
    that flaps is told by its driver each time and by NCCL now and then.
    """
    kinds = {evidence.kind, *(each.kind for each in beside if _tells_of_the_same(each, evidence, knowledge))}
    a_day = max(known.murmurs.get(kind, 0.0) for kind in kinds)
    return _nats_at_most(evidence, knowledge[evidence.kind], a_day, known)


def _tells_of_the_same(one: Evidence, other: Evidence, knowledge: Knowledge) -> bool:
    return (
        one.component.node == other.component.node
        and abs(one.first_at - other.first_at) <= NEAR
        and knowledge[one.kind].leading_cause is knowledge[other.kind].leading_cause
    )


def _nats_at_most(evidence: Evidence, signal: Signal, a_day: float, known: Circumstances) -> float:
    if not a_day or not known.stops or comes_again((evidence,), known.stops):
        return math.inf
    apart = min(_apart(evidence, stop) for stop in known.stops)
    far = max(FAR, signal.looks_back)
    per_day = SHARE_NEAR * (_DAY / (2 * NEAR)) if apart <= NEAR else (1 - SHARE_NEAR) * (_DAY / (2 * (far - NEAR)))
    return max(0.0, math.log(per_day / (a_day * len(known.stops))))


def _apart(evidence: Evidence, stop: datetime) -> timedelta:
    """Return how far *evidence* is from *stop*; what comes again and again around it is as near as it is dense."""
    first, last = evidence.first_at, evidence.last_at
    nearest = min(abs(first - stop), abs(last - stop))
    return min(nearest, (last - first) / max(evidence.count - 1, 1)) if first <= stop <= last else nearest
