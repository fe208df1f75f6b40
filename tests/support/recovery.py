"""A real training job on a real Slurm, with ClusterWatch in a process of its own, and what its records say after."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil

from clusterwatch.app.reckoning import whole_ledger
from clusterwatch.clock import SystemClock
from clusterwatch.model import ENDED_STEP_STATES, Decision, Diagnosis, Edge, JobState, Step, StepKind, StepState, kinds
from clusterwatch.store import JobView, Store
from clusterwatch.store.views import IncidentView
from mortal import mortal
from slurm_cluster import SlurmCluster, wait_until

ROOT = Path(__file__).parents[2]
TRAIN = ROOT / "tests" / "integration" / "training" / "train.py"
FREE_PORT = ROOT / "tests" / "support" / "free_port.py"
PYTHON = Path(sys.executable)
PATIENCE_SECONDS = 150
"""Of one wait: with torch imported four times by two processors that others use too."""

SETTINGS = """\
node = "head"
state_dir = "{folder}"
[logs]
format = "json"
[collectors.slurm]
names = ["train"]
every_seconds = 1
ranks_per_node = 1
checkpoint_dir = "{folder}/checkpoints/{{id}}"
[collectors.checkpoints]
every_seconds = 1
[slurm]
enabled = true
[policy.modes]
slurm = "auto"
[hang]
minimum_seconds = 12
[settle]
hang_seconds = 20
{more}
"""

NOTED = """\
#!/bin/sh
echo "$(date +%s.%N) $*" >> {calls}
exec {real} "$@"
"""
"""A scontrol that notes when it was called with what."""

ACTING = ("requeue", "requeuehold", "release", "update", "reboot")

# Each node is this machine, so the ranks meet on loopback; else it is what docs/examples/slurm/train.sbatch does, with
# more patience for the answer, and a port that no outgoing connection can take before torchrun listens on it. Without
# an answer the job begins anew: that it goes on shows that it was told to.
SCRIPT = """\
export CLUSTERWATCH_ATTEMPT=$((${{SLURM_RESTART_COUNT:-0}} + 1)) CLUSTERWATCH_RESUME_CHECKPOINT= PYTHONPATH={root}
export CLUSTERWATCH_CHECKPOINT_DIR={folder}/checkpoints/$SLURM_JOB_ID GLOO_SOCKET_IFNAME=lo PYTHONUNBUFFERED=1
{environment}
eval "$({python} -m clusterwatch jobs resume-env --config {folder}/clusterwatch.toml)"
export MASTER_PORT=$({python} {free_port})
srun --mpi=none --kill-on-bad-exit=1 bash -c 'exec {python} -m torch.distributed.run --nnodes=$SLURM_JOB_NUM_NODES \
  --node-rank=$SLURM_NODEID --nproc-per-node=1 --max-restarts=0 --master-addr=127.0.0.1 --master-port=$MASTER_PORT \
  {train}'
"""


@dataclass
class Recovery:
    """ClusterWatch over *cluster*, its records in *folder*, and the jobs that it follows."""

    cluster: SlurmCluster
    folder: Path
    more_settings: str = ""
    process: subprocess.Popen[bytes] | None = None
    store: Store = field(init=False)

    def __post_init__(self) -> None:
        """Write the settings and the nodes' kernel logs, and open the database."""
        self.kernel_logs = self.folder / "kernel"
        self.kernel_logs.mkdir()
        for name in self.cluster.nodes:
            (self.kernel_logs / f"{name}.log").touch()
        self.settings = self.folder / "clusterwatch.toml"
        self.settings.write_text(SETTINGS.format(folder=self.folder, more=self.more_settings))
        self.calls = self.folder / "calls"
        scontrol = self.folder / "bin" / "scontrol"
        scontrol.parent.mkdir()
        scontrol.write_text(NOTED.format(calls=self.calls, real=shutil.which("scontrol")))
        scontrol.chmod(0o755)
        self.store = Store.open(f"sqlite:///{self.folder}/clusterwatch.db", create=True)

    def start(self, stop_at: str = "") -> None:
        """Start ClusterWatch; with *stop_at* it stops for ever at that moment, see recovery_service."""
        program = [PYTHON, ROOT / "tests/support/recovery_service.py", self.settings, self.kernel_logs]
        environment = self.cluster.environment
        with (self.folder / "service.log").open("ab") as log:
            self.process = subprocess.Popen(
                mortal(*map(str, program), *([stop_at] if stop_at else [])),
                env={**environment, "PATH": f"{self.folder}/bin:{environment['PATH']}", "PYTHONPATH": str(ROOT)},
                stdout=log,
                stderr=log,
            )

    def commands(self, *verbs: str) -> list[tuple[datetime, str]]:
        """Return when ClusterWatch called scontrol to change something, and the command, in order of time."""
        lines = self.calls.read_text().splitlines() if self.calls.exists() else []
        told = (line.partition(" ") for line in lines)
        made = [(datetime.fromtimestamp(float(at), UTC), command) for at, _, command in told]
        return [each for each in made if each[1].split()[0] in (verbs or ACTING)]

    def kill(self) -> None:
        """End ClusterWatch with SIGKILL."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        (self.folder / "reached").unlink(missing_ok=True)

    def kill_when_reached(self) -> None:
        """Kill ClusterWatch at the moment at which it was told to stop."""
        self.wait(self.folder.joinpath("reached").exists, "ClusterWatch to come to the moment")
        self.kill()

    def close(self) -> None:
        """End ClusterWatch; the jobs end with the cluster."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.kill()
        self.store.close()

    def submit(self, *, nodes: int = 2, options: Sequence[str] = (), **environment: str) -> Job:
        """Submit a training job; *environment* is what train.py takes."""
        exports = " ".join(f"{name}={value}" for name, value in environment.items())
        script = SCRIPT.format(
            python=PYTHON,
            train=TRAIN,
            free_port=FREE_PORT,
            root=ROOT,
            folder=self.folder,
            environment=f"export {exports}" if exports else "",
        )
        number = self.cluster.submit(script, *options, nodes=nodes)
        return Job(self, number)

    def wait(self, is_so, what: str, job: Job | None = None) -> None:
        """Return once *is_so*; a failure shows what everybody said."""
        wait_until(is_so, what, PATIENCE_SECONDS, lambda: self.said(job))

    def said(self, job: Job | None) -> str:
        """Return the last words of ClusterWatch and of *job*."""
        service = (self.folder / "service.log").read_text(errors="replace")[-6000:]
        output = job.output[-3000:] if job is not None else ""
        return f"{self.cluster.run('squeue', check=False).stdout}\n{output}\n{service}"


