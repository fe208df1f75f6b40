"""How an incident goes on after it was decided on: its plan, a further wait, and its end."""

from __future__ import annotations

from datetime import datetime, timedelta

from clusterwatch.model import ENDED_STEP_STATES, NODE_STEP_KINDS, Incident, IncidentState, StepKind, StepState
from clusterwatch.model.making import replace
from clusterwatch.turning.going_on import goes_on, may_come_back_until, still_interrupts
from clusterwatch.turning.limits import CLEAR_FROM
from clusterwatch.turning.murmuring import count_murmurs
from clusterwatch.turning.situations import interrupted_jobs, was_decided
from clusterwatch.turning.state import Turning

TOLD_LATE = timedelta(minutes=20)
"""So long after it began, an incident whose cause is not clear waits for what schedulers and controllers tell late."""

CHECKED_WITHIN = timedelta(minutes=20)
"""So long after a node was left out it has passed its checks, or failed one."""

TIDIED_EVERY = timedelta(minutes=10)
"""Nobody waits for an incident that is over to be closed: those that become so are closed together."""

_CARE = NODE_STEP_KINDS - {StepKind.CHECK}
"""Steps that are due however the job does: a check before a restart is not."""

_DECIDABLE = (IncidentState.DIAGNOSED, IncidentState.RECOVERING)
_ACTED_ON = (IncidentState.ACTING, IncidentState.RECOVERING)


def follow_plan(turn: Turning, incident: Incident) -> None:
    """Move on when the steps of all plans have ended: to recovering, or back to a person."""
    made = turn.world.decisions.get(incident.id, ())
    if incident.state is not IncidentState.ACTING or not made:
        return
    latest = {decision.job_id: decision for decision in made if decision.steps and decision.job_id}
    # The job does not wait for what is done to nodes once it is on its way.
    states = {step.state for decision in latest.values() for step in decision.steps if step.kind not in _CARE}
    if states <= {StepState.DONE}:
        turn.move(incident, IncidentState.RECOVERING)
    elif states <= ENDED_STEP_STATES:
        turn.move(incident, IncidentState.DIAGNOSED)
        turn.wake_ups.append(turn.now)


def settle_again(turn: Turning, incident: Incident) -> None:
    """Wait for evidence anew when the incident interrupts an attempt that nothing was decided about."""
    jobs = interrupted_jobs(turn.world, incident)
    undecided = any(not was_decided(turn.world, incident.id, job) for job in jobs)
    if not undecided or incident.id in turn.paused or incident.state not in _DECIDABLE:
        return
    turn.move(incident, IncidentState.DIAGNOSED)
    settling = turn.world.incidents[incident.id].moved_to(IncidentState.SETTLING, turn.now)
    turn.put(replace(settling, observed_at=turn.now))
    turn.wake_ups.append(turn.now + turn.limits.settle.minimum)


def close_if_over(turn: Turning, incident: Incident) -> None:
    """Close the incident when its jobs go on, or it stopped none and is quiet; look again when that may be so."""
    if not incident.is_open or incident.state is IncidentState.OPEN or still_interrupts(turn, incident):
        return
    interrupted = goes_on(turn, incident) or incident.state in _ACTED_ON
    ended_job = any(job_id in turn.jobs_before and job_id not in turn.world.jobs for job_id in incident.jobs)
    late_at = _told_until(turn, incident)
    quiet_at = max(evidence.last_at for evidence in incident.evidence) + turn.limits.quiet
    if interrupted and turn.now < late_at:
        turn.wake_ups.append(_tidied_at(late_at))
    elif interrupted or ended_job or incident.stale or turn.now >= quiet_at:
        if not interrupted and not ended_job:
            count_murmurs(turn, ((evidence.kind, evidence.component.node) for evidence in incident.evidence))
        _cancel_what_waits(turn, incident)
        turn.move(incident, IncidentState.CLOSED)
    else:
        turn.wake_ups.append(_tidied_at(quiet_at))


def _tidied_at(over_at: datetime) -> datetime:
    """Return when what is over at *over_at* is closed at the latest: at the next whole ten minutes of the day."""
    midnight = over_at.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight - (midnight - over_at) // TIDIED_EVERY * TIDIED_EVERY


def _told_until(turn: Turning, incident: Incident) -> datetime:
    """Return until when more may be told of an incident whose jobs go on; not after now when nothing is awaited."""
    told_at = [turn.now, may_come_back_until(turn, incident.id)]
    if _may_be_told_late(turn, incident):
        told_at += [incident.opened_at + TOLD_LATE, *_checked_at(turn, incident)]
    return max(told_at)


def _checked_at(turn: Turning, incident: Incident) -> list[datetime]:
    """Return until when the nodes will have been checked that were left out because of *incident*."""
    jobs = (turn.world.jobs[job_id] for job_id in incident.jobs if job_id in turn.world.jobs)
    left_out = (left for job in jobs if turn.limits.policy.checks(job.actuator) for left in job.left_out)
    mine = (left for left in left_out if left.incident_id == incident.id and left.cleared_at is None)
    return [left.since + CHECKED_WITHIN for left in mine if not left.failures]


def _may_be_told_late(turn: Turning, incident: Incident) -> bool:
    """Say whether the cause is not clear, and what was hit may yet tell."""
    if incident.stale or incident.state is IncidentState.SETTLING:
        return not incident.stale
    diagnosis = turn.world.diagnoses.get(incident.id)
    return bool(incident.nodes) and diagnosis is not None and diagnosis.confidence < CLEAR_FROM


def _cancel_what_waits(turn: Turning, incident: Incident) -> None:
    """Cancel recorded steps of an incident that is over: what they were to mend is mended, or gone."""
    made = turn.world.decisions.get(incident.id, ())
    turn.cancelled += [
        replace(step, state=StepState.CANCELLED, changed_at=turn.now, detail="the incident is over")
        for decision in made
        for step in decision.steps
        if step.state is StepState.RECORDED and (decision.job_id is None or step.kind not in _CARE)
    ]
