"""A trace as a fleet that can be watched and acted on; meets `clusterwatch.seams.TraceFleet`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from threading import RLock

from clusterwatch.errors import ActionError
from clusterwatch.model import (
    NODE_STEP_KINDS,
    Collected,
    Decision,
    Event,
    MaintenanceWindow,
    Mode,
    Outcome,
    Scalar,
    Step,
    StepKind,
    StepState,
    Topology,
    WorldState,
    in_words,
)
from clusterwatch.seams import Recalled, Site
from simulators.terms import Terms
from simulators.trace.schedule import Schedule
from simulators.whatif.policies import Policy
from simulators.world.world import World

COLLECTORS = frozenset({"kernel_log", "nvml", "fabric", "bmc", "disks", "job_log"})
"""What works on each simulated node."""

Done = tuple[str, dict[str, Scalar]]
"""What carrying out a step gave: in words, and as facts."""


class TraceFleet:
    """The world of one schedule behind the seams of collectors and actuators.

    The same schedule and the same steps at the same times give the same readings.
    """

    name = "trace_fleet"
    every_seconds = 1.0
    deadline_seconds = 60.0
    mode = Mode.AUTO
    kinds = frozenset(StepKind)
    is_recorded = False
    is_followed = True
    tells_silence = False
    decisions: tuple[Decision, ...] = ()

    def __init__(
        self,
        schedule: Schedule,
        save_every_seconds: float,
        script: Policy | None = None,
        *,
        rank_by_rank: frozenset[str] = frozenset(),
        every_rank: bool = False,
        loss_factor: float = 1.0,
    ) -> None:
        """Take what is to happen and how often the job saves; the rest as in `World`."""
        assumed = {name: each.value for name, each in schedule.assumptions.items()}
        self.schedule = schedule
        self._start = schedule.start
        self._world = World(
            schedule,
            Terms.of(assumed),
            save_every_seconds,
            script,
            rank_by_rank=rank_by_rank,
            every_rank=every_rank,
            loss_factor=loss_factor,
        )
        self._is_operated = script is not None
        self._outcomes: dict[str, Outcome] = {}
        self._chosen_steps: dict[str, int] = {}
        # The agent collects in one thread while the responder acts in another.
        self._lock = RLock()
        self._has_begun = False

    @property
    def start(self) -> datetime:
        """When the trace begins."""
        return self._start

    @property
    def ends_at(self) -> datetime:
        """When it is over."""
        return self._start + timedelta(seconds=self.schedule.seconds)

    @property
    def is_operated(self) -> bool:
        """Whether a script acts instead of ClusterWatch."""
        return self._is_operated

    @property
    def manual_total(self) -> int:
        """Restarts that were a person's work."""
        return self._world.manual_total

    def about(self) -> Mapping[str, object]:
        """Return what a summary tells of the trace."""
        plan = self.schedule.jobs[0]
        return {
            "trace": self.schedule.name,
            "seed": self.schedule.seed,
            "days": self.schedule.days,
            "nodes": plan.nodes_total,
            "gpus": plan.nodes_total * self.schedule.cluster.gpus_per_node,
            "job": plan.id,
            "training_megawatts": self._megawatts(is_busy=True),
            "waiting_megawatts": self._megawatts(is_busy=False),
        }

    def _megawatts(self, *, is_busy: bool) -> float:
        """Return what the nodes of the job draw while it trains, or while they wait."""
        cluster, nodes_total = self.schedule.cluster, self.schedule.jobs[0].nodes_total
        return round(cluster.power.megawatts(nodes_total, cluster.gpus_per_node, is_busy=is_busy), 6)

    def topology(self) -> Topology:
        """Return who is near whom."""
        return self.schedule.cluster.topology()

    def watched(self) -> Mapping[str, frozenset[str]]:
        """Return the collectors of each node: what they lose they lose by chance."""
        return dict.fromkeys(self.schedule.cluster.nodes, COLLECTORS)

    def maintenance(self) -> tuple[MaintenanceWindow, ...]:
        """Return the work that is announced."""
        return tuple(
            MaintenanceWindow(
                id=stop.id,
                nodes=stop.nodes,
                starts_at=self._at(stop.at),
                ends_at=self._at(stop.at + stop.duration_seconds),
                reason=stop.reason,
                made_by="operators",
            )
            for stop in self.schedule.planned
            if stop.announced and stop.nodes
        )

    def next_at(self) -> datetime | None:
        """Return when something happens or arrives next; None when nothing more does by itself."""
        with self._lock:
            seconds = self._world.next_at
            return None if seconds is None else self._at(seconds)

    def truth_lines(self) -> Iterator[str]:
        """Yield what really struck so far, as lines of JSON, in the order of time."""
        with self._lock:
            yield from [strike.line() for strike in self._world.truth]

    def truth(self) -> Mapping[str, str]:
        """Return the causes of what struck so far, by id."""
        with self._lock:
            return {strike.id: strike.cause.value for strike in self._world.truth}

    def collect(self, site: Site, position: Mapping[str, object], now: datetime) -> Collected:
        """Return what happened up to *now*; *site* and *position* do not matter, the fleet lives in memory."""
        with self._lock:
            return Collected(self._world.take(self._advance(now)))

    def noticed(self, now: datetime) -> tuple[Event, ...]:
        """Return nothing: here everything is still to be noticed."""
        return ()

    def close(self) -> None:
        """Do nothing: there are no handles."""

    def perform(self, step: Step, now: datetime) -> Outcome:
        """Carry out *step*, or return what came of it the first time.

        Raises:
            ActionError: There is no such job, the step is about an earlier attempt, or it is of a kind unknown here.
        """
        with self._lock:
            at = self._advance(now)
            if step.id not in self._outcomes:
                detail, facts = self._act(step, at)
                state = StepState.FAILED if facts.get("failed") else StepState.DONE
                self._outcomes[step.id] = Outcome(step.id, state, now, detail, facts)
            return self._outcomes[step.id]

    def recalled(self, step: Step, now: datetime) -> Recalled:
        """Return what the recorders of the job's ranks hold: nothing where it does not hang, or has none on."""
        with self._lock:
            at = self._advance(now)
            attempt = step.arguments.get("attempt")
            dumps = self._world.recalled(at) if attempt == self._world.attempt else ()
            return Recalled(dumps, detail="" if dumps else "no rank answered")

    def state_of(self, step: Step) -> WorldState:
        """Return whether *step* was carried out."""
        with self._lock:
            return WorldState.DONE if step.id in self._outcomes else WorldState.NOT_DONE

    def targets(self) -> frozenset[str]:
        """Return the ids of the jobs."""
        return frozenset(job.id for job in self.schedule.jobs)

    def call_person(self, now: datetime) -> None:
        """Let somebody come who finds what is broken and starts the job again."""
        with self._lock:
            self._world.call_person(self._advance(now))

    def could_train(self, now: datetime) -> bool:
        """Return whether the job would go on training if nobody touched it."""
        with self._lock:
            self._advance(now)
            return self._world.could_train()

    def _act(self, step: Step, at: float) -> Done:
        act = _ACTIONS.get(step.kind)
        if act is None:
            raise ActionError(f"a simulated fleet cannot {step.kind}: take that step out of the policy")
        attempt = step.arguments.get("attempt")
        is_of_job = step.kind not in NODE_STEP_KINDS
        if is_of_job and isinstance(attempt, int) and attempt < self._world.attempt:
            raise ActionError(f"{step.target} is at attempt {self._world.attempt}, the step is about {attempt}")
        return act(self, step, at)

    def _hold(self, step: Step, at: float) -> Done:
        self._world.end(at)
        return f"{step.target} has no processes", {}

    def _withdraw(self, step: Step, at: float) -> Done:
        node = _node_in(step)
        healthy = self._world.is_healthy(node)
        self._world.take_out(node, at)
        return f"{node} is out of service", {"node": node, "was_healthy": healthy}

    def _leave_out(self, step: Step, at: float) -> Done:
        node = _node_in(step)
        healthy = self._world.is_healthy(node)
        self._world.leave_out(node, at)
        return f"{node} is out of service, and left out of {step.target}", {"node": node, "was_healthy": healthy}

    def _readmit(self, step: Step, at: float) -> Done:
        node = _node_in(step)
        self._world.readmit(node)
        return f"{step.target} may use {node} again", {"node": node}

    def _release(self, step: Step, at: float) -> Done:
        node = _node_in(step)
        self._world.put_back(node)
        return f"{node} is in service", {"node": node}

    def _check(self, step: Step, at: float) -> Done:
        node = _node_in(step)
        found = self._world.check(node, at)
        if found is not None:
            return f"{node} failed its check", {"failed": node, "found": in_words(found)}
        return f"{node} passed its check", {"node": node, "healthy": True}

    def _survey(self, step: Step, at: float) -> Done:
        failed = self._world.survey(at)
        found = in_words(each for findings in failed.values() for each in findings)
        facts: dict[str, Scalar] = {"failed": ",".join(failed), "found": found}
        return f"{', '.join(failed) or 'no node'} failed the check", facts

    def _start_anew(self, step: Step, at: float) -> Done:
        # What is broken stays broken until it is repaired.
        node = _node_in(step)
        return f"{node} started anew", {"node": node}

    def _choose(self, step: Step, at: float) -> Done:
        chosen = _step_in(step, self._world.saved_step)
        self._chosen_steps[step.target] = chosen
        return f"{step.target} resumes at step {chosen}", {"step": chosen}

    def _requeue(self, step: Step, at: float) -> Done:
        resumed_step = _step_in(step, self._chosen_steps.pop(step.target, self._world.saved_step))
        could_train = self._world.could_train()
        facts = self._world.restart(at, resumed_step)
        return f"attempt {facts['attempt']} starts at step {resumed_step}", {**facts, "could_train": could_train}

    def _stop(self, step: Step, at: float) -> Done:
        self._world.end(at)
        self._world.call_person(at)
        return f"{step.target} ended, and a person was told", {}

    def _advance(self, now: datetime) -> float:
        if not self._has_begun:
            self._has_begun = True
            self._world.begin()
        seconds = (now - self._start) / timedelta(seconds=1)
        self._world.advance(seconds)
        return seconds

    def _at(self, seconds: float) -> datetime:
        return self._start + timedelta(seconds=round(seconds, 3))


def _node_in(step: Step) -> str:
    return str(step.arguments.get("node") or step.target)


def _step_in(step: Step, otherwise: int) -> int:
    chosen = step.arguments.get("step")
    return chosen if isinstance(chosen, int) else otherwise


_ACTIONS: Mapping[StepKind, Callable[[TraceFleet, Step, float], Done]] = {
    StepKind.HOLD: TraceFleet._hold,
    StepKind.EXCLUDE: TraceFleet._leave_out,
    StepKind.READMIT: TraceFleet._readmit,
    StepKind.DRAIN: TraceFleet._withdraw,
    StepKind.RELEASE: TraceFleet._release,
    StepKind.VERIFY: TraceFleet._check,
    StepKind.CHECK: TraceFleet._check,
    StepKind.SURVEY: TraceFleet._survey,
    StepKind.RESET: TraceFleet._start_anew,
    StepKind.REBOOT: TraceFleet._start_anew,
    StepKind.CHOOSE_CHECKPOINT: TraceFleet._choose,
    StepKind.REQUEUE: TraceFleet._requeue,
    StepKind.STOP: TraceFleet._stop,
}
