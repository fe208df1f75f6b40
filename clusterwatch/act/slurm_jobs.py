"""What is done to a job of Slurm, and how Slurm is asked whether it was done.

1. Attempt n of a job was put back into the queue when Slurm counts n restarts: that is what is asked, and what keeps
   a step from being done twice.
2. A node can be excluded only of a job that waits in the queue. One that does not is put there first.
3. Slurm lets a job that was put back wait for 121 seconds: time to exclude nodes, and if we die meanwhile the job
   starts all the same. `StartTime=now+2` ends the wait, once its processes have ended; before, Slurm would put it back.
   In the very second in which a node ended its last attempt it takes no new one: slurmd tells attempts apart by whole
   seconds, and the job would end as FAILED ("Job credential revoked"). The second second is for clocks that differ.
4. Only a job that still runs is held, where a plan says so. A hold of somebody else is left alone: ours is known by
   the mark in the job's AdminComment.

Source:
    https://slurm.schedmd.com/scontrol.html (requeue, requeuehold, release, update); seen with Slurm 22.05.8
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Event as Signal

from clusterwatch.act.slurm_commands import SilentError, SlurmCommands
from clusterwatch.act.slurm_names import attempt_mark, has_mark, job_number, node_name, node_of, with_mark
from clusterwatch.errors import ActionError
from clusterwatch.model import Scalar, Step, StepState, WorldState
from clusterwatch.reading.slurm import SlurmJob
from clusterwatch.seams import Clock

Result = tuple[StepState, str]
Found = tuple[StepState, str, Mapping[str, Scalar]]
"""A result with its facts: "was_excluded" where somebody else had excluded the node before."""

LOOK_EVERY_SECONDS = 0.1
BUILT_IN_WAIT_SECONDS = 121
START_AFTER_SECONDS = 2


@dataclass(slots=True)
class JobSteps:
    """Steps on jobs. *settle_seconds* is how long is waited for processes of an ended attempt to be gone."""

    slurm: SlurmCommands
    clock: Clock
    settle_seconds: float
    _held: set[tuple[int, int]] = field(default_factory=set)

    def hold(self, step: Step) -> Result:
        """End the processes of the attempt, and keep the job from starting again."""
        job, attempt = self._job(step)
        if job.has_ended:
            return StepState.DONE, f"its processes have ended ({job.state})"
        if job.restarts + 1 > attempt:
            return self._moved_on(job, "" if job.state == "RUNNING" else "it is in the queue, not running")
        self._put_back(job, attempt, step, "requeuehold")
        job = self._settled(job.id)
        ending = "its processes still end" if job.is_completing else "its processes have ended"
        return StepState.DONE, f"put back into the queue and held; {ending}"

    def exclude(self, step: Step) -> Result | Found:
        """Leave a node out of the job, until it is readmitted; says whether somebody else had excluded it before."""
        node = node_of(step)
        self.slurm.node(node)
        job, attempt = self._job(step)
        if job.restarts + 1 > attempt and job.state == "RUNNING":
            return self._moved_on(job, "")
        if job.restarts + 1 == attempt and job.state != "PENDING":
            self._put_back(job, attempt, step, "requeue")
        if node in job.excluded:
            return StepState.DONE, f"{node} was excluded before", {"was_excluded": True}
        self._exclude(job.id, (node,))
        return StepState.DONE, f"{node} is excluded"

    def readmit(self, step: Step) -> Result:
        """Take a node off the job's exclude list; the others stay on it, whoever put them there."""
        node = node_of(step)
        job, attempt = self._job(step)
        if node not in job.excluded:
            return StepState.DONE, f"{node} is not excluded"
        if job.restarts + 1 > attempt and job.state == "RUNNING":
            return self._moved_on(job, "")
        if job.restarts + 1 == attempt and job.state != "PENDING":
            self._put_back(job, attempt, step, "requeue")
        self._set_excluded(job.id, tuple(name for name in job.excluded if name != node))
        if node in self.slurm.job(job.id).excluded:
            raise ActionError(f"Slurm keeps {node} excluded from job {job.id}")
        return StepState.DONE, f"{node} may be used again"

    def requeue(self, step: Step) -> Result:
        """Have the job run again, at once."""
        job, attempt = self._job(step)
        if job.restarts + 1 > attempt and job.state == "RUNNING":
            return self._moved_on(job, f"attempt {job.restarts + 1} runs already")
        if job.restarts > attempt:
            return self._moved_on(job, "")
        if job.restarts + 1 == attempt and job.state != "PENDING":
            self._put_back(job, attempt, step, "requeue")
        self._exclude(job.id, self._nodes_in(step))
        self._shrink(job.id, step)
        return self._let_start(job.id, attempt)

    def release(self, step: Step) -> Result:
        """Let a held job start."""
        job = self.slurm.job(job_number(step))
        if not job.is_held:
            return StepState.DONE, "nobody holds it"
        self.slurm.tell("release", str(job.id))
        return StepState.DONE, "released"

    def stop(self, step: Step) -> Result:
        """Cancel the job."""
        job, attempt = self._job(step)
        if job.has_ended:
            return StepState.DONE, f"it had ended before ({job.state})"
        if job.restarts + 1 > attempt and job.state == "RUNNING":
            return self._moved_on(job, "")
        self._mark(job, attempt, step)
        self.slurm.run("scancel", str(job.id))
        return StepState.DONE, "cancelled"

    def verify(self, step: Step) -> Result:
        """Say whether the job runs, or will by itself."""
        job, attempt = self._job(step)
        is_well = job.restarts >= attempt and not job.has_ended and not job.is_held
        return (StepState.DONE if is_well else StepState.FAILED), f"{job.state}, attempt {job.restarts + 1}"

    def choose_checkpoint(self, step: Step) -> Result:
        """Note the choice: the job asks for it with `clusterwatch jobs resume-env`."""
        return StepState.DONE, str(step.arguments.get("checkpoint") or "no complete checkpoint: from the beginning")

    def state_of_hold(self, step: Step) -> WorldState:
        """Return whether the attempt's processes were ended."""
        job, attempt = self._job(step)
        return _done(job.has_ended or job.restarts >= attempt)

    def state_of_exclude(self, step: Step) -> WorldState:
        """Return whether the node is left out."""
        job, _ = self._job(step)
        return _done(node_of(step) in job.excluded)

    def state_of_readmit(self, step: Step) -> WorldState:
        """Return whether the node is left out no more."""
        job, _ = self._job(step)
        return _done(node_of(step) not in job.excluded)

    def state_of_requeue(self, step: Step) -> WorldState:
        """Return whether the job runs again, or is about to."""
        job, attempt = self._job(step)
        if job.restarts < attempt:
            return WorldState.NOT_DONE
        if job.state != "PENDING" and not job.is_completing:
            return WorldState.DONE
        is_free = not job.is_held and set(self._nodes_in(step)) <= set(job.excluded)
        return _done(is_free and not self._waits_long(job))

    def state_of_release(self, step: Step) -> WorldState:
        """Return whether nobody holds the job."""
        return _done(not self.slurm.job(job_number(step)).is_held)

    def state_of_stop(self, step: Step) -> WorldState:
        """Return whether the job has ended."""
        return _done(self._job(step)[0].has_ended)

    def _job(self, step: Step) -> tuple[SlurmJob, int]:
        number, attempt = job_number(step), step.arguments.get("attempt")
        if isinstance(attempt, bool) or not isinstance(attempt, int) or attempt < 1:
            raise ActionError(f"step {step.id[:80]!r} does not say for which attempt it was decided")
        job = self.slurm.job(number)
        if job.restarts + 1 < attempt:
            raise ActionError(f"Slurm counts {job.restarts} restarts of job {number}, attempt {attempt} cannot be its")
        return job, attempt

    def _moved_on(self, job: SlurmJob, done: str) -> Result:
        """Return that the wanted state is reached, as *done* says, or that the job is another by now."""
        if done:
            return StepState.DONE, done
        return StepState.REFUSED, f"attempt {job.restarts + 1} is {job.state} by now"

    def _put_back(self, job: SlurmJob, attempt: int, step: Step, how: str) -> None:
        """Put a running or ended attempt back into the queue ("requeue"), or there and held ("requeuehold")."""
        if job.state == "COMPLETING":
            job = self._settled(job.id)
        if not job.has_ended:
            # First: an end that nobody explains would be taken for an operator's doing.
            self._mark(job, attempt, step)
        if how == "requeuehold":
            self._held.add((job.id, attempt))
        try:
            self.slurm.tell(how, str(job.id))
        except SilentError:
            raise
        except ActionError:
            # Slurm, or an operator, was faster: what counts is that it is in the queue.
            if self.slurm.job(job.id).restarts < attempt:
                raise

    def _mark(self, job: SlurmJob, attempt: int, step: Step) -> None:
        mark = attempt_mark(attempt, step)
        # Only operators of Slurm may write it; a user who requeues own jobs does without.
        with suppress(ActionError):
            self.slurm.tell("update", f"JobId={job.id}", f"AdminComment={with_mark(job.admin_comment, mark)}")

    def _exclude(self, number: int, nodes: tuple[str, ...]) -> None:
        excluded = self.slurm.job(number).excluded if nodes else ()
        if set(nodes) <= set(excluded):
            return
        self._set_excluded(number, (*excluded, *nodes))
        kept = self.slurm.job(number).excluded
        if not set(nodes) <= set(kept):
            raise ActionError(f"Slurm did not keep the exclusion of {', '.join(nodes)} from job {number}")

    def _set_excluded(self, number: int, nodes: tuple[str, ...]) -> None:
        listed = ",".join(node_name(name) for name in nodes)
        self.slurm.tell("update", f"JobId={number}", f"ExcNodeList={listed}")

    def _shrink(self, number: int, step: Step) -> None:
        count = step.arguments.get("nodes")
        if isinstance(count, int) and not isinstance(count, bool) and count > 0:
            self.slurm.tell("update", f"JobId={number}", f"NumNodes={count}")

    def _nodes_in(self, step: Step) -> tuple[str, ...]:
        listed = str(step.arguments.get("exclude") or "")
        return tuple(node_name(name) for name in listed.split(",") if name)

    def _let_start(self, number: int, attempt: int) -> Result:
        job = self._settled(number)
        if job.is_held and not self._is_our_hold(job, attempt):
            return (
                StepState.REFUSED,
                f'somebody else holds it ({job.reason}): "scontrol release {number}" lets it start',
            )
        if job.is_held:
            self.slurm.tell("release", str(number))
        if job.is_completing:
            wait = f"Slurm starts it by itself within {BUILT_IN_WAIT_SECONDS} s"
            return StepState.DONE, f"put back into the queue; processes of the last attempt still end; {wait}"
        if job.state == "PENDING":
            self._start_soon(number)
        return StepState.DONE, f"put back into the queue, to start in {START_AFTER_SECONDS} seconds"

    def _start_soon(self, number: int) -> None:
        try:
            self.slurm.tell("update", f"JobId={number}", f"StartTime=now+{START_AFTER_SECONDS}")
        except SilentError:
            raise
        except ActionError:
            if self.slurm.job(number).state == "PENDING":
                raise

    def _is_our_hold(self, job: SlurmJob, attempt: int) -> bool:
        return has_mark(job.admin_comment, attempt) or (job.id, attempt) in self._held

    def _waits_long(self, job: SlurmJob) -> bool:
        soon = self.clock.now() + timedelta(seconds=START_AFTER_SECONDS)
        return job.eligible_at is not None and job.eligible_at > soon

    def _settled(self, number: int) -> SlurmJob:
        """Return the job once none of its processes ends any more, or as it is after the wait."""
        job, nothing = self.slurm.job(number), Signal()
        for _ in range(int(self.settle_seconds / LOOK_EVERY_SECONDS)):
            if not job.is_completing:
                break
            self.clock.wait(nothing, LOOK_EVERY_SECONDS)
            job = self.slurm.job(number)
        return job


def _done(is_done: bool) -> WorldState:
    return WorldState.DONE if is_done else WorldState.NOT_DONE
