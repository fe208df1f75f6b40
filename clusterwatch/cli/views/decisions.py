"""Decisions to what was done: the reason, and each step with its state and time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from clusterwatch.cli.output import encode
from clusterwatch.cli.page import Phrase, Table, Tone
from clusterwatch.cli.wording import clock_time, or_dash, stamp
from clusterwatch.model import Decision, Step, StepState

_TONE = {
    StepState.DONE: Tone.GOOD,
    StepState.REFUSED: Tone.BAD,
    StepState.FAILED: Tone.BAD,
    StepState.UNKNOWN: Tone.BAD,
    StepState.CANCELLED: Tone.QUIET,
}


def decision_json(decision: Decision) -> dict[str, Any]:
    """Return *decision* with its steps in order."""
    answer: dict[str, Any] = encode(decision)
    return answer


def decision_parts(decisions: Sequence[Decision]) -> tuple[str | Phrase | Table, ...]:
    """Return decisions, oldest first, each followed by its steps."""
    parts: list[str | Phrase | Table] = []
    for decision in decisions:
        parts.append(f"{stamp(decision.made_at)} decided ({decision.mode.value}): {decision.reason}")
        if decision.steps:
            parts.append(Table(("AT", "STATE", "STEP", "ON", "WITH", "DETAIL"), tuple(map(_row, decision.steps))))
    return tuple(parts)


def _row(step: Step) -> tuple[str | Phrase, ...]:
    # The reason stands above the steps already.
    told = {name: value for name, value in step.arguments.items() if name != "reason" and value not in (None, "")}
    with_what = ", ".join(f"{name}={value}" for name, value in told.items())
    return (
        clock_time(step.changed_at),
        Phrase(step.state.value, _TONE.get(step.state, Tone.PLAIN)),
        step.kind.value,
        or_dash(step.target),
        or_dash(with_what),
        or_dash(step.detail),
    )