@dataclass
class Job:
    """A training job on the cluster."""

    recovery: Recovery
    number: int

    @property
    def id(self) -> str:
        """Its id in ClusterWatch."""
        return f"slurm-{self.number}"

    @property
    def restarts(self) -> int:
        """How often Slurm put it back into the queue."""
        return self.recovery.cluster.job(self.number).restarts

    @property
    def is_back_in_the_queue(self) -> bool:
        """Whether Slurm put it back, and nothing of it runs any more."""
        known = self.recovery.cluster.job(self.number)
        return known.restarts > 0 and not known.is_completing

    @property
    def output(self) -> str:
        """Everything its attempts printed."""
        path = self.recovery.cluster.log_of(self.number)
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def steps(self) -> list[int]:
        """The steps it printed, of all attempts in the order of time."""
        said = (line.split() for line in self.output.splitlines() if line.startswith("step: "))
        return [int(words[1]) for words in said if len(words) > 3 and words[1].isdigit()]

    @property
    def resumed_from(self) -> list[int]:
        """From which step each attempt went on, by its own word."""
        return [int(line.split()[-1]) for line in self.output.splitlines() if line.startswith("training from step ")]

    @property
    def checkpoints(self) -> dict[int, bool]:
        """What it saved: step, and whether it is whole."""
        folder = self.recovery.folder / "checkpoints" / str(self.number)
        return {int(each.name.partition("_")[2]): (each / ".metadata").exists() for each in folder.glob("step_*")}

    @property
    def view(self) -> JobView | None:
        """What ClusterWatch knows of it."""
        return self.recovery.store.read.job(self.id)

    @property
    def decisions(self) -> list[Decision]:
        """What was decided about it, oldest first."""
        return self.recovery.store.read.decisions(job=self.id)[::-1]

    def done(self, kind: StepKind) -> list[Step]:
        """Return the steps of *kind* that were carried out, oldest first."""
        return [step for step in self.planned(kind) if step.state is StepState.DONE]

    def planned(self, kind: StepKind) -> list[Step]:
        """Return the steps of *kind* that were decided on, oldest first."""
        return [step for decision in self.decisions for step in decision.steps if step.kind is kind]

    @property
    def plans(self) -> str:
        """What was decided, why, and what became of each step: what a failed test shows."""
        return "\n".join(
            f"{decision.made_at:%H:%M:%S.%f} attempt {decision.attempt} rule {decision.rule}: "
            + "; ".join(f"{step.kind} {step.state} {step.detail}" for step in decision.steps)
            for decision in self.decisions
        )

    @property
    def newest_whole(self) -> int:
        """The step of the newest checkpoint that is whole."""
        return max(step for step, is_whole in self.checkpoints.items() if is_whole)

    @property
    def incidents(self) -> list[IncidentView]:
        """The incidents that interrupted it, oldest first."""
        view = self.view
        ids = dict.fromkeys(each.incident_id for each in (view.interruptions if view else ()) if each.incident_id)
        return [found for each in ids if (found := self.recovery.store.read.incident(each)) is not None]

    @property
    def diagnosis(self) -> Diagnosis:
        """Why it was interrupted, by the last word about its only incident."""
        (incident,) = self.incidents
        assert incident.diagnosis is not None
        return incident.diagnosis

    def wait_for_step(self, step: int, attempt: int = 1) -> None:
        """Return once *attempt* has printed *step* or a later one, and ClusterWatch has seen it."""

        def has_come() -> bool:
            view = self.view
            return view is not None and view.job.attempt == attempt and (view.job.last_step or 0) >= step

        self.recovery.wait(has_come, f"step {step} of attempt {attempt}", self)

    def wait_until_over(self, state: JobState = JobState.COMPLETED) -> JobView:
        """Return what ClusterWatch knows once the job is in *state*, no step of a plan is left, and its log is read.

        The scheduler may say that a job is over before its last words are read.
        """

        def is_over() -> bool:
            view = self.view
            steps = [step.state for decision in self.decisions for step in decision.steps]
            has_ended = view is not None and view.job.state is state and set(steps) <= ENDED_STEP_STATES
            return has_ended and view is not None and view.job.highest_step >= max(self.steps, default=0)

        self.recovery.wait(is_over, f"job {self.number} to be {state}", self)
        found = self.view
        assert found is not None
        return found

    def node_of(self, rank: int) -> str:
        """Return the node on which *rank* runs, by Slurm's order of nodes."""
        return self.recovery.cluster.job(self.number).nodes[rank]

    def rank_process(self, rank: int) -> psutil.Process:
        """Return the process of *rank* in the attempt that runs."""
        for process in self._processes():
            if process.environ().get("RANK") == str(rank):
                return process
        raise AssertionError(f"rank {rank} does not run")

    def _processes(self) -> Iterator[psutil.Process]:
        for process in psutil.process_iter(["cmdline"]):
            words = process.info["cmdline"] or ()
            if words[-1:] == [str(TRAIN)] and "torch.distributed.run" not in words:
                try:
                    if process.environ().get("SLURM_JOB_ID") == str(self.number):
                        yield process
                except psutil.Error:
                    continue


