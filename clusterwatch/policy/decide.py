"""Decide what to do about a diagnosis.

The rules, first that fits:

1. Evidence older than the limit is shown, never acted on.
2. Without a job that is down there is nothing to restart.
3. A job that is held stays down; one that never printed a step is not called hung on its silence alone.
4. A job that died the same way at the same step too often is stopped, and says why: a restart would do it again,
   unless it goes without a node that is to blame.
5. A job that ended too often in a row without a new step, or used up its restarts of the hour, is stopped too.
6. Otherwise it restarts from its last complete checkpoint: hung processes are ended first, and a node whose
   hardware is to blame is left out of this job, where there is another node to run on. Nothing is drained here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import takewhile

from clusterwatch.model import (
    Attempt,
    Cause,
    Checkpoint,
    Decision,
    Diagnosis,
    Incident,
    Job,
    JobState,
    Mode,
    Scalar,
    Step,
    StepKind,
    StepState,
)
from clusterwatch.policy.limits import Limits

EXCLUDE_FROM = 0.5
"""A node is left out of a job only when its part is more likely to blame than everything else together."""


SINGLED_OUT = 0.4
"""Share of the blame from which one node stands out; below it, nodes would be left out by chance."""


@dataclass(frozen=True, slots=True)
class Situation:
    """What a decision looks at.

    *job* is the one that the incident interrupted, None when there is none; *attempts* all of its attempts,
    oldest first; *checkpoints* its complete ones in the order of step.
    """

    incident: Incident
    diagnosis: Diagnosis
    job: Job | None
    attempts: tuple[Attempt, ...] = ()
    checkpoints: tuple[Checkpoint, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do and why: (kind, arguments) in order."""

    reason: str
    steps: tuple[tuple[StepKind, tuple[tuple[str, Scalar], ...]], ...] = ()


def decide(situation: Situation, limits: Limits, now: datetime) -> Decision:
    """Return what to do, with the reason in an operator's words; steps that the mode forbids come cancelled."""
    plan = plan_for(situation, limits, now)
    job = situation.job
    mode = limits.mode_of(job.actuator) if job is not None else Mode.SUGGEST
    whose = f"{job.id}-{job.attempt}" if job is not None else "none"
    decision_id = f"dec-{situation.incident.id.removeprefix('inc-')}-{situation.diagnosis.revision}-{whose}"
    decision = Decision(
        id=decision_id,
        incident_id=situation.incident.id,
        revision=situation.diagnosis.revision,
        job_id=job.id if job is not None else None,
        attempt=job.attempt if job is not None else None,
        mode=mode,
        reason=plan.reason,
        made_at=now,
    )
    if job is None:
        return decision
    return replace(decision, steps=_steps(decision, plan, job, limits, now))


def plan_for(situation: Situation, limits: Limits, now: datetime) -> Plan:
    """Return the plan alone, to compare what different causes would lead to."""
    job = situation.job
    if situation.incident.stale:
        return Plan("The evidence is older than the limit for acting; it is only shown.")
    if job is None or job.state is not JobState.INTERRUPTED:
        return Plan(f"No job is down because of this. {situation.diagnosis.advice}".strip())
    if job.held:
        return Plan(f"The job is held: {job.held}")
    if _is_silent_from_the_start(situation):
        return Plan(
            "It runs, but no step was ever recognised in its output: it may train without printing, so nothing is done."
        )
    return _brake(situation, job, limits, now) or _restart(situation, job)


def _is_silent_from_the_start(situation: Situation) -> bool:
    """Say whether the job hangs only as far as one can tell from output that never showed a step."""
    attempts = situation.attempts
    is_running = bool(attempts) and attempts[-1].ended_at is None
    return is_running and all(attempt.first_step is None for attempt in attempts)


def _brake(situation: Situation, job: Job, limits: Limits, now: datetime) -> Plan | None:
    alike = _alike_deaths(situation.attempts)
    if alike > limits.restarts_without_progress and not _nodes_to_exclude(situation.diagnosis, job):
        current = situation.attempts[-1]
        reason = (
            f"{alike} attempts died the same way ({current.fingerprint}) at step {job.highest_step} without progress"
        )
        return _stopping(job, f"Stopped: {reason}. Another restart would do the same.")
    fruitless = _fruitless(situation.attempts)
    if fruitless >= limits.attempts_without_progress:
        return _stopping(job, f"Stopped: {fruitless} attempts in a row ended without a step beyond {job.highest_step}.")
    recent = [attempt for attempt in situation.attempts if now - attempt.started_at < timedelta(hours=1)]
    if len(recent) > limits.restarts_per_hour:
        return _stopping(job, f"Stopped: {len(recent)} attempts within an hour; a person should look.")
    return None


