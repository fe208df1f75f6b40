"""A synchronous training job in closed loop: it trains until something stops it, and starts again only when told.

stopped --start--> starting --> training --stall--> stalled --end--> stopped --retire--> retired
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from functools import partial
from random import Random

from clusterwatch.model import Scalar, kinds
from simulators.agenda import Action, Agenda
from simulators.reporting import Reporter, Whose
from simulators.spec import GPUS_PER_NODE, JobSpec, address_of, measured
from simulators.wording import Line, Speaker, Wording

CHECKPOINT_EVERY_STEPS = 20
_SAVE_SECONDS = 0.8
_CHECKPOINT_BYTES = 96_000_000_000


class Phase(StrEnum):
    """What a job does just now. Stalled: its processes live, and no step will end any more."""

    STOPPED = "stopped"
    STARTING = "starting"
    TRAINING = "training"
    STALLED = "stalled"
    RETIRED = "retired"


class SimulatedJob:
    """One job. *nodes* are its nodes in the order of rank; the fleet changes them while it is stopped."""

    def __init__(self, spec: JobSpec, agenda: Agenda, reporter: Reporter, wording: Wording, rng: Random) -> None:
        self.spec = spec
        self.nodes: list[str] = []
        self.phase = Phase.STOPPED
        self.attempt = 0
        self.step = 0
        self.saved_step = 0
        self._agenda, self._reporter, self._wording, self._rng = agenda, reporter, wording, rng

    @property
    def is_alive(self) -> bool:
        """Whether it has processes."""
        return self.phase in (Phase.STARTING, Phase.TRAINING, Phase.STALLED)

    @property
    def ranks_total(self) -> int:
        """How many ranks it runs now."""
        return len(self.nodes) * GPUS_PER_NODE

    def node_of(self, rank: int) -> str:
        """Return the node that holds *rank*."""
        return self.nodes[rank // GPUS_PER_NODE]

    def pid(self, rank: int) -> int:
        """Return the process id of *rank* in the current attempt."""
        return self.spec.scheduler_id + 997 * self.attempt + 13 * rank

    def submit(self, at: datetime) -> None:
        """Make the job known."""
        self._state("scheduler", kinds.JOB_STARTED, {**self.spec.submission(), "nodes": ",".join(self.nodes)}, at)

    def start(self, at: datetime, step: int) -> float:
        """Start the next attempt from the checkpoint of *step*; return the seconds until it trains.

        The processes run after 2-5 seconds; it trains after 8-20.
        """
        self.phase = Phase.STARTING
        self.attempt += 1
        self.step = self.saved_step = step
        processes_seconds = 2.0 + 3.0 * self._rng.random()
        training_seconds = processes_seconds + 6.0 + 9.0 * self._rng.random()
        self.while_alive(at, processes_seconds, self._run_processes)
        self.while_alive(at, training_seconds, self._train)
        return training_seconds

    def stall(self) -> None:
        """Let no further step end."""
        self.phase = Phase.STALLED

    def end(self, at: datetime, exit_code: int) -> None:
        """End the attempt's processes, if there are any."""
        if self.is_alive:
            self.phase = Phase.STOPPED
            self._state("scheduler", kinds.ATTEMPT_ENDED, {"exit_code": exit_code}, at)

    def rank_exited(self, at: datetime, rank: int, exit_code: int) -> None:
        """Report that the process of *rank* ended."""
        fields: dict[str, Scalar] = {"exit_code": exit_code, "pid": self.pid(rank), "rank": rank}
        fields["signal"] = -exit_code if exit_code < 0 else None
        self._state("process", kinds.PROCESS_EXITED, fields, at, rank)

    def retire(self, at: datetime, reason: str) -> None:
        """End the job for good."""
        self.phase = Phase.RETIRED
        self._state("scheduler", kinds.JOB_ENDED, {"state": "stopped", "reason": reason}, at)

    def say(self, line: Line, rank: int, values: Mapping[str, object], at: datetime) -> None:
        """Print *line* as *rank*, or as the launcher beside it; *values* are what the job itself does not know."""
        by_launcher = line.speaker is Speaker.LAUNCHER
        whose = self._whose(None if by_launcher else rank)
        for text in line.printed({**values, **self._values(rank, at)}):
            self._reporter.printed(whose, self.node_of(rank), text, at, "stderr" if by_launcher else "stdout")

    def while_alive(self, at: datetime, seconds: float, action: Action) -> None:
        """Do *action* in *seconds*, unless this attempt is over by then."""
        attempt = self.attempt

        def act(now: datetime) -> None:
            if self.attempt == attempt and self.is_alive:
                action(now)

        self._agenda.after(at, seconds, act)

    def _run_processes(self, at: datetime) -> None:
        fields: dict[str, Scalar] = {"pid": self.pid(0) - 1, "resumed_step": self.step, "nodes": ",".join(self.nodes)}
        fields["resumed_checkpoint"] = self.spec.checkpoint_path(self.step)
        self._state("scheduler", kinds.ATTEMPT_STARTED, fields, at)
        for rank in range(0, self.ranks_total, GPUS_PER_NODE):
            self._place(rank, at)
        for part in ("starting", f"{self.spec.framework}_load")[: 2 if self.step else 1]:
            for line in self._wording[part][0].lines:
                self.while_alive(at, line.after_seconds, partial(self.say, line, 0, {}))

    def _place(self, rank: int, at: datetime) -> None:
        # One rank stands for its node: a node's ranks live and die together here.
        fields: dict[str, Scalar] = {"rank": rank, "local_rank": 0, "world_size": self.ranks_total, "gpu": "0"}
        self._state("scheduler", kinds.RANK_PLACED, {**fields, "pid": self.pid(rank)}, at, rank)

    def _train(self, at: datetime) -> None:
        self.phase = Phase.TRAINING
        self._begin_step(at)

    def _begin_step(self, at: datetime) -> None:
        seconds = self.spec.step_seconds * (0.9 + 0.2 * self._rng.random())
        self.while_alive(at, seconds, partial(self._end_step, seconds))

    def _end_step(self, seconds: float, at: datetime) -> None:
        if self.phase is not Phase.TRAINING:
            return
        self.step += 1
        for line in self._wording[f"{self.spec.framework}_step"][0].lines:
            self.say(line, 0, measured(self.step, seconds, self._rng.random()), at)
        if self.step % CHECKPOINT_EVERY_STEPS == 0:
            self.while_alive(at, _SAVE_SECONDS, partial(self._saved, self.step))
        self._begin_step(at)

    def _saved(self, step: int, at: datetime) -> None:
        self.saved_step = step
        fields: dict[str, Scalar] = {"path": self.spec.checkpoint_path(step), "step": step, "format": self.spec.format}
        fields |= {"size_bytes": _CHECKPOINT_BYTES, "verified": True}
        self._state("checkpoints", kinds.CHECKPOINT_SAVED, fields, at)

    def _values(self, rank: int, at: datetime) -> dict[str, object]:
        return {
            "user": self.spec.user,
            "host": self.node_of(rank),
            "host_ip": address_of(self.node_of(rank)),
            "rank": rank,
            "local_rank": rank % GPUS_PER_NODE,
            "pid": self.pid(rank),
            "neighbour": self.pid(rank ^ 1),
            "thread": self.pid(rank) + 211,
            "agent": self.pid(0) - 1,
            "slurm_job": self.spec.scheduler_id,
            "world_size": self.ranks_total,
            "step": self.step,
            "next_step": self.step + 1,
            "directory": self.spec.directory,
            "path": self.spec.checkpoint_path(self.step),
            "clock": f"{at:%Y-%m-%d %H:%M:%S}",
            "milli": f"{at.microsecond // 1000:03d}",
            "iso": f"{at:%Y-%m-%dT%H:%M:%S}",
            "glog": f"{at:%m%d %H:%M:%S.%f}",
        }

    def _whose(self, rank: int | None = None) -> Whose:
        return Whose(self.spec.id, self.attempt or None, rank, self.spec.log)

    def _state(
        self, source: str, subject: str, fields: Mapping[str, Scalar], at: datetime, rank: int | None = None
    ) -> None:
        self._reporter.state(source, subject, self._whose(rank), self.node_of(rank or 0), fields, at)
