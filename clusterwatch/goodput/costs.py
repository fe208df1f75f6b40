"""A ledger and the interruptions of its job to what each of them cost: every lost second has one owner."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from clusterwatch.goodput.ledger import Ledger, Reason
from clusterwatch.model import Edge, Interruption


@dataclass(frozen=True, slots=True)
class Cost:
    """What one interruption took: *ledger* is the part of the job's from its last step to its first new one."""

    interruption: Interruption
    ledger: Ledger


def began_at(interruption: Interruption) -> datetime:
    """Return the end of the last step, or the earliest moment known."""
    return interruption.edges.get(Edge.LAST_STEP) or min(interruption.edges.values())


def costs(ledger: Ledger, interruptions: Iterable[Interruption]) -> list[Cost]:
    """Return what each of *interruptions* cost, in the order in which they began; none counts a second twice."""
    found: list[Cost] = []
    ends = ledger.spans[-1].to_at if ledger.spans else None
    free_from = ledger.spans[0].from_at if ledger.spans else None
    for stop in sorted((each for each in interruptions if each.edges), key=lambda each: (began_at(each), each.id)):
        if ends is None or free_from is None:
            break
        until = min(stop.edges.get(Edge.FIRST_NEW_STEP, ends), ends)
        found.append(Cost(stop, ledger.between(max(began_at(stop), free_from), until)))
        free_from = max(free_from, until)
    return found


def lost_by(
    ledger: Ledger, stops: Iterable[Cost], name_of: Callable[[Interruption], str]
) -> dict[str, dict[Reason, float]]:
    """Return lost seconds by name and reason; what no interruption took stands under "" (saves, slowness, the queue).

    All of them add up to the lost seconds of *ledger*.
    """
    found: dict[str, dict[Reason, float]] = {}
    rest = _lost(ledger)
    for cost in stops:
        of_name = found.setdefault(name_of(cost.interruption), {})
        for reason, seconds in _lost(cost.ledger).items():
            of_name[reason] = of_name.get(reason, 0.0) + seconds
            rest[reason] -= seconds
    left = {reason: round(seconds, 6) for reason, seconds in rest.items() if round(seconds, 6) > 0}
    return found | ({"": left} if left else {})


def _lost(ledger: Ledger) -> dict[Reason, float]:
    return {key: seconds for key, seconds in ledger.seconds_by_reason().items() if key is not Reason.PRODUCTIVE}
