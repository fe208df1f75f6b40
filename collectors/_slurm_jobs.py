"""A job as it was and as it is in the queue, to readings of its attempts.

1. Attempt n is the n-th incarnation: how often Slurm put the job back into the queue, plus one.
2. A job that failed is not over: it can be put back into the queue for as long as Slurm remembers it.
3. A job that is not in an answer is not gone: it has to be missing for `MISSING_FOR`, in more than one look.
4. A completed or cancelled job is over one look after the end of its attempt: until then its last words are read.
5. What says less than before (fewer restarts, no state that is known) is not believed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from clusterwatch.model import LINE, JobState, Reading, Scalar, kinds
from clusterwatch.reading.slurm import SlurmJob, SlurmNode
from clusterwatch.reading.text import printable
from collectors._slurm_nodes import OWN_MARK, Look, standing

PENDING, RUNNING, DOWN, OVER = "pending", "running", "down", "over"
MISSING_FOR = timedelta(seconds=30)

_RUNS = frozenset({"RUNNING", "SUSPENDED"})
# After these nobody wants the job to run again.
_FINAL = {"COMPLETED": JobState.COMPLETED, "CANCELLED": JobState.STOPPED, "DEADLINE": JobState.STOPPED}


@dataclass(frozen=True, slots=True)
class Followed:
    """What one look leaves for the next about a job; *phase* is pending, running, down (may be requeued) or over."""

    attempt: int
    phase: str
    nodes: tuple[str, ...] = ()
    missing_since: str = ""
    last_state: str = ""

    @staticmethod
    def of(stored: object) -> Followed | None:
        """Return what was stored by `stored`; None where nothing was, or what cannot be read."""
        if not isinstance(stored, Mapping):
            return None
        try:
            known = Followed(**{str(key): value for key, value in stored.items()})
            return replace(known, nodes=tuple(known.nodes))
        except TypeError:
            return None

    def stored(self) -> dict[str, object]:
        """Return it as values that JSON can hold."""
        return {**asdict(self), "nodes": list(self.nodes)}


@dataclass(frozen=True, slots=True)
class Followers:
    """What all jobs of a look share: when, the nodes by name, and what is told of each job beside Slurm's words."""

    look: Look
    nodes: Mapping[str, SlurmNode]
    actuator: str
    checkpoint_dir: str = ""
    ranks_per_node: int = 0

    def followed(self, job: SlurmJob, known: Followed | None) -> tuple[Followed | None, list[Reading]]:
        """Return what to remember of *job*, None for nothing, and what changed."""
        if known is None or (known.phase == OVER and not job.has_ended):
            if known is None and self.look.is_first and job.has_ended:
                return Followed(job.restarts + 1, OVER), []
            known, told = Followed(0, PENDING), [self._job_started(job)]
        else:
            told = []
        if known.phase == OVER or job.restarts + 1 < known.attempt:
            return replace(known, missing_since=""), told
        now, more = self._moved(job, replace(known, missing_since=""))
        return now, told + more

    def missing(self, job_id: int, known: Followed) -> tuple[Followed | None, list[Reading]]:
        """Return what to remember of a job that is in the queue no more, None for nothing, and what that means."""
        if known.phase == OVER:
            return None, []
        since = datetime.fromisoformat(known.missing_since) if known.missing_since else self.look.now
        if not known.missing_since or self.look.now - since < MISSING_FOR:
            return replace(known, missing_since=since.isoformat()), []
        ghost = SlurmJob(id=job_id, state=known.last_state or "unknown", nodes=known.nodes)
        told = [self._attempt_ended(ghost, known, None)] if known.phase == RUNNING else []
        reason = f"it ended {known.last_state}, and Slurm has forgotten it" if known.last_state else "Slurm forgot it"
        return None, [*told, self._job_ended(ghost, JobState.STOPPED, reason)]

    def _moved(self, job: SlurmJob, known: Followed) -> tuple[Followed, list[Reading]]:
        told: list[Reading] = []
        attempt = job.restarts + 1
        if known.phase == DOWN and attempt > known.attempt:
            # It may have been given up meanwhile: whoever puts it back wants it followed anew.
            told.append(self._job_started(job))
        if known.phase == RUNNING and attempt > known.attempt:
            told += self._requeued_while_running(job, known)
            known = replace(known, phase=PENDING)
        if job.state in _RUNS and not job.is_completing:
            return self._runs(job, known, attempt, told)
        if job.has_ended:
            return self._has_ended(job, known, attempt, told)
        if known.phase == DOWN and attempt > known.attempt:
            known = replace(known, phase=PENDING)
        return known, told

    def _runs(
        self, job: SlurmJob, known: Followed, attempt: int, told: list[Reading]
    ) -> tuple[Followed, list[Reading]]:
        if known.phase != RUNNING:
            told += self._attempt_started(job, attempt)
        return Followed(attempt, RUNNING, job.nodes), told

    def _has_ended(
        self, job: SlurmJob, known: Followed, attempt: int, told: list[Reading]
    ) -> tuple[Followed, list[Reading]]:
        now = Followed(attempt, DOWN, job.nodes or known.nodes, last_state=job.state)
        if known.phase == DOWN and known.attempt == attempt:
            if job.state in _FINAL:
                told.append(self._job_ended(job, _FINAL[job.state], _ending(job)))
                now = replace(now, phase=OVER)
            return now, told
        if known.phase != RUNNING and job.nodes:  # it started and ended between two looks
            told += self._attempt_started(job, attempt)
        if known.phase == RUNNING or job.nodes:
            told += self._said_at_the_end(job, now)
            told.append(self._attempt_ended(job, now, 0 if job.state == "COMPLETED" else job.exit_code or None))
        return now, told

    def _requeued_while_running(self, job: SlurmJob, known: Followed) -> Iterator[Reading]:
        """Yield how a running attempt ended that Slurm, an operator or we put back into the queue."""
        lost = [name for name in known.nodes if name in self.nodes and standing(self.nodes[name]) in ("down", "silent")]
        # Slurm takes the time it was put back for that of its submission, once its processes have ended.
        at = None if job.is_completing else job.submitted_at
        ended = replace(job, state="REQUEUED", exit_code=None, nodes=known.nodes, ended_at=at)
        if lost:
            yield from (self._node_failed(ended, known, name) for name in lost)
        elif not _is_ours(job, known.attempt):
            yield self._line(ended, known, "")
        yield self._attempt_ended(ended, known, None)

    def _said_at_the_end(self, job: SlurmJob, known: Followed) -> Iterator[Reading]:
        if job.state == "COMPLETED" or _is_ours(job, known.attempt):
            return
        lost = [name for name in job.nodes if name in self.nodes and standing(self.nodes[name]) in ("down", "silent")]
        if job.state in ("NODE_FAIL", "BOOT_FAIL") and lost:
            yield from (self._node_failed(job, known, name) for name in lost)
        else:
            yield self._line(job, known, "")

    def _node_failed(self, job: SlurmJob, known: Followed, node: str) -> Reading:
        text = f"JobId={job.id} JobState=NODE_FAIL due to failure of node {node}"
        return replace(self._line(job, known, f"/{node}"), node=node, text=text)

    def _line(self, job: SlurmJob, known: Followed, where: str) -> Reading:
        """Return what Slurm says of the end, in the words of `scontrol show job`, which the rules know."""
        text = f"JobId={job.id} JobState={job.state} Reason={job.reason or 'None'}"
        reading = self._reading(
            job, LINE, f"said/{known.attempt}/{job.state}{where}", known.attempt, job.ended_at, text, {}
        )
        return replace(reading, node=self.look.node, fields={"origin": f"scontrol show job {job.id}"})

    def _job_started(self, job: SlurmJob) -> Reading:
        fields: dict[str, Scalar] = {
            "name": printable(job.name, 200),
            "user": job.user,
            "gpus": job.gpus,
            "nodes": ",".join(job.nodes),
            "checkpoint_dir": self.checkpoint_dir.replace("{id}", str(job.id)),
            "actuator": self.actuator,
            "partition": job.partition,
        }
        text = f"Slurm job {job.id} ({printable(job.name, 200)}) of {job.user}"
        return self._reading(job, kinds.JOB_STARTED, "job", None, job.submitted_at, text, fields)

    def _attempt_started(self, job: SlurmJob, attempt: int) -> Iterator[Reading]:
        fields: dict[str, Scalar] = {"nodes": ",".join(job.nodes), "gpus": job.gpus}
        text = f"attempt {attempt} of Slurm job {job.id} runs on {len(job.nodes)} nodes"
        yield self._reading(job, kinds.ATTEMPT_STARTED, f"started/{attempt}", attempt, job.started_at, text, fields)
        yield from self._ranks_placed(job, attempt)

    def _ranks_placed(self, job: SlurmJob, attempt: int) -> Iterator[Reading]:
        """Yield where the ranks run, as srun and torchrun place them by default: in blocks, in the order of nodes."""
        each = self.ranks_per_node or job.gpus // max(len(job.nodes), 1)
        size = each * len(job.nodes)
        for rank in range(size):
            node = job.nodes[rank // each]
            fields: dict[str, Scalar] = {"rank": rank, "local_rank": rank % each, "world_size": size}
            text = f"rank {rank} of Slurm job {job.id} runs on {node}, if ranks are placed in blocks"
            where = f"placed/{attempt}/{rank}"
            reading = self._reading(job, kinds.RANK_PLACED, where, attempt, job.started_at, text, fields)
            yield replace(reading, node=node, rank=rank)

    def _attempt_ended(self, job: SlurmJob, known: Followed, exit_code: int | None) -> Reading:
        fields: dict[str, Scalar] = {"exit_code": exit_code, "state": job.state, "reason": job.reason}
        text = f"attempt {known.attempt} of Slurm job {job.id} ended: {_ending(job)}"
        return self._reading(
            job, kinds.ATTEMPT_ENDED, f"ended/{known.attempt}", known.attempt, job.ended_at, text, fields
        )

    def _job_ended(self, job: SlurmJob, state: JobState, reason: str) -> Reading:
        fields: dict[str, Scalar] = {"state": state.value, "reason": reason}
        text = f"Slurm job {job.id} is {state.value}: {reason}"
        return self._reading(job, kinds.JOB_ENDED, "over", None, job.ended_at, text, fields)

    def _reading(
        self,
        job: SlurmJob,
        subject: str,
        where: str,
        attempt: int | None,
        at: datetime | None,
        text: str,
        fields: Mapping[str, Scalar],
    ) -> Reading:
        # Ids of jobs come again after years, or with a new Slurm: the time tells two of one id apart.
        when = int((job.started_at or job.submitted_at or self.look.now).timestamp())
        return Reading(
            source="slurm",
            node=self.look.node if subject == LINE else "",
            position=f"job/{job.id}/{when}/{where}",
            observed_at=self.look.now,
            happened_at=min(at, self.look.now) if at is not None else self.look.now,
            subject=subject,
            text=text,
            fields=fields,
            job=job_id(job.id),
            attempt=attempt,
        )


def job_id(slurm_id: int) -> str:
    """Return the id under which a job of Slurm is known."""
    return f"slurm-{slurm_id}"


def _is_ours(job: SlurmJob, attempt: int) -> bool:
    """Whether ClusterWatch itself ended *attempt*: that is no evidence for what was wrong with it."""
    return f"{OWN_MARK} attempt={attempt} " in job.admin_comment


def _ending(job: SlurmJob) -> str:
    code = f", exit code {job.exit_code}" if job.exit_code else ""
    reason = f" ({job.reason})" if job.reason else ""
    return f"{job.state}{reason}{code}"


def phases(known: Mapping[str, Any]) -> Iterator[tuple[int, Followed]]:
    """Yield id and record of each job in what was stored; what cannot be read is left out."""
    for key, stored in known.items():
        followed = Followed.of(stored)
        if followed is not None and key.isdecimal():
            yield int(key), followed
