"""The fleet of the demo: 16 nodes of 8 GPUs, three jobs, a fault about every minute, restarts as told.

It tells what collectors would tell, log lines and states, and never what is the matter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from threading import RLock

from clusterwatch.errors import ActionError
from clusterwatch.model import Collected, Mode, Outcome, Scalar, Step, StepKind, StepState, WorldState
from clusterwatch.seams import Site
from simulators.fleet import TERMINATED, Fleet
from simulators.job import Phase, SimulatedJob
from simulators.schedule import faults, seeded
from simulators.spec import JobSpec

NODES = tuple(f"node{number:03d}" for number in range(1, 17))
JOBS = (
    JobSpec("sim-llama-8b", "llama-8b-pretrain", "ada", 8, 21_417, "megatron", 3.6, "iter_{step:07d}", "megatron"),
    JobSpec("sim-vision", "vision-finetune", "grace", 4, 21_902, "torchtitan", 2.4, "step-{step}", "dcp"),
    JobSpec("sim-eval-sweep", "eval-sweep", "alan", 2, 22_345, "deepspeed", 5.2, "step_{step}.pt", "file"),
)

Done = tuple[str, dict[str, Scalar]]
"""What carrying out a step gave: in words, and as facts."""


class SmallFleet:
    """The simulated fleet of the demo; meets `clusterwatch.seams.SimulatedFleet`.

    The same *seed*, *start* and steps give the same readings, however often it is collected from.
    *start* is the time of the first collection when not given. With *calm* above 1 faults are rarer by that much;
    as they are, no job survives its restarts of the hour for long.
    """

    name = "small_fleet"
    every_seconds = 1.0
    deadline_seconds = 10.0
    mode = Mode.AUTO

    def __init__(self, seed: int = 1, start: datetime | None = None, calm: float = 1.0) -> None:
        self._fleet = Fleet(NODES, JOBS, faults(seeded(seed, "faults"), calm), seed)
        self._outcomes: dict[str, Outcome] = {}
        self._chosen_steps: dict[str, int] = {}
        # The agent collects in one thread while the responder acts in another.
        self._lock = RLock()
        self._start = start
        self._has_begun = False

    def collect(self, site: Site, position: Mapping[str, object], now: datetime) -> Collected:
        """Return what happened up to *now*; *site* and *position* do not matter, the fleet lives in memory."""
        with self._lock:
            self._advance(now)
            return Collected(self._fleet.readings(now))

    def close(self) -> None:
        """Do nothing: there are no handles."""

    def perform(self, step: Step, now: datetime) -> Outcome:
        """Carry out *step*, or return what came of it the first time.

        Raises:
            ActionError: There is no such job or node, the step is about an earlier attempt, or no node is free.
        """
        with self._lock:
            self._advance(now)
            if step.id not in self._outcomes:
                detail, facts = _ACTIONS[step.kind](self, step, now)
                self._outcomes[step.id] = Outcome(step.id, StepState.DONE, now, detail, facts)
            return self._outcomes[step.id]

    def state_of(self, step: Step) -> WorldState:
        """Return whether *step* was carried out."""
        with self._lock:
            return WorldState.DONE if step.id in self._outcomes else WorldState.NOT_DONE

    def targets(self) -> frozenset[str]:
        """Return the ids of the jobs."""
        return frozenset(self._fleet.jobs)

    def truth(self) -> Mapping[str, str]:
        """Return the causes of the faults that struck, by fault id; a relapse has an id of its own."""
        with self._lock:
            return dict(self._fleet.truth)

    def _advance(self, now: datetime) -> None:
        if not self._has_begun:
            self._has_begun = True
            self._fleet.begin(self._start or now)
        self._fleet.advance(now)

    def _hold(self, step: Step, now: datetime) -> Done:
        job = self._job(step)
        job.end(now, TERMINATED)
        return f"{job.spec.id} has no processes", {}

    def _withdraw(self, step: Step, now: datetime) -> Done:
        node = _node_in(step)
        self._fleet.withdraw(node, now)
        return f"{node} is out of service", {"node": node}

    def _readmit(self, step: Step, now: datetime) -> Done:
        # A node that was left out is in repair, and is in nobody's way when it comes back from there.
        node = _node_in(step)
        return f"{step.target} may use {node} again", {"node": node}

    def _release(self, step: Step, now: datetime) -> Done:
        node = _node_in(step)
        self._fleet.release(node)
        return f"{node} is in service", {"node": node}

    def _verify(self, step: Step, now: datetime) -> Done:
        node = _node_in(step)
        healthy = self._fleet.is_healthy(node)
        return f"{node} {'passed' if healthy else 'failed'} its check", {"node": node, "healthy": healthy}

    def _check(self, step: Step, now: datetime) -> Done:
        node = _node_in(step)
        if not self._fleet.is_healthy(node):
            raise ActionError(f"{node} failed its check")
        return f"{node} passed its check", {"node": node, "healthy": True}

    def _start_anew(self, step: Step, now: datetime) -> Done:
        # What is broken stays broken until it is repaired: a fault that a reboot mends is none of a node here.
        node = _node_in(step)
        return f"{node} started anew", {"node": node}

    def _survey(self, step: Step, now: datetime) -> Done:
        # No node of this fleet is broken without saying so.
        return f"all nodes of {self._job(step).spec.id} passed their check", {"failed": ""}

    def _choose(self, step: Step, now: datetime) -> Done:
        job = self._job(step)
        chosen = _step_in(step, job.saved_step)
        self._chosen_steps[job.spec.id] = chosen
        return f"{job.spec.id} resumes at step {chosen}", {"step": chosen}

    def _requeue(self, step: Step, now: datetime) -> Done:
        job = self._job(step)
        resumed_step = _step_in(step, self._chosen_steps.get(job.spec.id, job.saved_step))
        self._fleet.requeue(job, resumed_step, now)
        self._chosen_steps.pop(job.spec.id, None)
        facts: dict[str, Scalar] = {"attempt": job.attempt, "resumed_step": resumed_step, "nodes": ",".join(job.nodes)}
        return f"attempt {job.attempt} starts at step {resumed_step}", facts

    def _stop(self, step: Step, now: datetime) -> Done:
        job = self._job(step)
        job.end(now, TERMINATED)
        job.retire(now, str(step.arguments.get("reason") or "stopped by a step"))
        return f"{job.spec.id} ended", {}

    def _ask(self, step: Step, now: datetime) -> Done:
        return "a person was asked", {}

    def _job(self, step: Step) -> SimulatedJob:
        job = self._fleet.jobs.get(step.target)
        if job is None or job.phase is Phase.RETIRED:
            running = sorted(job_id for job_id, job in self._fleet.jobs.items() if job.phase is not Phase.RETIRED)
            raise ActionError(f"no job {step.target!r} in the simulated fleet: choose one of {', '.join(running)}")
        attempt = step.arguments.get("attempt")
        if isinstance(attempt, int) and attempt < job.attempt:
            raise ActionError(f"{step.target} is at attempt {job.attempt}, the step is about attempt {attempt}")
        return job


def _node_in(step: Step) -> str:
    node = str(step.arguments.get("node") or step.target)
    if node not in NODES:
        raise ActionError(f"no node {node!r} in the simulated fleet: choose one of {NODES[0]} to {NODES[-1]}")
    return node


def _step_in(step: Step, otherwise: int) -> int:
    chosen = step.arguments.get("step")
    return chosen if isinstance(chosen, int) else otherwise


_ACTIONS: Mapping[StepKind, Callable[[SmallFleet, Step, datetime], Done]] = {
    StepKind.HOLD: SmallFleet._hold,
    StepKind.EXCLUDE: SmallFleet._withdraw,
    StepKind.READMIT: SmallFleet._readmit,
    StepKind.DRAIN: SmallFleet._withdraw,
    StepKind.RELEASE: SmallFleet._release,
    StepKind.VERIFY: SmallFleet._verify,
    StepKind.CHOOSE_CHECKPOINT: SmallFleet._choose,
    StepKind.REQUEUE: SmallFleet._requeue,
    StepKind.STOP: SmallFleet._stop,
    StepKind.ASK: SmallFleet._ask,
    StepKind.CHECK: SmallFleet._check,
    StepKind.SURVEY: SmallFleet._survey,
    StepKind.RESET: SmallFleet._start_anew,
    StepKind.REBOOT: SmallFleet._start_anew,
}
