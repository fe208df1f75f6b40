"""From where a job goes on, to lines that a shell can evaluate: fixed names, quoted values, or nothing at all."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping

from clusterwatch.errors import ClusterWatchError
from clusterwatch.model import Decision, StepKind, StepState
from clusterwatch.reading.text import printable

LONGEST_PATH = 4096
"""PATH_MAX of Linux; longer is no path."""

VARIABLES = {
    "CLUSTERWATCH_JOB_ID": "Id of the job, the same for all attempts.",
    "CLUSTERWATCH_ATTEMPT": "Number of this attempt, from 1.",
    "CLUSTERWATCH_RESUME_CHECKPOINT": "Path of the checkpoint to resume from; empty to begin anew.",
    "CLUSTERWATCH_RESUME_STEP": "Training step of that checkpoint; 0 when there is none.",
    "CLUSTERWATCH_RESUME_EXCLUDE": "Nodes that were left out for this attempt, separated by commas.",
}
"""What is printed, and what each variable means; the first four as `clusterwatch run` sets them."""


def resume_values(job_id: str, attempt: int, decisions: Iterable[Decision]) -> Mapping[str, str] | None:
    """Return the value of each of `VARIABLES` for *attempt*; None where nothing was decided for it.

    Args:
        job_id: Id of the job.
        attempt: The one that is about to run, from 1.
        decisions: Of the job, newest first.

    Raises:
        ClusterWatchError: A value cannot be trusted in a shell or a script: none is given then.
    """
    decision = next((each for each in decisions if _is_for(each, attempt)), None)
    if decision is None:
        return None
    chosen = next(step for step in decision.steps if step.kind is StepKind.CHOOSE_CHECKPOINT)
    excluded = [
        str(step.arguments.get("node") or "")
        for step in decision.steps
        if step.kind is StepKind.EXCLUDE and step.state is StepState.DONE
    ]
    number = chosen.arguments.get("step") or 0
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise ClusterWatchError(f"the step of the chosen checkpoint is no number: {printable(str(number), 80)}")
    path = str(chosen.arguments.get("checkpoint") or "")
    values = (job_id, str(attempt), path, str(number), ",".join(excluded))
    return {name: _trusted(name, value) for name, value in zip(VARIABLES, values, strict=True)}


def shell_lines(values: Mapping[str, str]) -> str:
    """Return *values* as lines for `eval` of any POSIX shell."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in values.items())


def _is_for(decision: Decision, attempt: int) -> bool:
    """Whether *decision* is what *attempt* is the outcome of, and its checkpoint was chosen for good."""
    chosen = {step.kind for step in decision.steps if step.state is StepState.DONE}
    planned = {step.kind for step in decision.steps}
    is_restart = StepKind.REQUEUE in planned and StepKind.CHOOSE_CHECKPOINT in chosen
    return is_restart and decision.attempt is not None and decision.attempt + 1 == attempt


def _trusted(name: str, value: str) -> str:
    """Return *value* as it is.

    Raises:
        ClusterWatchError: It holds control characters, or more than any path.
    """
    if len(value) > LONGEST_PATH or printable(value, LONGEST_PATH) != value or "\t" in value:
        shown = printable(value, 80)
        raise ClusterWatchError(f"{name} holds control characters or is too long, so nothing is printed: {shown}")
    return value
