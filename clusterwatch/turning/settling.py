"""When a diagnosis has waited long enough for late evidence."""

from __future__ import annotations

from datetime import datetime

from clusterwatch import classify, policy
from clusterwatch.model import Cause, Diagnosis, Incident, IncidentState
from clusterwatch.model.making import replace
from clusterwatch.turning.situations import situations
from clusterwatch.turning.state import Turning


def settle(turn: Turning, incident: Incident, diagnosis: Diagnosis) -> None:
    """End the wait for evidence when it is over; look again at its end otherwise."""
    if incident.state is not IncidentState.SETTLING:
        return
    possible = situations(turn.world, incident, diagnosis)
    settling = classify.settling(
        incident,
        diagnosis,
        turn.knowledge,
        alternatives_agree=all(_alternatives_agree(each, turn.limits.policy, turn.now) for each in possible),
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
