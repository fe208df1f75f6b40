"""What to do about a diagnosis: a plan of steps with its reason, and what became of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from clusterwatch.model.reading import Scalar


class Mode(StrEnum):
    """How far automation may go."""

    OBSERVE = "observe"
    SUGGEST = "suggest"
    APPROVE = "approve"
    AUTO = "auto"


class StepKind(StrEnum):
    """What a step does to the world."""

    HOLD = "hold"
    EXCLUDE = "exclude"
    READMIT = "readmit"
    DRAIN = "drain"
    CHOOSE_CHECKPOINT = "choose_checkpoint"
    REQUEUE = "requeue"
    RELEASE = "release"
    VERIFY = "verify"
    ASK = "ask"
    STOP = "stop"
    RESET = "reset"
    REBOOT = "reboot"
    CHECK = "check"
    SURVEY = "survey"
    DUMP = "dump"


NODE_STEP_KINDS = frozenset(
    {StepKind.DRAIN, StepKind.RESET, StepKind.REBOOT, StepKind.CHECK, StepKind.RELEASE, StepKind.VERIFY}
)
"""Steps on a node, whichever job it was about: they stay due when that job trains again."""


class StepState(StrEnum):
    """What became of a step. UNKNOWN: it was begun and the world cannot tell whether it was done."""

    RECORDED = "recorded"
    BEGUN = "begun"
    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


NEXT_STEP_STATES: dict[StepState, frozenset[StepState]] = {
    StepState.RECORDED: frozenset({StepState.BEGUN, StepState.CANCELLED, StepState.REFUSED}),
    StepState.BEGUN: frozenset({StepState.DONE, StepState.REFUSED, StepState.FAILED, StepState.UNKNOWN}),
    StepState.DONE: frozenset(),
    StepState.REFUSED: frozenset(),
    StepState.FAILED: frozenset(),
    StepState.CANCELLED: frozenset(),
    StepState.UNKNOWN: frozenset(),
}

ENDED_STEP_STATES = frozenset(state for state, following in NEXT_STEP_STATES.items() if not following)


class WorldState(StrEnum):
    """What the world says about a step that was begun before a crash."""

    DONE = "done"
    NOT_DONE = "not_done"
    CANNOT_TELL = "cannot_tell"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a plan.

    Attributes:
        id: Decision id and order; an actuator leaves it in the world where it can, so that it can be asked.
        actuator: Who carries it out, such as "local_process"; target: on what, such as a job id.
        arguments: Values the actuator needs ("attempt", "checkpoint", "step").
        not_after: Acting on it later would be acting on stale evidence.
    """

    id: str
    decision_id: str
    order: int
    kind: StepKind
    actuator: str
    target: str
    arguments: Mapping[str, Scalar]
    not_after: datetime
    state: StepState = StepState.RECORDED
    changed_at: datetime | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """A plan for one diagnosis revision, with its reason.

    *job_id* and *attempt* are what it is about; None when it is about no job. *policy* and *rule* say what decided,
    *cause* what was diagnosed by then, *considered* what else could have been done and why it was not.
    """

    id: str
    incident_id: str
    revision: int
    job_id: str | None
    mode: Mode
    reason: str
    made_at: datetime
    steps: tuple[Step, ...] = ()
    attempt: int | None = None
    policy: str = ""
    rule: str = ""
    cause: str = ""
    considered: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What carrying out a step gave. *state* is DONE, REFUSED, FAILED or UNKNOWN."""

    step_id: str
    state: StepState
    at: datetime
    detail: str = ""
    facts: Mapping[str, Scalar] = field(default_factory=dict)
