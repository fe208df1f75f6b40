"""A training job, its incarnations, where its ranks run, and what interrupted it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache

from clusterwatch.model.same import Same


def names_in(nodes: tuple[str, ...]) -> frozenset[str]:
    """Return *nodes*, the thousands of names of a job, as a set: each turn asks whether some are among them."""
    return _names_in(Same(nodes))


@lru_cache(maxsize=256)
def _names_in(nodes: Same[tuple[str, ...]]) -> frozenset[str]:
    return frozenset(nodes.value)


def names_of_jobs(jobs: Iterable[Job]) -> frozenset[str]:
    """Return the names of the nodes of all *jobs*."""
    names = [names_in(job.nodes) for job in jobs]
    # There is one most of the time, and thousands of names in it.
    return names[0] if len(names) == 1 else frozenset[str]().union(*names)


class JobState(StrEnum):
    """Where a job is in its life."""

    STARTING = "starting"
    TRAINING = "training"
    INTERRUPTED = "interrupted"
    RECOVERING = "recovering"
    COMPLETED = "completed"
    STOPPED = "stopped"


ENDED_JOB_STATES = frozenset({JobState.COMPLETED, JobState.STOPPED})


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A saved state of a job.

    Attributes:
        step: Training step it holds.
        format: "dcp", "megatron", "deepspeed", "huggingface", "manifest" or "file"; "reported" where only the job
            itself says that it is there.
        complete: Nothing of it is missing or cut short.
        verified: Its sizes or markers were checked, not only its presence.
        problem: Why it is not complete; "" when it is.
        stall_seconds: How long saving it stopped training; 0 where that is not known or nothing.
        save_seconds, load_seconds: How long saving it took, and loading it the last time; 0 where that is not known.
    """

    job_id: str
    step: int
    path: str
    format: str
    complete: bool
    verified: bool
    saved_at: datetime
    size_bytes: int = 0
    problem: str = ""
    stall_seconds: float = 0.0
    save_seconds: float = 0.0
    load_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job had come at one time. *step_seconds* is the time of one step; None where unknown."""

    job_id: str
    attempt: int
    step: int
    at: datetime
    loss: float | None = None
    tokens: float | None = None
    step_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Placement:
    """(attempt, rank) -> where it runs. *groups* maps a parallel dimension ("dp", "tp", "pp") to its index."""

    job_id: str
    attempt: int
    rank: int
    node: str
    gpu: str = ""
    pid: int | None = None
    groups: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One incarnation of a job.

    Attributes:
        number: 1 for the first.
        running_at: Its processes run; first_step_at: its first step ended; UTC, None until it happened.
        communicators_ready_at, checkpoint_loading_at, checkpoint_loaded_at: Before its first step, where lines tell.
        resumed_step: Step of the checkpoint it started from; 0 from scratch.
        first_step, last_step: Steps it reported; None before the first.
        slowed_at: Since when its steps take longer than the job's normal ones; None while they do not.
        loss_went_wrong_at: When its loss last jumped, or was no number; None while it did not.
        first_new_step_at: End of its first step beyond the highest the job had ever done.
        interrupted_at: The first event of what interrupted it; decided_at: when the plan for that was recorded.
        hung: Its processes still ran when it stopped making progress.
        exit_code: Of the supervised command; negative for a signal, None while it runs.
        fingerprint: What it died of (exception and place), to notice a crash that repeats; "". fingerprint_at: when
            that was seen; steps made long after show that it did not die of it.
        nodes: Names of its nodes in the order of its ranks, where a scheduler told them together with how many ranks
            run on each, *ranks_per_node*; () and 0 where none did.
    """

    job_id: str
    number: int
    started_at: datetime
    running_at: datetime | None = None
    first_step_at: datetime | None = None
    ended_at: datetime | None = None
    resumed_step: int = 0
    resumed_checkpoint: str = ""
    first_step: int | None = None
    last_step: int | None = None
    last_step_at: datetime | None = None
    slowed_at: datetime | None = None
    loss_went_wrong_at: datetime | None = None
    first_new_step_at: datetime | None = None
    interrupted_at: datetime | None = None
    decided_at: datetime | None = None
    hung: bool = False
    exit_code: int | None = None
    fingerprint: str = ""
    fingerprint_at: datetime | None = None
    nodes: tuple[str, ...] = ()
    ranks_per_node: int = 0
    communicators_ready_at: datetime | None = None
    checkpoint_loading_at: datetime | None = None
    checkpoint_loaded_at: datetime | None = None

    def placement(self, rank: int) -> Placement | None:
        """Return where *rank* runs by the scheduler's word; None where it said nothing of it."""
        place = rank // self.ranks_per_node if self.ranks_per_node > 0 else len(self.nodes)
        if not 0 <= place < len(self.nodes):
            return None
        return Placement(self.job_id, self.number, rank, self.nodes[place])


