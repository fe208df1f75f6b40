"""Which incident explains which interruption."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from clusterwatch import correlate
from clusterwatch.model import Edge, Event, Evidence, Incident, Interruption, Knowledge, Role, Severity, Trust
from clusterwatch.model.making import replace
from clusterwatch.turning.going_on import gone_on
from clusterwatch.turning.limits import AT_ONCE
from clusterwatch.turning.situations import was_decided
from clusterwatch.turning.state import Turning


def link_interruptions(turn: Turning, events: Sequence[Event]) -> None:
    """Give each interruption the incident that explains it best, until something is decided about it.

    An attempt that fails on its way back may fail of something else than the first one.
    """
    turn.interruptions = {interruption.id: interruption for interruption in turn.tracked.interruptions}
    for interruption in list(turn.world.interruptions.values()):
        job = turn.world.jobs[interruption.job_id]
        if interruption.incident_id is None or not was_decided(turn.world, interruption.incident_id, job):
            _link(turn, interruption, events)


def _link(turn: Turning, interruption: Interruption, events: Sequence[Event]) -> None:
    attempts = turn.world.attempts.get(interruption.job_id, ())
    began_at = (attempts[-1].interrupted_at if attempts else None) or interruption.edges[Edge.FIRST_EVENT]
    incident = _explaining(turn, interruption, began_at)
    if incident is None and interruption.incident_id is None:
        incident = _opened_for(turn, interruption, began_at, events)
    if incident is not None and incident.id != interruption.incident_id:
        turn.put_interruption(replace(interruption, incident_id=incident.id))


def _opened_for(
    turn: Turning, interruption: Interruption, began_at: datetime, events: Sequence[Event]
) -> Incident | None:
    """Open an incident for a stop that none explains: with what its job told nearest to it; None if it told nothing."""
    whose = [event for event in events if event.job == interruption.job_id]
    ending = min(whose, key=lambda event: abs(event.happened_at - began_at), default=None)
    if ending is None:
        return None
    incident = correlate.incident_for_interruption(ending, turn.limits.correlate, turn.now)
    turn.memberships.append((incident.id, ending.id))
    turn.put(incident)
    return incident


def _explaining(turn: Turning, interruption: Interruption, at: datetime) -> Incident | None:
    """Return the incident that best explains that a job stopped *at*.

    What is recent and may be a cause goes before what it lived on after, and that before mere symptoms; then a
    fault before a suspect, then the one that explains it so far, then the latest.
    """
    attempts = turn.world.attempts.get(interruption.job_id, ())
    # What was there before this attempt began stopped an earlier one, and is no reason of this one.
    begun = [each.running_at or each.started_at for each in attempts[1:]]
    recent_from, since = max([at - AT_ONCE, *begun]), max([at - turn.limits.correlate.before, *begun])
    # What is found on a node that was left out before is no reason either.
    job = turn.world.jobs[interruption.job_id]
    out = {left.node for left in job.left_out if left.attempt < job.attempt}

    def fitness(incident: Incident) -> tuple[int, int, bool, datetime, str]:
        told = [evidence for evidence in incident.evidence if evidence.component.node not in out]
        recent = [evidence for evidence in told if evidence.last_at >= recent_from]
        weight = max(_weight(evidence, turn.knowledge) for evidence in recent or incident.evidence)
        is_kept = incident.id == interruption.incident_id
        grade = _grade(told, recent, since, turn.knowledge)
        return (grade, round(weight), is_kept, incident.updated_at, incident.id)

    return max(_candidates(turn, interruption, at), key=fitness, default=None)


def _candidates(turn: Turning, interruption: Interruption, at: datetime) -> list[Incident]:
    """Return the open incidents of the job of *interruption* that have evidence from around the time."""
    before, after = turn.limits.correlate.before, turn.limits.correlate.after
    over = gone_on(turn)
    return [
        incident
        for incident in turn.world.incidents.values()
        if incident.is_open
        and incident.id not in over
        and interruption.job_id in incident.jobs
        and any(at - before <= each.last_at and each.first_at <= at + after for each in incident.evidence)
    ]


def _grade(told: Sequence[Evidence], recent: Sequence[Evidence], since: datetime, knowledge: Knowledge) -> int:
    """Return how near what is *told* comes to a reason: 3 for a recent one, 2 for one before, 1 for recent symptoms."""
    if any(_may_be_cause(evidence, knowledge) for evidence in recent):
        return 3
    earlier = (each for each in told if each.last_at >= since and each.trust is Trust.NODE)
    if any(_may_be_cause(each, knowledge) and each.severity >= Severity.ERROR for each in earlier):
        return 2
    return 1 if recent else 0


def _may_be_cause(evidence: Evidence, knowledge: Knowledge) -> bool:
    return knowledge[evidence.kind].role in (Role.FAULT, Role.SUSPECT)


def _weight(evidence: Evidence, knowledge: Knowledge) -> float:
    return max(knowledge[evidence.kind].weights.values(), default=0.0)
