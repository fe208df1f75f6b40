"""How much evidence may say at most, because its like also comes when nothing follows.

On a large fleet some link flaps, some GPU is warm and somebody's notebook crashes at any hour. What belongs to a stop
comes at it four times in five, and else within minutes; what comes by chance comes at any time. The odds of the two are
those of their densities in time: the log of that is the most that the evidence may say, and where it is below zero the
evidence says nothing. On the very node whose process was the first of its job to end, chance puts it one time in as
many as there are nodes.

All ranks wait for each other in every step: what stops one of them stops the job in that very step. So it does not come
before the last step ended, but for what clocks differ; and after that it comes as soon as its source is read.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime, timedelta

from clusterwatch.classify.circumstances import Circumstances, comes_again
from clusterwatch.classify.passing import did_harm, passed
from clusterwatch.model import Evidence, Knowledge, Role, Signal

BEFORE, AFTER = timedelta(seconds=20), timedelta(seconds=40)
SHARE_NEAR = 0.8
FAR = timedelta(minutes=10)
"""Assumptions: how near to the last step what belongs to a stop comes; later where a signal is known to be told late.

Before: clocks that differ. After: counters of ports and GPUs are read twice a minute.
"""

TOGETHER = timedelta(minutes=1)
"""What one node tells of the same thing comes this near to each other."""

CERTAIN = 4.0
"""Nats from which on chance is left out of account: it is one in fifty."""

A_HINT = 1.0
"""Nats that what only slows may say where the job stood still at once and was not slow before."""

_DAY = timedelta(days=1)


def heard(nats: float, signal: Signal) -> float:
    """Return how loud evidence of *signal* is heard that may say at most *nats*, 0-1 of its weight."""
    strongest = max(signal.weights.values(), default=0.0)
    return 1.0 if strongest <= nats else nats / strongest


def nats_at_most(
    evidence: Evidence,
    knowledge: Knowledge,
    known: Circumstances,
    beside: Iterable[Evidence] = (),
    others: Iterable[Evidence] = (),
    ended_on: str = "",
) -> float:
    """Return the most that *evidence* may say, in nats; infinite where nothing speaks for chance.

    *beside* is what its node tells in the incident: where that tells of the same, the commoner kind counts, because a
    link that flaps is told by its driver each time and by NCCL now and then; a fault, as a link that stays down, is
    another thing. *others* is what is told at all, of harm. *ended_on* is the node whose process was the first to end:
    of all nodes its like comes there by chance so many times less often.
    """
    if comes_again((evidence,), known.stops):
        return math.inf
    beside, is_fault = tuple(beside), knowledge[evidence.kind].role is Role.FAULT
    same = [evidence, *(each for each in beside if not is_fault and _tells_of_the_same(each, evidence, knowledge))]
    harmed = did_harm(evidence, others, knowledge, known.placements)
    if not harmed and any(passed(each, beside, knowledge) for each in same):
        return 0.0
    # While no stop is known, it may be as near as can be.
    is_near = not known.stops or any(_is_near(evidence, stop) for stop in known.stops)
    of_nodes = known.nodes_total if ended_on and evidence.component.node == ended_on else 1
    a_day = max(_a_day(each.kind, knowledge, known) for each in same) / of_nodes
    nats = _nats_beside(a_day * max(1, len(known.stops)), knowledge[evidence.kind], is_near=is_near)
    only_slows = knowledge[evidence.kind].slows and known.stops and not known.slowed
    return min(nats, A_HINT) if only_slows and not harmed else nats


def _a_day(kind: str, knowledge: Knowledge, known: Circumstances) -> float:
    """Return how often in a day *kind* comes and nothing follows: as counted, and as is known while that is missing."""
    return known.murmurs.get(kind, 0.0) + knowledge[kind].per_node_day * known.uncounted


def _tells_of_the_same(one: Evidence, other: Evidence, knowledge: Knowledge) -> bool:
    return (
        one is not other
        and one.component.node == other.component.node
        and abs(one.first_at - other.first_at) <= TOGETHER
        and knowledge[one.kind].leading_cause is knowledge[other.kind].leading_cause
    )


def _nats_beside(chances_a_day: float, signal: Signal, *, is_near: bool) -> float:
    if not chances_a_day:
        return math.inf
    far, near = max(FAR, signal.looks_back), BEFORE + AFTER
    per_day = SHARE_NEAR * (_DAY / near) if is_near else (1 - SHARE_NEAR) * (_DAY / (2 * far - near))
    return max(0.0, math.log(per_day / chances_a_day))


def _is_near(evidence: Evidence, stop: datetime) -> bool:
    """Return whether *evidence* comes at the *stop*, or again and again around it with no longer pauses."""
    first, last = evidence.first_at, evidence.last_at
    if any(stop - BEFORE <= at <= stop + AFTER for at in (first, last)):
        return True
    return first <= stop <= last and (last - first) / max(evidence.count - 1, 1) <= AFTER