class Edge(StrEnum):
    """A moment of an interruption that is stored; every lost reason is the span between two of them, in order."""

    LAST_STEP = "last_step"
    FIRST_EVENT = "first_event"
    DECIDED = "decided"
    ACCEPTED = "accepted"
    RUNNING = "running"
    COMMUNICATORS_READY = "communicators_ready"
    CHECKPOINT_LOADED = "checkpoint_loaded"
    FIRST_REPEATED_STEP = "first_repeated_step"
    FIRST_NEW_STEP = "first_new_step"


@dataclass(frozen=True, slots=True)
class Interruption:
    """A span in which a job that should train does not: from its last step to its first step beyond.

    Attributes:
        edges: The stored moments that have happened so far.
        highest_step: Highest step the job had ever done when it was interrupted.
        processes_ran: The processes still ran when it was noticed: the lost time is a hang, not a crash.
    """

    id: str
    job_id: str
    attempt: int
    incident_id: str | None
    planned: bool
    highest_step: int
    edges: Mapping[Edge, datetime] = field(default_factory=dict)
    processes_ran: bool = False

    @property
    def is_over(self) -> bool:
        """Whether the job trains beyond its highest step again."""
        return Edge.FIRST_NEW_STEP in self.edges


PASSES_TO_CLEAR = 2
"""So many checks in a row clear a node that was left out."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A node that ClusterWatch leaves out of a job until it is cleared.

    A check finds what is broken in seven of ten cases: one that is passed says little, `PASSES_TO_CLEAR` in a row do.

    Attributes:
        attempt: The job's last one with it.
        incident_id, cause: Why.
        cleared_at: When it had passed enough checks, or was given back to service; None before.
        checked_at: When it was checked last; None before.
        failures: How many checks it did not pass.
        passes: How many it passed since, in a row.
    """

    node: str
    since: datetime
    attempt: int
    incident_id: str = ""
    cause: str = ""
    cleared_at: datetime | None = None
    checked_at: datetime | None = None
    failures: int = 0
    passes: int = 0

    @property
    def passes_to_clear(self) -> int:
        """How many checks in a row clear it: what fails now and then needs the more of them."""
        return PASSES_TO_CLEAR + self.failures


@dataclass(frozen=True, slots=True)
class Job:
    """A training job as it stands.

    Attributes:
        nodes: Names of the nodes it runs on, sorted.
        gpus: GPUs it holds (CPU ranks count where there is no GPU).
        actuator: Name of the actuator that can act on it; "" when none can.
        highest_step: Highest step ever done; 0 before the first.
        step_seconds: The job's own normal step time; None before it is known.
        report_seconds: The normal time between two reports of progress: a job may print every hundredth step only.
        checkpoint_seconds: The normal time between two complete checkpoints; None before it is known.
        section: The named part that its training loop says it is in, "checkpoint" while it saves; "" for none.
        section_seconds: How long each part takes at most, as far as it was seen: (name, seconds).
        rank_lost_at: When a rank's process of the current attempt failed; None while none has, or when it was outlived.
        left_out: The nodes that ClusterWatch leaves out of it, in the order in which that was done.
        held: Why an operator or the policy keeps it from restarting; "" when it may.
        outcome: Why it ended, in words; "" while it has not.
    """

    id: str
    name: str
    state: JobState
    started_at: datetime
    updated_at: datetime
    command: tuple[str, ...] = ()
    user: str = ""
    nodes: tuple[str, ...] = ()
    gpus: int = 0
    actuator: str = ""
    checkpoint_dir: str = ""
    ended_at: datetime | None = None
    attempt: int = 0
    highest_step: int = 0
    last_step: int | None = None
    last_step_at: datetime | None = None
    step_seconds: float | None = None
    report_seconds: float | None = None
    loss: float | None = None
    last_checkpoint_step: int | None = None
    last_checkpoint_at: datetime | None = None
    checkpoint_seconds: float | None = None
    section: str = ""
    section_seconds: tuple[tuple[str, float], ...] = ()
    rank_lost_at: datetime | None = None
    left_out: tuple[LeftOut, ...] = ()
    held: str = ""
    outcome: str = ""
    simulated: bool = False

    @property
    def is_active(self) -> bool:
        """Whether the job still wants to train."""
        return self.state not in ENDED_JOB_STATES