def assert_ledger_closes(view: JobView) -> None:
    """Fail unless the spans of the job's time touch, cover all of it, and hold work and losses."""
    ledger = whole_ledger(view, SystemClock().now())
    assert view.job.ended_at is not None
    elapsed = (view.job.ended_at - view.job.started_at).total_seconds()
    by_reason = ledger.seconds_by_reason()
    assert abs(sum(by_reason.values()) - elapsed) < 0.001, by_reason
    assert ledger.spans[0].from_at == view.job.started_at
    assert all(one.to_at == two.from_at for one, two in zip(ledger.spans, ledger.spans[1:], strict=False))
    assert ledger.productive_seconds > 0
    assert ledger.lost_seconds > 0


@dataclass(frozen=True)
class Reaction:
    """How long one restart took, in seconds.

    *decided*: from the deciding event to the decision; *called*: from there until scontrol was called for it;
    *hang*: from the last step of a job that hung until that, None where it did not hang.
    """

    decided: float
    called: float
    hang: float | None

    @property
    def total(self) -> float:
        """From the deciding event until scontrol had been called."""
        return self.decided + self.called


def reactions(job: Job, settle: timedelta = timedelta(seconds=2)) -> Iterator[Reaction]:
    """Yield how long each restart of *job* took.

    The deciding event is the last of the evidence that was there, or the end of the shortest wait for more of it,
    whichever came later.
    """
    calls = [at for at, _ in job.recovery.commands()]
    for incident in job.incidents:
        of_job = [event for _, event in job.recovery.store.read.events(job=job.id, limit=5000)]
        events = [*job.recovery.store.read.incident_events(incident.incident.id), *of_job]
        since = min(each.observed_at for each in events if each.kind == kinds.PROGRESS)
        for decision in incident.decisions:
            told = {each.observed_at for each in events if each.kind != kinds.PROGRESS}
            seen = [at for at in told if at <= decision.made_at]
            after = [at for at in calls if at >= decision.made_at]
            # Each attempt's evidence is waited for anew.
            first_at = min((at for at in seen if at > since), default=decision.made_at)
            if seen and after and any(step.kind in _CALLS for step in decision.steps):
                deciding_at = min(max(*seen, first_at + settle), decision.made_at)
                called_at = min(after)
                since = called_at
                yield Reaction(
                    _seconds(deciding_at, decision.made_at),
                    _seconds(decision.made_at, called_at),
                    _hung(job, decision, called_at),
                )


_CALLS = (StepKind.HOLD, StepKind.EXCLUDE, StepKind.REQUEUE)


def _hung(job: Job, decision: Decision, called_at: datetime) -> float | None:
    view = job.view
    interruptions = view.interruptions if view is not None else ()
    last_step_at = next((each.edges.get(Edge.LAST_STEP) for each in interruptions), None)
    is_hang = any(step.kind is StepKind.HOLD for step in decision.steps)
    return _seconds(last_step_at, called_at) if is_hang and last_step_at is not None else None


def _seconds(since: datetime, until: datetime) -> float:
    return (until - since).total_seconds()
