"""Diagnosis to decision: one plan for each attempt that an incident interrupted, on record with what it changes."""

from __future__ import annotations

from clusterwatch import policy
from clusterwatch.model import Decision, Edge, IncidentState, Job, StepState
from clusterwatch.model.making import replace
from clusterwatch.turning.recalling import awaited
from clusterwatch.turning.situations import cluster_of, is_decided
from clusterwatch.turning.state import Turning


def decide(turn: Turning, situation: policy.Situation) -> None:
    """Record one plan for each attempt that the incident interrupted, and one when it interrupted none."""
    incident = turn.world.incidents[situation.incident.id]
    if is_decided(turn.world, incident.id, situation.job):
        return
    due_at = max(policy.due_at(situation, turn.limits.policy, turn.now), awaited(turn, incident) or turn.now)
    if due_at > turn.now:
        turn.paused.add(incident.id)
        turn.wake_ups.append(due_at)
        return
    decision = policy.decide(situation, turn.limits.policy, turn.now)
    record(turn, decision)
    if situation.job is not None:
        _note_decided(turn, situation.job)
    if any(step.state is StepState.RECORDED for step in decision.steps):
        turn.move(incident, IncidentState.ACTING)


def record(turn: Turning, decision: Decision) -> None:
    """Put *decision* on record, and before it the hold of a breaker that has just opened."""
    breaker = policy.breaker_before(cluster_of(turn.world), turn.limits.policy, turn.now)
    if breaker is not None and breaker.made_at == turn.now:
        turn.put_hold(breaker)
    turn.put_decision(decision)


def _note_decided(turn: Turning, job: Job) -> None:
    """Note on the attempt and the interruption of *job* when it was first decided what to do."""
    attempts = turn.world.attempts.get(job.id, ())
    if attempts and attempts[-1].decided_at is None:
        turn.put_attempt(replace(attempts[-1], decided_at=turn.now))
    interruption = turn.world.interruptions[job.id]
    if Edge.DECIDED not in interruption.edges:
        turn.put_interruption(replace(interruption, edges={**interruption.edges, Edge.DECIDED: turn.now}))
