"""What was decided once, and what is decided on the same events now, to the moment from which they differ."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from itertools import zip_longest

from clusterwatch import policy
from clusterwatch.model import Decision, Scalar

_Plan = tuple[int | None, tuple[tuple[str, Scalar], ...]]
"""The attempt it is about, and what each step does to which node."""


def diverged_at(recorded: Iterable[Decision], made: Iterable[Decision]) -> datetime | None:
    """Return when the first decision was made that differs from what was recorded, whichever is the earlier of the two.

    Decisions are compared job by job in the order in which they were made: the attempt, the steps, and their nodes.
    What a person asked for, and what is no job's, is passed over. None where none differs.
    """
    then, now = _by_job(recorded), _by_job(made)
    differing = (_first_difference(then.get(job, []), now.get(job, [])) for job in then.keys() | now.keys())
    return min((at for at in differing if at is not None), default=None)


def _by_job(decisions: Iterable[Decision]) -> dict[str, list[Decision]]:
    found: dict[str, list[Decision]] = defaultdict(list)
    for decision in sorted(decisions, key=lambda decision: decision.made_at):
        if decision.job_id is not None and decision.rule != policy.ASKED:
            found[decision.job_id].append(decision)
    return found


def _first_difference(recorded: list[Decision], made: list[Decision]) -> datetime | None:
    for then, now in zip_longest(recorded, made):
        if then is None or now is None or _plan(then) != _plan(now):
            return min(each.made_at for each in (then, now) if each is not None)
    return None


def _plan(decision: Decision) -> _Plan:
    return decision.attempt, tuple((step.kind.value, step.arguments.get("node")) for step in decision.steps)
