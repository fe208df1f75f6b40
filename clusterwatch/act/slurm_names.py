"""What may become an argument of one of Slurm's commands; everything else is refused before a command is run."""

from __future__ import annotations

import re

from clusterwatch.errors import ActionError
from clusterwatch.model import Cause, Step

# No character of a shell or of Slurm's own (lists, ranges, options, key=value). Host names of RFC 1123 are among them.
_NODE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?")
_JOB = re.compile(r"slurm-([1-9][0-9]{0,9})")
_STEP = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+-]{0,199}")
_INCIDENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_CAUSES = frozenset(cause.value for cause in Cause)

MARK = "[clusterwatch]"
"""How everything begins that ClusterWatch writes into Slurm."""


def job_number(step: Step) -> int:
    """Return the number of the job that *step* is about.

    Raises:
        ActionError: Its target is no job of Slurm.
    """
    found = _JOB.fullmatch(step.target)
    if found is None:
        raise ActionError(f"{step.target!r} is no job of Slurm: expected slurm-NUMBER")
    return int(found[1])


def node_name(value: object) -> str:
    """Return *value*, the name of one node.

    Raises:
        ActionError: It could be more, or something else.
    """
    if not isinstance(value, str) or _NODE.fullmatch(value) is None:
        raise ActionError(
            f"{str(value)[:80]!r} is no name of a node: letters, digits, dots, dashes and underscores only"
        )
    return value


def node_of(step: Step) -> str:
    """Return the node that *step* is about.

    Raises:
        ActionError: It names none, or something that is no name.
    """
    return node_name(step.arguments.get("node") or step.target)


def step_id(step: Step) -> str:
    """Return the id of *step* as it is left in Slurm.

    Raises:
        ActionError: It holds characters that no id of ours has.
    """
    if _STEP.fullmatch(step.id) is None:
        raise ActionError(f"{step.id[:80]!r} is no id of a step")
    return step.id


def reason(step: Step) -> str:
    """Return what is written on a node: "[clusterwatch] faulty_gpu inc=inc-12ab dec-12ab-1-slurm-7-1.4"."""
    cause = str(step.arguments.get("cause") or "")
    incident = str(step.arguments.get("incident") or _incident(step))
    parts = [MARK, cause if cause in _CAUSES else Cause.UNKNOWN.value]
    if _INCIDENT.fullmatch(incident):
        parts.append(f"inc={incident}")
    return " ".join((*parts, step_id(step)))


def is_ours(text: str) -> bool:
    """Return whether ClusterWatch wrote *text*."""
    return text.startswith(f"{MARK} ")


def holds_id(text: str, step: Step) -> bool:
    """Return whether the id of *step* stands in *text*, as a word of its own: "x.1" is not in "x.12"."""
    return step.id in text.split()


def attempt_mark(attempt: int, step: Step) -> str:
    """Return what is written on a job whose *attempt* ClusterWatch ended."""
    return f"{MARK} attempt={attempt} {step_id(step)}"


def with_mark(comment: str, mark: str) -> str:
    """Return an administrator's *comment* with *mark* in the place of an earlier one of ours."""
    others = comment.partition(MARK)[0].rstrip()
    return f"{others} {mark}" if others else mark


def has_mark(comment: str, attempt: int) -> bool:
    """Return whether *comment* says that ClusterWatch ended *attempt*."""
    return f"{MARK} attempt={attempt} " in comment


def _incident(step: Step) -> str:
    parts = step.decision_id.split("-")
    return f"inc-{parts[1]}" if len(parts) > 2 and parts[0] == "dec" else ""
