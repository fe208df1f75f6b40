"""What may be done about a stop that nothing explains for certain, and what each is expected to cost.

Costs are seconds in which the job does not train:

| what is done | costs at once | and again, with this chance |
|---|---|---|
| every node is kept | | broken |
| suspects are left out | replace | broken - named |
| all nodes are checked | survey, and replace if it finds the part | broken x missed |
| both | survey + replace | (broken - named) x missed |

*Broken* is the chance that a part of the job is broken, so that it stops the job again; *named* that it is among the
suspects; *missed* that a check of all nodes does not find it. *Again* is one more stop, another node after all, and, as
far as the suspects were not it, finding the part by checks. *Replace* is what it takes to bring another node in, and
what is lost if the standby nodes run out before the one that was left out is back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import exp
from statistics import median

from clusterwatch.model import HARDWARE_CAUSES, UNDETERMINED_CAUSES, Attempt, Cause, Diagnosis
from clusterwatch.policy.blame import NEXT_TO_IT

UNEXPLAINED_IS_BROKEN = 0.5
"""Assumption: of the stops that nothing explains, half go away with a restart; what comes back does not."""

LEAST_CHANCE = 0.1
"""A node less likely broken than this is none that may be: there are always some that said something."""

MOST_LEFT_OUT = 2
"""So many nodes at most are left out on a chance."""

AWAY_SECONDS = 1800.0
"""Assumption: so long a node that was left out is away at least, until it passed its checks and the job restarts."""

_STOPS_LOOKED_AT = 32
_USUAL_STOP_SECONDS = 300.0
_LONGEST_STOP = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Costs:
    """What a site pays for what.

    Attributes:
        replace_seconds: Until a node that stands by has taken the place of another.
        cold_seconds: The same where none stands by.
        survey_seconds: A check of all nodes of a job. survey_finds: Chance that it finds a part that is broken.
    """

    replace_seconds: float = 60.0
    cold_seconds: float = 600.0
    survey_seconds: float = 300.0
    survey_finds: float = 0.7


@dataclass(frozen=True, slots=True)
class Expected:
    """Seconds that each is expected to cost."""

    keep: float
    leave_out: float
    survey: float
    both: float

    @property
    def saved_by_leaving_out(self) -> float:
        """What leaving the suspects out saves against keeping every node; below 0 where that is cheaper."""
        return self.keep - self.leave_out

    @property
    def saved_by_survey(self) -> float:
        """What a check of all nodes saves against the cheaper of the others."""
        return min(self.keep, self.leave_out) - min(self.survey, self.both)


def expected(broken: float, named: float, stop_seconds: float, replace_seconds: float, costs: Costs) -> Expected:
    """Return what each is expected to cost; see the table above."""
    found = costs.survey_finds
    missed = 1.0 - found
    searching = (costs.survey_seconds + missed * stop_seconds) / found
    unnamed = 1.0 - named / broken if broken else 1.0
    again = stop_seconds + replace_seconds + unnamed * searching
    return Expected(
        keep=broken * again,
        leave_out=replace_seconds + (broken - named) * again,
        survey=costs.survey_seconds + broken * (found * replace_seconds + missed * again),
        both=costs.survey_seconds + replace_seconds + (broken - named) * missed * again,
    )


def replacing(nodes_total: int, spares: int | None, stops_per_second: float, costs: Costs) -> float:
    """Return the seconds that other nodes for *nodes_total* cost; None for *spares* is no node known."""
    if (spares or 0) < nodes_total:
        return costs.cold_seconds
    runs_out = _at_least((spares or 0) - nodes_total + 1, stops_per_second * AWAY_SECONDS)
    return costs.replace_seconds + runs_out * (costs.cold_seconds - costs.replace_seconds)


def _at_least(count: int, mean: float) -> float:
    """Return the chance of at least *count* events where *mean* are expected, if they are independent."""
    term, below = exp(-mean), 0.0
    for number in range(count):
        below += term
        term *= mean / (number + 1)
    return max(0.0, 1.0 - below)


def hardware_chance(diagnosis: Diagnosis) -> float:
    """Return the probability that a part is to blame, whichever it is: causes that are not listed share the rest."""
    listed = {diagnosis.cause: diagnosis.confidence} | {each.cause: each.confidence for each in diagnosis.alternatives}
    unlisted = frozenset(Cause) - listed.keys()
    rest = max(0.0, 1.0 - sum(listed.values())) / max(len(unlisted), 1)
    return sum(listed.get(cause, rest) for cause in HARDWARE_CAUSES)


def suspects_chance(diagnosis: Diagnosis) -> float:
    """Return the probability that one of the suspects is broken.

    They are those of the likeliest cause. If that is hardware, other parts of the same node may as well be meant; if it
    is the program, the likeliest hardware beside it may be. Where nothing explains it, anyone who spoke is suspect.
    """
    if diagnosis.is_undetermined:
        return 0.0
    others = [each.confidence for each in diagnosis.alternatives if each.cause in HARDWARE_CAUSES]
    return hardware_chance(diagnosis) if diagnosis.blames_hardware else max(others, default=0.0)


def standing_out(chances: Mapping[str, float]) -> tuple[str, ...]:
    """Return the names that are likeliest broken, likeliest first; none where as many others are about as likely."""
    likely = sorted(
        (name for name in chances if chances[name] >= LEAST_CHANCE), key=lambda name: (-chances[name], name)
    )
    kept, others = likely[:MOST_LEFT_OUT], likely[MOST_LEFT_OUT:]
    return tuple(each for each in kept if not others or chances[others[0]] < NEXT_TO_IT * chances[each])


def unexplained_chance(diagnosis: Diagnosis) -> float:
    """Return the probability that the cause is none that the evidence tells."""
    likely = (
        (diagnosis.cause, diagnosis.confidence),
        *((each.cause, each.confidence) for each in diagnosis.alternatives),
    )
    return sum(chance for cause, chance in likely if cause in UNDETERMINED_CAUSES)


def stop_seconds(attempts: Sequence[Attempt]) -> float:
    """Return what a stop of the job costs: the median of its last ones, from the last step to the first new one."""
    lasted: list[timedelta] = []
    went_on_at = None
    for attempt in reversed(attempts[-_STOPS_LOOKED_AT:]):
        stopped_at = attempt.last_step_at or attempt.interrupted_at
        if went_on_at is not None and stopped_at is not None:
            lasted.append(went_on_at - stopped_at)
        went_on_at = attempt.first_new_step_at
    known = [each / timedelta(seconds=1) for each in lasted if timedelta() < each <= _LONGEST_STOP]
    return median(known) if known else _USUAL_STOP_SECONDS


def stops_per_second(attempts: Sequence[Attempt]) -> float:
    """Return how often the job stops; 0 for one that never did."""
    known = attempts[-_STOPS_LOOKED_AT:]
    if len(known) < 2:
        return 0.0
    seconds = (known[-1].started_at - known[0].started_at) / timedelta(seconds=1)
    return (len(known) - 1) / seconds if seconds > 0 else 0.0
