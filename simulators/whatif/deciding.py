"""What a policy does in every situation there can be, asked once, as a table.

For ClusterWatch itself the answers come from the very function that decides in the daemon: a diagnosis, a job that is
down and its attempts so far are made up for each situation, and the steps of the decision are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from importlib import resources

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
    Step,
    StepKind,
    StepState,
    Suspect,
)
from clusterwatch.pipeline import Limits, Situation, compile_policy, decide
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


Answer = tuple[Action, float]
"""What is done, and how old the checkpoint must be that the job resumes from, in seconds; 0 for the newest."""


@dataclass(frozen=True, slots=True)
class Actions:
    """Answers by (cause diagnosed, 1 if a node is blamed, 1 if the same part struck before, depth)."""

    what: NDArray[np.int64]
    back_seconds: NDArray[np.float64]


def action_table(policy: Policy, rules: str = "") -> Actions:
    """Return what *policy* does in every situation; *rules* is TOML instead of the rules that it names.

    The depth counts attempts in a row without a new step for ClusterWatch, and strikes of one part for the others.

    Raises:
        ConfigError: The rules have mistakes.
    """
    shape = (len(CAUSES), 2, 2, DEPTHS)
    table = Actions(np.zeros(shape, dtype=np.int64), np.zeros(shape))
    limits = _limits(policy, rules) if policy.responder is Responder.PIPELINE else None
    for place in np.ndindex(shape):
        cause, blamed, again, depth = place
        answer = (
            _scripted(policy, bool(blamed), depth)
            if limits is None
            else decided(limits, CAUSES[cause], bool(blamed), bool(again), depth)
        )
        table.what[place], table.back_seconds[place] = answer
    return table


def _limits(policy: Policy, rules: str) -> Limits:
    built_in = built_in_rules()
    compiled = compile_policy("--rules" if rules else policy.rules, rules or built_in[policy.rules], built_in)
    limits = Limits()
    brakes = limits.policy
    return replace(limits, policy=replace(brakes, policy=compiled, modes={**brakes.modes, _ACTUATOR: Mode.AUTO}))


def built_in_rules() -> Mapping[str, str]:
    """Return the rules that come with ClusterWatch, as TOML by name."""
    folder = resources.files("clusterwatch") / "policy" / "builtin"
    return {
        file.name.removesuffix(".toml"): file.read_text(encoding="utf-8")
        for file in sorted(folder.iterdir(), key=lambda file: file.name)
        if file.name.endswith(".toml")
    }


def _scripted(policy: Policy, blamed: bool, depth: int) -> Answer:
    if depth >= policy.person_after:
        return Action.PERSON, 0.0
    return (Action.EXCLUDE if blamed and policy.excludes else Action.RESTART), 0.0


def decided(limits: Limits, cause: Cause, blamed: bool, again: bool, fruitless: int) -> Answer:
    """Return what ClusterWatch does about a job that *cause* is said to have stopped.

    *fruitless* attempts in a row, this one included, made no new step; with *again* they all died the same way.
    """
    attempts = tuple(_attempt(number, again, fruitless) for number in range(fruitless + 1))
    job = replace(_JOB, attempt=len(attempts))
    recent = tuple(_restart_before(number, cause) for number in range(fruitless)) if again else ()
    suspects = (Suspect(Component(ComponentKind.NODE, _NODES[1], _NODES[1]), 1.0),) if blamed else ()
    diagnosis = Diagnosis("inc-1", 1, cause, _SURE, (), suspects, (), (), "", "", _NOW, node_confirmed=blamed)
    situation = Situation(_INCIDENT, diagnosis, job, attempts, _SAVED)
    situation = replace(situation, cluster=replace(situation.cluster, recent=recent))
    return _read(decide(situation, limits.policy, _NOW))


def _read(decision: Decision) -> Answer:
    steps = {step.kind: step for step in decision.steps}
    if StepKind.REQUEUE not in steps or decision.mode is not Mode.AUTO:
        return Action.PERSON, 0.0
    chosen = steps[StepKind.REQUEUE].arguments.get("step")
    saved_at = next((saved.saved_at for saved in _SAVED if saved.step == chosen), _SAVED[0].saved_at)
    back = (_NOW - saved_at) / timedelta(seconds=1)
    return (Action.EXCLUDE if steps.keys() & {StepKind.EXCLUDE, StepKind.DRAIN} else Action.RESTART), back


def _restart_before(number: int, cause: Cause) -> Decision:
    made_at = _NOW - timedelta(minutes=5 * (number + 1))
    step = Step(f"s{number}", f"d{number}", 1, StepKind.REQUEUE, _ACTUATOR, _JOB.id, {}, made_at, StepState.DONE)
    return Decision(
        f"d{number}", "inc-0", 1, _JOB.id, Mode.AUTO, "", made_at, (step,), attempt=number, cause=cause.value
    )


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
# Old ones first, the newest just saved: which of them is chosen tells how far a decision goes back.
_SAVED = tuple(
    Checkpoint(
        _JOB.id, 1000 - age, f"/{age}", "dcp", complete=True, verified=True, saved_at=_NOW - timedelta(minutes=age)
    )
    for age in (1440, 720, 480, 360, 240, 180, 120, 90, 60, 50, 45, 40, 35, 30, 25, 20, 15, 10, 5, 2, 1, 0)
)
