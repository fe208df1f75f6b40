"""Causes, states, times and shares to the words that the page says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from clusterwatch.model import Cause, IncidentState, JobState, Mode, NodeState, StepKind, StepState

DASH = "-"
"""What stands where nothing is known."""

CAUSES: dict[Cause, str] = {
    Cause.FAULTY_GPU: "Faulty GPU",
    Cause.GPU_NVLINK: "GPU link (NVLink) failed",
    Cause.GPU_HBM: "GPU memory (HBM) failed",
    Cause.GPU_SRAM: "GPU on-chip memory (SRAM) failed",
    Cause.GPU_GSP: "GPU system processor (GSP) failed",
    Cause.GPU_THERMAL: "GPU too hot",
    Cause.SILENT_DATA_CORRUPTION: "Silent data corruption",
    Cause.NETWORK_SWITCH_CABLE: "Network switch or cable",
    Cause.NIC: "Network card (NIC)",
    Cause.CPU: "CPU failed",
    Cause.SYSTEM_MEMORY: "System memory failed",
    Cause.SSD: "Disk (SSD) failed",
    Cause.POWER_SUPPLY: "Power supply",
    Cause.SERVER_CHASSIS: "Server chassis",
    Cause.IO_EXPANSION_BOARD: "I/O expansion board",
    Cause.HOST_MAINTENANCE: "Unplanned host maintenance",
    Cause.PLANNED_MAINTENANCE: "Planned maintenance",
    Cause.PREEMPTION_OR_OPERATOR: "Preempted, or stopped by an operator",
    Cause.SOFTWARE_BUG: "Bug in the training code",
    Cause.OOM_GPU: "Out of GPU memory",
    Cause.OOM_HOST: "Out of host memory",
    Cause.DEPENDENCY: "A service the job depends on",
    Cause.STORAGE: "Storage",
    Cause.NCCL_TIMEOUT_UNKNOWN: "Collective timed out, cause unknown",
    Cause.UNKNOWN: "Cause unknown",
    Cause.BENIGN: "Nothing is wrong",
}

INCIDENT_STATES: dict[IncidentState, str] = {
    IncidentState.OPEN: "just opened",
    IncidentState.SETTLING: "collecting evidence",
    IncidentState.DIAGNOSED: "diagnosed",
    IncidentState.ACTING: "acting",
    IncidentState.RECOVERING: "recovering",
    IncidentState.CLOSED: "closed",
    IncidentState.REOPENED: "reopened",
    IncidentState.MERGED: "merged into another",
}

JOB_STATES: dict[JobState, str] = {
    JobState.STARTING: "starting",
    JobState.TRAINING: "training",
    JobState.INTERRUPTED: "interrupted",
    JobState.RECOVERING: "recovering",
    JobState.COMPLETED: "completed",
    JobState.STOPPED: "stopped",
}

NODE_STATES: dict[NodeState, str] = {
    NodeState.IN_SERVICE: "in service",
    NodeState.SUSPECT: "suspect",
    NodeState.DRAINED: "drained",
    NodeState.SILENT: "silent",
}

MODES: dict[Mode, str] = {
    Mode.OBSERVE: "Would do, but only observes",
    Mode.SUGGEST: "Suggested",
    Mode.APPROVE: "Waits for approval",
    Mode.AUTO: "Automatic",
}

STEPS: dict[StepKind, str] = {
    StepKind.HOLD: "Hold the job",
    StepKind.EXCLUDE: "Leave the node out of the job",
    StepKind.READMIT: "Let the job use the node again",
    StepKind.DRAIN: "Drain the node",
    StepKind.CHOOSE_CHECKPOINT: "Choose the checkpoint",
    StepKind.REQUEUE: "Restart the job",
    StepKind.RELEASE: "Release the node",
    StepKind.VERIFY: "Check that it helped",
    StepKind.ASK: "Ask a person",
    StepKind.STOP: "Stop the job for good",
    StepKind.RESET: "Reset the GPUs of the node",
    StepKind.REBOOT: "Reboot the node",
    StepKind.CHECK: "Check the node",
    StepKind.SURVEY: "Check all nodes of the job",
    StepKind.DUMP: "Ask the ranks what they wait for",
}

STEP_STATES: dict[StepState, str] = {
    StepState.RECORDED: "planned",
    StepState.BEGUN: "under way",
    StepState.DONE: "done",
    StepState.REFUSED: "refused",
    StepState.FAILED: "failed",
    StepState.CANCELLED: "cancelled",
    StepState.UNKNOWN: "unknown whether done",
}

_SURE = ((0.9, "nearly certain"), (0.7, "likely"), (0.4, "leaning towards it"), (0.0, "unsure"))
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def confidence(share: float) -> str:
    """Return a confidence of 0-1 as a number and in words: "84 %, likely"."""
    return f"{percent(share)}, {next(words for least, words in _SURE if share >= least)}"


def percent(share: float | None) -> str:
    """Return a share of 0-1 in per cent; DASH for None. Only the whole is 100 %."""
    if share is None:
        return DASH
    return f"{min(round(share * 100), 99) if share < 1 else 100} %"


def duration(span: timedelta) -> str:
    """Return *span* in its largest unit, cut: "3 min"; what is negative counts as nothing."""
    seconds = max(span / timedelta(seconds=1), 0.0)
    size, unit = next((pair for pair in _UNITS if seconds >= pair[0]), _UNITS[-1])
    return f"{int(seconds // size)} {unit}"


def ago(at: datetime | None, now: datetime) -> str:
    """Return how long before *now* it was; DASH for None."""
    return DASH if at is None else f"{duration(now - at)} ago"


def stamp(at: datetime | None) -> str:
    """Return date and time to the second, UTC; DASH for None."""
    return DASH if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def amount(count: int, noun: str) -> str:
    """Return "1 job", "2 jobs", "1,024 jobs"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
