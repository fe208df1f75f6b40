"""Jobs, nodes and reservations as Slurm tells of them, in JSON or in text, of 22.05 to 25.11."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from clusterwatch.reading.hostlists import slurm_nodes
from clusterwatch.reading.slurm_values import (
    UnreadableError,
    blocks,
    document,
    exit_code_in,
    number_in,
    text_in,
    time_in,
    words_in,
)

_RUNNABLE_STATES = frozenset({"PENDING", "RUNNING", "SUSPENDED"})

ENDED_STATES = frozenset(
    {
        "COMPLETED",
        "CANCELLED",
        "FAILED",
        "TIMEOUT",
        "NODE_FAIL",
        "PREEMPTED",
        "BOOT_FAIL",
        "DEADLINE",
        "OUT_OF_MEMORY",
    }
)
"""States of a job whose processes have ended, and which will not run again by itself."""

JOB_STATES = _RUNNABLE_STATES | ENDED_STATES
"""The states of which a job has exactly one; all others are flags beside it (https://slurm.schedmd.com/squeue.html)."""

_GPUS = re.compile(r"\bgres/gpu(?::[\w.-]+)?=(\d+)")
_GPUS_PER_NODE = re.compile(r"\bgpu(?::[\w.-]+)?[:=](\d+)(?:,|$)")
_REASON = re.compile(r"(?P<reason>.*?)(?: \[(?P<by>[^\[\]@]*)@(?P<at>[^\[\]]*)\])?", re.DOTALL)
_PATTERN = re.compile(r"%(\d{0,4})([A-Za-z%])")


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmJob:
    """A job as it stands in the queue.

    Attributes:
        state: One of `JOB_STATES`; "COMPLETING" where an old Slurm tells no more.
        flags: Such as COMPLETING and REQUEUED.
        restarts: How often it was put back into the queue.
        nodes, excluded: Names, in the order of Slurm.
        exit_code: Of the batch script; negative for a signal, None where it is not told.
        is_held: It does not start before somebody releases it.
        gpus: That it holds or asked for; 0 where none are told.
        log_path: Of its standard output; "" where it is not told.
    """

    id: int
    name: str = ""
    user: str = ""
    user_id: int | None = None
    partition: str = ""
    state: str
    flags: frozenset[str] = frozenset()
    reason: str = ""
    restarts: int = 0
    nodes: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    submitted_at: datetime | None = None
    eligible_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    exit_code: int | None = None
    is_held: bool = False
    is_batch: bool = True
    may_requeue: bool = True
    gpus: int = 0
    log_path: str = ""
    admin_comment: str = ""

    @property
    def is_completing(self) -> bool:
        """Whether processes of it still end; what is set of a requeued job now is overwritten by Slurm."""
        return self.state == "COMPLETING" or "COMPLETING" in self.flags

    @property
    def has_ended(self) -> bool:
        """Whether it will not run again by itself."""
        return self.state in ENDED_STATES


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmNode:
    """A node as Slurm has it. *flags* hold DRAIN, NOT_RESPONDING, REBOOT_ISSUED and the like."""

    name: str
    state: str
    flags: frozenset[str] = frozenset()
    reason: str = ""
    reason_by: str = ""
    reason_at: datetime | None = None
    booted_at: datetime | None = None

    @property
    def is_drained(self) -> bool:
        """Whether no new job starts there because somebody, or something, said so."""
        return bool(self.flags & {"DRAIN", "DRAINED", "DRAINING"})

    @property
    def is_down(self) -> bool:
        """Whether Slurm gave it up."""
        return self.state in {"DOWN", "ERROR", "FAIL"}

    @property
    def responds(self) -> bool:
        """Whether slurmd there answers."""
        return not self.flags & {"NOT_RESPONDING", "NO_RESPOND"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmReservation:
    """Nodes set aside for a time. MAINT among the *flags* says that work on them is announced."""

    name: str
    nodes: tuple[str, ...]
    starts_at: datetime | None
    ends_at: datetime | None
    flags: frozenset[str] = field(default_factory=frozenset)


def jobs_in_json(text: str) -> tuple[SlurmJob, ...]:
    """Return the jobs in the answer of `squeue --json` or `scontrol show job --json`.

    Raises:
        UnreadableError: It is no such answer.
    """
    return tuple(_read(_job_of_json, record) for record in document(text, "jobs"))


def jobs_in_text(text: str) -> tuple[SlurmJob, ...]:
    """Return the jobs in the answer of `scontrol show job`, asked for in UTC.

    Raises:
        UnreadableError: It is no such answer.
    """
    if text.strip() == "No jobs in the system":
        return ()
    jobs = tuple(_read(_job_of_text, block) for block in blocks(text, "JobId"))
    # The name of a job may hold line breaks: what looks like another job's record may be written by anybody.
    if len({job.id for job in jobs}) < len(jobs):
        raise UnreadableError("a job is told twice: is a record part of another job's name?")
    return jobs


def nodes_in_json(text: str) -> tuple[SlurmNode, ...]:
    """Return the nodes in the answer of `scontrol show node --json` (23.02 and later).

    Raises:
        UnreadableError: It is no such answer.
    """
    records = document(text, "nodes")
    if not records:
        raise UnreadableError("not one node, and no cluster has none")
    return tuple(_read(_node_of_json, record) for record in records)


def nodes_in_text(text: str) -> tuple[SlurmNode, ...]:
    """Return the nodes in the answer of `scontrol show node`, asked for in UTC.

    Raises:
        UnreadableError: It is no such answer.
    """
    return tuple(_read(_node_of_text, block) for block in blocks(text, "NodeName"))


def reservations_in_json(text: str) -> tuple[SlurmReservation, ...]:
    """Return the reservations in the answer of `scontrol show reservation --json` (23.02 and later).

    Raises:
        UnreadableError: It is no such answer.
    """
    return tuple(_read(_reservation_of_json, record) for record in document(text, "reservations"))


def reservations_in_text(text: str) -> tuple[SlurmReservation, ...]:
    """Return the reservations in the answer of `scontrol show reservation`, asked for in UTC.

    Raises:
        UnreadableError: It is no such answer.
    """
    if text.strip() == "No reservations in the system":
        return ()
    return tuple(_read(_reservation_of_text, block) for block in blocks(text, "ReservationName"))


def _read(make: Any, record: Mapping[str, Any]) -> Any:
    try:
        return make(record)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableError(f"a record that is not as Slurm writes it: {str(record)[:120]!r}") from error


def _job_of_json(record: Mapping[str, Any]) -> SlurmJob:
    state, flags = _state(words_in(record["job_state"]))
    nodes, wanted = slurm_nodes(text_in(record.get("nodes"))), number_in(record.get("node_count"))
    job = SlurmJob(
        id=_whole(record["job_id"]),
        name=str(record.get("name") or ""),
        user=text_in(record.get("user_name")) or str(record.get("user_id") or ""),
        user_id=number_in(record.get("user_id")),
        partition=text_in(record.get("partition")),
        state=state,
        flags=flags,
        reason=text_in(record.get("state_reason")),
        restarts=number_in(record.get("restart_cnt")) or 0,
        nodes=nodes,
        excluded=slurm_nodes(text_in(record.get("excluded_nodes"))),
        submitted_at=time_in(record.get("submit_time")),
        eligible_at=time_in(record.get("eligible_time")),
        started_at=time_in(record.get("start_time")),
        ended_at=time_in(record.get("end_time")),
        exit_code=exit_code_in(record.get("exit_code")),
        is_held=bool(record.get("hold")) or number_in(record.get("priority")) == 0,
        is_batch=bool(record.get("batch_flag", True)),
        may_requeue=bool(record.get("requeue", True)),
        gpus=_gpus(record.get("tres_alloc_str"), record.get("tres_per_node"), len(nodes) or wanted or 1),
        admin_comment=text_in(record.get("admin_comment")),
    )
    pattern = text_in(record.get("stdout_expanded")) or text_in(record.get("standard_output"))
    return _with_log(job, pattern, text_in(record.get("current_working_directory")))


def _job_of_text(block: Mapping[str, str]) -> SlurmJob:
    state, flags = _state(words_in(block["JobState"]))
    nodes = slurm_nodes(block.get("NodeList", ""))
    job = SlurmJob(
        id=_whole(block["JobId"]),
        name=block["JobName"],
        user=block["UserId"].partition("(")[0],
        user_id=number_in(block["UserId"].partition("(")[2].rstrip(")")),
        partition=text_in(block.get("Partition")),
        state=state,
        flags=flags,
        reason=text_in(block.get("Reason")),
        restarts=_whole(block["Restarts"]),
        nodes=nodes,
        excluded=slurm_nodes(block.get("ExcNodeList", "")),
        submitted_at=time_in(block.get("SubmitTime")),
        eligible_at=time_in(block.get("EligibleTime")),
        started_at=time_in(block.get("StartTime")),
        ended_at=time_in(block.get("EndTime")),
        exit_code=exit_code_in(block.get("ExitCode")),
        is_held=block.get("Priority") == "0",
        is_batch=block.get("BatchFlag") != "0",
        may_requeue=block.get("Requeue") != "0",
        gpus=_gpus(block.get("AllocTRES") or block.get("TRES"), block.get("TresPerNode"), len(nodes) or 1),
        admin_comment=text_in(block.get("AdminComment")),
    )
    return _with_log(job, text_in(block.get("StdOut")), text_in(block.get("WorkDir")))


def _state(words: tuple[str, ...]) -> tuple[str, frozenset[str]]:
    """Return the one state among *words* and the flags beside it."""
    state = next((word for word in words if word in JOB_STATES), words[0] if words else "")
    if not state:
        raise ValueError("no state")
    return state, frozenset(words) - {state}


def _gpus(held: object, per_node: object, nodes: int) -> int:
    found = [int(count) for count in _GPUS.findall(text_in(held))]
    if found:
        # The untyped total comes first; a type of its own repeats it.
        return max(found)
    asked = _GPUS_PER_NODE.search(text_in(per_node))
    return int(asked[1]) * nodes if asked else 0


def _with_log(job: SlurmJob, pattern: str, folder: str) -> SlurmJob:
    """Return *job* with the path of its output; one pattern that cannot be known outside of the job leaves it out."""
    known = {"j": str(job.id), "A": str(job.id), "x": job.name, "u": job.user, "%": "%"}
    if not pattern or any(letter not in known for _, letter in _PATTERN.findall(pattern)):
        return job
    path = _PATTERN.sub(lambda found: known[found[2]].zfill(min(int(found[1] or 0), 10)), pattern)
    return replace(job, log_path=path if path.startswith("/") else f"{folder.rstrip('/')}/{path}")


def _node_of_json(record: Mapping[str, Any]) -> SlurmNode:
    state, *flags = (*words_in(record["state"]), *words_in(record.get("state_flags") or []))
    return SlurmNode(
        name=_name(record["name"]),
        state=state,
        flags=frozenset(flags),
        reason=text_in(record.get("reason")),
        reason_by=text_in(record.get("reason_set_by_user")),
        reason_at=time_in(record.get("reason_changed_at")),
        booted_at=time_in(record.get("boot_time")),
    )


def _node_of_text(block: Mapping[str, str]) -> SlurmNode:
    state, *flags = words_in(block["State"])
    said = _REASON.fullmatch(block.get("Reason", ""))
    assert said is not None
    return SlurmNode(
        name=_name(block["NodeName"]),
        state=state,
        flags=frozenset(flags),
        reason=text_in(said["reason"]),
        reason_by=text_in(said["by"]),
        reason_at=time_in(said["at"]),
        booted_at=time_in(block.get("BootTime")),
    )


def _reservation_of_json(record: Mapping[str, Any]) -> SlurmReservation:
    return SlurmReservation(
        name=_name(record["name"]),
        nodes=slurm_nodes(text_in(record.get("node_list"))),
        starts_at=time_in(record.get("start_time")),
        ends_at=time_in(record.get("end_time")),
        flags=frozenset(words_in(record.get("flags") or [])),
    )


def _reservation_of_text(block: Mapping[str, str]) -> SlurmReservation:
    return SlurmReservation(
        name=_name(block["ReservationName"]),
        nodes=slurm_nodes(block.get("Nodes", "")),
        starts_at=time_in(block.get("StartTime")),
        ends_at=time_in(block.get("EndTime")),
        flags=frozenset(words_in(block.get("Flags", "").split(","))),
    )


def _name(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("no name")
    return value


def _whole(value: object) -> int:
    number = number_in(value)
    if number is None:
        raise ValueError("no number")
    return number
