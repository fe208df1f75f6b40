"""Jobs that hang to the question that is put to their ranks, and the wait for the answer."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from clusterwatch import policy
from clusterwatch.model import Event, Incident, kinds
from clusterwatch.turning.limits import CLEAR_FROM
from clusterwatch.turning.state import Turning


def ask_ranks(turn: Turning, events: Iterable[Event]) -> None:
    """Ask the ranks of each job that was just found to hang."""
    hangs = [event for event in events if event.kind == kinds.HANG and event.job in turn.world.jobs]
    incident_of = {event_id: incident_id for incident_id, event_id in turn.memberships} if hangs else {}
    for event in hangs:
        incident_id = incident_of.get(event.id)
        if event.job is None or incident_id is None or _is_clear(turn, incident_id):
            continue
        decision = policy.asked_ranks(event, turn.world.jobs[event.job], incident_id, turn.limits.policy, turn.now)
        if decision is not None:
            turn.put_decision(decision)


def _is_clear(turn: Turning, incident_id: str) -> bool:
    diagnosis = turn.world.diagnoses.get(incident_id)
    return diagnosis is not None and diagnosis.confidence >= CLEAR_FROM


def awaited(turn: Turning, incident: Incident) -> datetime | None:
    """Return until when an answer about *incident* is awaited; None where none is any more."""
    until = policy.awaited_until(turn.world.decisions.get(incident.id, ()))
    return until if until is not None and until > turn.now else None