def _alike_deaths(attempts: Sequence[Attempt]) -> int:
    """Count the newest attempts in a row that died with the same fingerprint and no step beyond the others."""
    if not attempts:
        return 0
    newest, count = attempts[-1], 0
    for attempt in reversed(attempts):
        if attempt.fingerprint != newest.fingerprint:
            break
        count += 1
        if attempt.first_new_step_at is not None:
            # This one trained beyond its predecessors: the row of deaths without progress begins with it.
            break
    return count


def _fruitless(attempts: Sequence[Attempt]) -> int:
    """Count the newest attempts in a row that made no new step, whatever each of them died of."""
    return sum(1 for _ in takewhile(lambda attempt: attempt.first_new_step_at is None, reversed(attempts)))


def _stopping(job: Job, reason: str) -> Plan:
    return Plan(reason, ((StepKind.STOP, (("attempt", job.attempt), ("reason", reason))),))


def _restart(situation: Situation, job: Job) -> Plan:
    diagnosis = situation.diagnosis
    current = situation.attempts[-1] if situation.attempts else None
    checkpoint = situation.checkpoints[-1] if situation.checkpoints else None
    attempt: tuple[str, Scalar] = ("attempt", job.attempt)
    steps: list[tuple[StepKind, tuple[tuple[str, Scalar], ...]]] = []
    if current is not None and current.ended_at is None:
        steps.append((StepKind.HOLD, (attempt,)))
    excluded = _nodes_to_exclude(diagnosis, job)
    steps += [(StepKind.EXCLUDE, (attempt, ("node", node))) for node in excluded]
    resume: tuple[tuple[str, Scalar], ...] = (
        ("checkpoint", checkpoint.path if checkpoint else ""),
        ("step", checkpoint.step if checkpoint else 0),
    )
    steps.append((StepKind.CHOOSE_CHECKPOINT, (attempt, *resume)))
    steps.append((StepKind.REQUEUE, (attempt, ("next_attempt", job.attempt + 1), *resume)))
    return Plan(_restart_reason(diagnosis, checkpoint, excluded), tuple(steps))


def _nodes_to_exclude(diagnosis: Diagnosis, job: Job) -> list[str]:
    """Return the job's nodes that are to blame, unless it has no other: a restart in place is then all there is.

    A user's log is enough: leaving a node out of this one job harms nobody else, as draining it would.
    """
    blamed = diagnosis.blames_hardware or diagnosis.cause is Cause.HOST_MAINTENANCE
    if not blamed or diagnosis.confidence < EXCLUDE_FROM or len(job.nodes) < 2:
        return []
    blame = dict.fromkeys(job.nodes, 0.0)
    for suspect in diagnosis.suspects:
        if suspect.component.node in blame:
            blame[suspect.component.node] += suspect.score
    worst = max(job.nodes, key=lambda node: blame[node])
    return [worst] if blame[worst] >= SINGLED_OUT else []


def _restart_reason(diagnosis: Diagnosis, checkpoint: Checkpoint | None, excluded: Sequence[str]) -> str:
    cause = f"{diagnosis.cause} ({diagnosis.confidence:.0%} sure)"
    where = f"without {', '.join(excluded)}" if excluded else "in place"
    source = (
        f"from the checkpoint of step {checkpoint.step}" if checkpoint else "from the beginning: no complete checkpoint"
    )
    return f"{cause}: restart {where}, {source}."


def _steps(decision: Decision, plan: Plan, job: Job, limits: Limits, now: datetime) -> tuple[Step, ...]:
    # What waits for approval is recorded; the store hands it out once a person has given it.
    may_be_done = decision.mode in (Mode.AUTO, Mode.APPROVE)
    return tuple(
        Step(
            id=f"{decision.id}.{order}",
            decision_id=decision.id,
            order=order,
            kind=kind,
            actuator=job.actuator,
            target=job.id,
            arguments=dict(arguments),
            not_after=now + limits.act_within,
            state=StepState.RECORDED if may_be_done else StepState.CANCELLED,
            changed_at=now,
            detail=""
            if may_be_done
            else f"not carried out: {job.actuator or 'no actuator'} is in mode {decision.mode}",
        )
        for order, (kind, arguments) in enumerate(plan.steps, start=1)
    )
