"""A step of which nobody can tell whether it was done, to the question that is put to a person.

What a restart waits for is not among these: its plan is made again, and asks then (see `brakes.given_up`).
"""

from __future__ import annotations

from datetime import datetime

from clusterwatch.model import NODE_STEP_KINDS, Decision, Event, Mode, Step, StepKind, StepState, kinds
from clusterwatch.policy.limits import Limits

UNKNOWN = "nobody can tell"
"""What stands for the rule in a decision that calls a person for a step of which nobody can tell."""


def call_for(event: Event, limits: Limits, now: datetime) -> Decision | None:
    """Return the decision that calls a person because of what became of a step; None where nobody need be called.

    The same event gives the same decision, however often it is told.
    """
    step_id, kind = str(event.fields.get("step_id") or ""), str(event.fields.get("step_kind") or "")
    actuator, incident_id = str(event.fields.get("actuator") or ""), str(event.fields.get("incident") or "")
    if event.kind != kinds.STEP_CHANGED or event.fields.get("state") != StepState.UNKNOWN or not _is_alone(event, kind):
        return None
    if not incident_id or not limits.can(actuator, StepKind.ASK):
        return None
    about = str(event.fields.get("node") or event.component.id)
    told = str(event.fields.get("detail") or "")
    reason = f"A person is asked: nobody can tell whether {kind} of {about} was done ({step_id}). {told}".strip()
    decision_id = f"dec-ask-{step_id.removeprefix('dec-')}"
    step = Step(
        f"{decision_id}.1",
        decision_id,
        1,
        StepKind.ASK,
        actuator,
        event.component.id,
        {"reason": reason, **({"node": about} if event.fields.get("node") else {})},
        now + limits.approve_within,
        changed_at=now,
    )
    cause = str(event.fields.get("cause") or "")
    return Decision(
        id=decision_id,
        incident_id=incident_id,
        revision=0,
        job_id=None,
        mode=Mode.AUTO,
        reason=reason,
        made_at=now,
        steps=(step,),
        policy=limits.policy.name,
        rule=UNKNOWN,
        cause=cause,
    )


def _is_alone(event: Event, kind: str) -> bool:
    """Say whether no plan is made again because of this step."""
    if kind == StepKind.STOP:
        return True
    # A check that a restart waits for says for which attempt it is.
    return kind in NODE_STEP_KINDS and "attempt" not in event.fields
