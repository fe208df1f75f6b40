"""Decide what to do about a diagnosis.

Before any rule:

1. Evidence older than the limit is shown, never acted on.
2. Without a job that is down there is nothing to restart.
3. A job that is held stays down; one that never printed a step is not called hung on its silence alone.
4. A plan that failed too often, or of which nobody knows whether it was done, becomes a person's.

Then the first rule of the policy that fits makes the plan, and the brakes (see `brakes`) say how much of it may be.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from clusterwatch.model import CLUSTER, NODE_STEP_KINDS, Decision, Hold, Job, JobState, Mode, Step, StepKind, StepState
from clusterwatch.policy import brakes
from clusterwatch.policy.limits import Limits
from clusterwatch.policy.plans import Plan, planned
from clusterwatch.policy.readmitting import with_readmitted
from clusterwatch.policy.situation import Cluster, Situation
from clusterwatch.policy.view import View

HELD = "held"
"""What stands for the rule while somebody holds the job; when it is released, it is decided anew."""

GUARD = "guard"
"""What stands for the rule in a decision that came before any rule."""

_TOLD = NODE_STEP_KINDS | {StepKind.EXCLUDE, StepKind.STOP}
_SECOND = timedelta(seconds=1)
MODES = (Mode.OBSERVE, Mode.SUGGEST, Mode.APPROVE, Mode.AUTO)
"""How far automation may go, least first."""


def decide(situation: Situation, limits: Limits, now: datetime) -> Decision:
    """Return what to do, with the reason in an operator's words; steps that the mode forbids come cancelled."""
    view = View(situation, now, limits.costs)
    plan, job = _plan(view, limits), situation.job
    decision = Decision(
        id=_id(view),
        incident_id=situation.incident.id,
        revision=situation.diagnosis.revision,
        job_id=job.id if job is not None else None,
        attempt=job.attempt if job is not None else None,
        mode=_mode(view, plan, limits),
        reason=plan.in_words(),
        made_at=now,
        policy=limits.policy.name,
        rule=plan.rule,
        cause=situation.diagnosis.cause.value,
        considered=_considered(view, limits) if plan.steps else (),
    )
    if job is None:
        return decision
    breaker = breaker_before(situation.cluster, limits, now) if plan.steps else None
    if breaker is not None:
        decision = replace(
            decision, reason=f"{decision.reason} The breaker is open ({breaker.reason}): it waits for a person."
        )
    return replace(decision, steps=_steps(decision, plan, job, limits, now))


def plan_for(situation: Situation, limits: Limits, now: datetime) -> Plan:
    """Return the plan alone, to compare what different causes would lead to."""
    return _plan(View(situation, now, limits.costs), limits)


def due_at(situation: Situation, limits: Limits, now: datetime) -> datetime:
    """Return when to decide: *now*, or the end of a pause that a rule or a brake asks for."""
    view = View(situation, now, limits.costs)
    plan = _plan(view, limits)
    waiting = next((rule for rule in limits.policy.rules if rule.name == plan.rule and rule.wait_seconds), None)
    if waiting is not None and view.current is not None and view.current.interrupted_at is not None:
        return view.current.interrupted_at + (waiting.wait_seconds * _SECOND)
    return brakes.due_at(view, plan, limits)


def breaker_before(cluster: Cluster, limits: Limits, now: datetime) -> Hold | None:
    """Return the breaker, if it is open or has to open now; None while automation may act."""
    if cluster.breaker is not None:
        return cluster.breaker
    reason = brakes.breaker_reason(cluster, limits, now)
    return Hold(CLUSTER, reason, "clusterwatch", now) if reason else None


def _plan(view: View, limits: Limits) -> Plan:
    job = view.situation.job
    guard = _guard(view)
    if guard or job is None:
        return Plan(guard, rule=GUARD)
    held = held_by(job, view.situation.cluster)
    if held:
        return Plan(f"The job is held: {held}", rule=HELD)
    given_up = brakes.given_up(view, job, limits)
    if given_up is not None:
        return brakes.able(given_up, job, limits)
    rule = limits.policy.rule_for(view, partial(limits.can, job.actuator))
    return with_readmitted(view, brakes.braked(view, planned(view, rule, job), job, limits), job, limits)


def _considered(view: View, limits: Limits) -> tuple[str, ...]:
    job = view.situation.job
    return tuple(limits.policy.considered(view, partial(limits.can, job.actuator if job is not None else "")))


def _guard(view: View) -> str:
    """Return why no rule is asked; "" when one is."""
    situation, job = view.situation, view.situation.job
    if situation.incident.stale:
        return "The evidence is older than the limit for acting; it is only shown."
    if job is None or job.state is not JobState.INTERRUPTED:
        return f"No job is down because of this. {situation.diagnosis.advice}".strip()
    if view.hung and all(attempt.first_step is None for attempt in situation.attempts):
        return (
            "It runs, but no step was ever recognised in its output: it may train without printing, so nothing is done."
        )
    return ""


def held_by(job: Job, cluster: Cluster) -> str:
    """Return why *job* must be left alone; "" when nobody says so."""
    hold = cluster.hold_on(f"job:{job.id}")
    return job.held or (hold.reason if hold is not None else "")


def _id(view: View) -> str:
    situation, job = view.situation, view.situation.job
    whose = f"{job.id}-{job.attempt}" if job is not None else "none"
    again = f"-again{view.failed_plans}" if view.failed_plans else ""
    return f"dec-{situation.incident.id.removeprefix('inc-')}-{situation.diagnosis.revision}-{whose}{again}"


def _mode(view: View, plan: Plan, limits: Limits) -> Mode:
    job = view.situation.job
    if job is None:
        return Mode.SUGGEST
    breaker = breaker_before(view.situation.cluster, limits, view.now) if plan.steps else None
    most = Mode.APPROVE if breaker is not None else Mode.AUTO
    return min(limits.mode_of(job.actuator), limits.policy.mode, plan.mode, most, key=MODES.index)


def _steps(decision: Decision, plan: Plan, job: Job, limits: Limits, now: datetime) -> tuple[Step, ...]:
    # What waits for approval is recorded; the store hands it out once a person has given it.
    may_be_done = decision.mode in (Mode.AUTO, Mode.APPROVE)
    within = limits.approve_within if decision.mode is Mode.APPROVE else limits.act_within
    about = {"incident": decision.incident_id, "cause": decision.cause}
    return tuple(
        Step(
            id=f"{decision.id}.{order}",
            decision_id=decision.id,
            order=order,
            kind=kind,
            actuator=job.actuator,
            target=job.id,
            # Told beside what is done, so that whoever finds the node drained or left out knows why.
            arguments={**dict(arguments), **(about if kind in _TOLD else {})},
            not_after=now + within,
            state=StepState.RECORDED if may_be_done else StepState.CANCELLED,
            changed_at=now,
            detail=""
            if may_be_done
            else f"not carried out: {job.actuator or 'no actuator'} is in mode {decision.mode}",
        )
        for order, (kind, arguments) in enumerate(plan.steps, start=1)
    )
