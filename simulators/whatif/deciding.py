"""What a policy does in every situation there can be, asked once, as a table.

For ClusterWatch itself the answers come from the very function that decides in the daemon: a diagnosis, a job that is
down and its attempts so far are made up for each situation, and the steps of the decision are read.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from clusterwatch.model import (
    Attempt,
    Cause,
    Checkpoint,
    Component,
    ComponentKind,
    Decision,
    Diagnosis,
    Incident,
    IncidentState,
    Job,
    JobState,
    Mode,
    StepKind,
    Suspect,
)
from clusterwatch.pipeline import Limits, Situation, decide
from simulators.whatif.policies import Policy, Responder

CAUSES = tuple(Cause)
"""In the order of the table's first axis."""

DEPTHS = 8
"""How many attempts without a new step, or strikes of one part, are told apart."""

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_ACTUATOR = "what-if"
_SURE = 0.95
_NODES = ("node0001", "node0002")


class Action(IntEnum):
    """What a decision comes to, for a job that is down."""

    RESTART = 0
    EXCLUDE = 1
    PERSON = 2


Actions = NDArray[np.int64]
"""(cause diagnosed, 1 if a node is blamed, 1 if the same part struck before, depth) of `Action`."""


def action_table(policy: Policy, limits: Limits | None = None) -> Actions:
    """Return what *policy* does in every situation.

    The depth counts attempts in a row without a new step for ClusterWatch, and strikes of one part for the others.
    """
    table = np.zeros((len(CAUSES), 2, 2, DEPTHS), dtype=np.int64)
    for blamed in (False, True):
        for again in (False, True):
            for depth in range(DEPTHS):
                table[:, int(blamed), int(again), depth] = [
                    _action(policy, limits or Limits(), cause, blamed, again, depth) for cause in CAUSES
                ]
    return table


def _action(policy: Policy, limits: Limits, cause: Cause, blamed: bool, again: bool, depth: int) -> Action:
    if policy.responder is Responder.PIPELINE:
        return decided(limits, cause, blamed, again, depth)
    if depth >= policy.person_after:
        return Action.PERSON
    return Action.EXCLUDE if blamed and policy.excludes else Action.RESTART


def decided(limits: Limits, cause: Cause, blamed: bool, again: bool, fruitless: int) -> Action:
    """Return what ClusterWatch does about a job that *cause* is said to have stopped.

    *fruitless* attempts in a row, this one included, made no new step; with *again* they all died the same way.
    """
    attempts = tuple(_attempt(number, again, fruitless) for number in range(fruitless + 1))
    job = replace(_JOB, attempt=len(attempts))
    suspects = (Suspect(Component(ComponentKind.NODE, _NODES[1], _NODES[1]), 1.0),) if blamed else ()
    diagnosis = Diagnosis("inc-1", 1, cause, _SURE, (), suspects, (), (), "", "", _NOW, node_confirmed=blamed)
    situation = Situation(_INCIDENT, diagnosis, job, attempts, (_SAVED,))
    policy = replace(limits.policy, modes={**limits.policy.modes, _ACTUATOR: Mode.AUTO})
    return _read(decide(situation, policy, _NOW))


def _read(decision: Decision) -> Action:
    kinds = {step.kind for step in decision.steps}
    if StepKind.REQUEUE not in kinds:
        return Action.PERSON
    return Action.EXCLUDE if kinds & {StepKind.EXCLUDE, StepKind.DRAIN} else Action.RESTART


def _attempt(number: int, again: bool, fruitless: int) -> Attempt:
    ended = _NOW - timedelta(minutes=5 * (fruitless - number))
    return Attempt(
        _JOB.id,
        number + 1,
        ended - timedelta(minutes=4),
        ended_at=ended,
        first_step=1,
        first_new_step_at=ended - timedelta(minutes=1) if number == 0 else None,
        exit_code=1,
        fingerprint="the same" if again else str(number),
    )


_JOB = Job("what-if", "what-if", JobState.INTERRUPTED, _NOW, _NOW, nodes=_NODES, actuator=_ACTUATOR, highest_step=100)
_INCIDENT = Incident("inc-1", IncidentState.DIAGNOSED, _NOW, _NOW, _NOW, ())
_SAVED = Checkpoint(_JOB.id, 90, "/checkpoints/90", "dcp", complete=True, verified=True, saved_at=_NOW)
