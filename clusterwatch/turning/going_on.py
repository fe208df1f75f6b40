"""Whether jobs go on after an incident, since when, and until when what stopped them may do so again."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from clusterwatch.correlate import Suspected
from clusterwatch.model import HARDWARE_CAUSES, UNDETERMINED_CAUSES, Diagnosis, Incident
from clusterwatch.turning.limits import AT_ONCE, CLEAR_FROM, LIKELY_FROM
from clusterwatch.turning.state import Turning

COMES_BACK_WITHIN = timedelta(minutes=5)
"""A job that stops again so soon after it made new steps has not gone on: what stopped it before may do so still."""

BESIDE_THE_FIRST = 0.2
"""Who is suspected less than this, measured by the first suspect, was hit by what the first one did."""


def goes_on(turn: Turning, incident: Incident) -> bool:
    """Say whether a job makes new steps since this turn that *incident* had interrupted."""
    return any(each.is_over for each in turn.interruptions.values() if each.incident_id == incident.id)


def still_interrupts(turn: Turning, incident: Incident) -> bool:
    """Say whether *incident* explains an interruption that is not over."""
    return any(each.incident_id == incident.id for each in turn.world.interruptions.values())


def gone_on(turn: Turning) -> frozenset[str]:
    """Return the open incidents, by id, whose jobs go on again, and not only just."""
    waiting = {each.incident_id for each in turn.world.interruptions.values()}
    acted_on = (key for key, made in turn.world.decisions.items() if any(each.attempt for each in made))
    going = frozenset(acted_on) - waiting
    return frozenset(key for key in going if may_come_back_until(turn, key) <= turn.now)


def running_again_since(turn: Turning) -> dict[str, datetime]:
    """Return since when the jobs run again that open incidents had stopped, by incident."""
    since = ((incident_id, runs_again_since(turn, incident_id)) for incident_id in turn.world.decisions)
    return {incident_id: at for incident_id, at in since if at is not None}


def runs_again_since(turn: Turning, incident_id: str) -> datetime | None:
    """Return since when a job runs again that an open incident had stopped; None while it stands."""
    since = None
    for decision in turn.world.decisions.get(incident_id, ()):
        latest = next(iter(turn.world.attempts.get(decision.job_id or "", ())[-1:]), None)
        if decision.attempt and latest is not None and latest.number > decision.attempt:
            # What was hit tells of it for some time yet.
            since = latest.running_at or latest.started_at + AT_ONCE
    return since


def suspected(turn: Turning, incidents: Iterable[str]) -> dict[str, Suspected]:
    """Return where *incidents* are by their diagnoses, where those name a cause."""
    diagnosed = ((key, turn.world.diagnoses[key]) for key in incidents if key in turn.world.diagnoses)
    return {
        key: Suspected(_nodes_of(diagnosis), _is_clear(diagnosis))
        for key, diagnosis in diagnosed
        if diagnosis.cause not in UNDETERMINED_CAUSES
    }


def _nodes_of(diagnosis: Diagnosis) -> frozenset[str]:
    least = max((suspect.score for suspect in diagnosis.suspects), default=0.0) * BESIDE_THE_FIRST
    return frozenset(each.component.node for each in diagnosis.suspects if each.score >= least) - {""}


def _is_clear(diagnosis: Diagnosis) -> bool:
    """Return whether a part that breaks elsewhere would not change *diagnosis*; that of a program hangs on no part."""
    enough = CLEAR_FROM if diagnosis.cause in HARDWARE_CAUSES else LIKELY_FROM
    return diagnosis.confidence >= enough


def may_come_back_until(turn: Turning, incident_id: str) -> datetime:
    """Return until when a stop of a job may be this incident again: while its cause is not clear, and soon."""
    diagnosis = turn.world.diagnoses.get(incident_id)
    if diagnosis is None or diagnosis.confidence >= CLEAR_FROM:
        return turn.now
    decided = {each.job_id: each.attempt or 0 for each in turn.world.decisions.get(incident_id, ())}
    went_on = (
        attempts[-1].first_new_step_at
        for job_id, number in decided.items()
        if (attempts := turn.world.attempts.get(job_id or "", ())) and attempts[-1].number == number + 1
    )
    return max((at + COMES_BACK_WITHIN for at in went_on if at is not None), default=turn.now)
