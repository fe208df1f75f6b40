"""When a diagnosis has waited long enough for late evidence."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from clusterwatch import classify, policy
from clusterwatch.model import Cause, Diagnosis, Incident, IncidentState, StepKind
from clusterwatch.model.making import replace
from clusterwatch.turning.recalling import awaited
from clusterwatch.turning.situations import situations
from clusterwatch.turning.state import Turning


def settle(turn: Turning, incident: Incident, diagnosis: Diagnosis) -> None:
    """End the wait for evidence when it is over; look again at its end otherwise."""
    if incident.state is not IncidentState.SETTLING:
        return
    until = awaited(turn, incident)
    if until is not None and not incident.stale:
        turn.wake_ups.append(until)
        return
    possible = situations(turn.world, incident, diagnosis)
    settling = classify.settling(
        incident,
        diagnosis,
        turn.knowledge,
        alternatives_agree=all(_alternatives_agree(each, turn.limits.policy, turn.now) for each in possible),
        hung_since=_hung_since(possible, turn.limits.policy, turn.now),
        limits=turn.limits.settle,
        now=turn.now,
    )
    if settling.is_over or incident.stale:
        turn.move(incident, IncidentState.DIAGNOSED)
    else:
        turn.wake_ups.append(max(settling.wake_at, turn.now))


def _alternatives_agree(situation: policy.Situation, limits: policy.Limits, now: datetime) -> bool:
    """Say whether every cause that is still likely leads to the same steps."""
    diagnosis = situation.diagnosis
    likely: list[Cause] = [each.cause for each in diagnosis.alternatives if each.confidence >= 0.1]
    plans = {
        policy.plan_for(replace(situation, diagnosis=replace(diagnosis, cause=cause)), limits, now).steps
        for cause in (diagnosis.cause, *likely)
    }
    return len(plans) == 1


def _hung_since(possible: Sequence[policy.Situation], limits: policy.Limits, now: datetime) -> datetime | None:
    """Return when a job made its last step that hangs for the first time and would only be put back as it was."""
    since = (
        each.attempts[-1].last_step_at
        for each in possible
        if each.job is not None and each.attempts and each.attempts[-1].hung and each.attempts[-1].ended_at is None
        if len(each.job.nodes) > 1 and limits.can(each.job.actuator, StepKind.EXCLUDE)
        if not policy.changes_something(policy.plan_for(each, limits, now))
    )
    return max((at for at in since if at is not None), default=None)
