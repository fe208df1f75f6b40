"""A job that hangs to the question that is put to its ranks: what do you wait for?

It changes nothing and costs seconds, within the time in which late evidence is waited for anyway. Who has lost a rank
knows what the others wait for; they are not asked.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from clusterwatch.model import Decision, Event, Job, Mode, Step, StepKind, StepState, kinds
from clusterwatch.model.reading import Scalar
from clusterwatch.policy.limits import Limits

RECORDERS = "ask the ranks"
"""What stands for the rule in a decision that asks ranks for what their recorders hold."""

ANSWERED_WITHIN = timedelta(seconds=8)
"""So long a decision about the job waits for their answer at most."""

_UNDER_WAY = frozenset({StepState.RECORDED, StepState.BEGUN})


def asked_ranks(event: Event, job: Job, incident_id: str, limits: Limits, now: datetime) -> Decision | None:
    """Return the decision that asks the ranks of *job* because of *event*; None where it tells of no such hang.

    The same event gives the same decision, however often it is told.
    """
    if event.kind != kinds.HANG or job.rank_lost_at is not None or event.attempt != job.attempt:
        return None
    if not limits.can(job.actuator, StepKind.DUMP) or {limits.mode_of(job.actuator), limits.policy.mode} != {Mode.AUTO}:
        return None
    decision_id = f"dec-ranks-{event.id[-16:]}"
    per_node = job.gpus // len(job.nodes) if job.nodes else 0
    arguments: dict[str, Scalar] = {"attempt": job.attempt, "incident": incident_id, "ranks_per_node": per_node}
    until = now + ANSWERED_WITHIN
    step = Step(
        f"{decision_id}.1", decision_id, 1, StepKind.DUMP, job.actuator, job.id, arguments, until, changed_at=now
    )
    return Decision(
        id=decision_id,
        incident_id=incident_id,
        revision=0,
        job_id=None,
        mode=Mode.AUTO,
        reason="The job hangs and no rank is known to have ended: its ranks are asked what they wait for.",
        made_at=now,
        steps=(step,),
        policy=limits.policy.name,
        rule=RECORDERS,
    )


def awaited_until(made: Iterable[Decision]) -> datetime | None:
    """Return until when ranks that were asked by one of *made* may still answer; None if nobody is asked."""
    asked = (step for decision in made if decision.rule == RECORDERS for step in decision.steps)
    return max((step.not_after for step in asked if step.state in _UNDER_WAY), default=None)
