"""Carry out steps on a command that this process supervises: the first real actuator.

The command runs in a session of its own, writing to a log file, so that it outlives a killed supervisor: losing
the monitor must not cost the training. What it needs to resume stands in its environment.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from clusterwatch.act.ending import end_all, end_session, exit_code, processes_of, signal_session
from clusterwatch.act.recorders import recorders_of
from clusterwatch.errors import ActionError
from clusterwatch.model import Mode, Outcome, Step, StepKind, StepState, WorldState
from clusterwatch.seams import Recalled

VARIABLES = {
    "CLUSTERWATCH_JOB_ID": "Id of the job, the same for all attempts.",
    "CLUSTERWATCH_ATTEMPT": "Number of this attempt, from 1.",
    "CLUSTERWATCH_RESUME_CHECKPOINT": "Path of the checkpoint to resume from; empty when there is none.",
    "CLUSTERWATCH_RESUME_STEP": "Training step of that checkpoint; 0 when there is none.",
    "CLUSTERWATCH_CHECKPOINT_DIR": "Folder in which checkpoints are looked for; empty when none was given.",
    "CLUSTERWATCH_JOB": "The same as CLUSTERWATCH_JOB_ID, where the training loop reports.",
    "CLUSTERWATCH_REPORT": "File for what the training loop reports of itself, see the client.",
}
"""The environment the command is given, and what each variable means."""


_KINDS = frozenset({StepKind.HOLD, StepKind.CHOOSE_CHECKPOINT, StepKind.REQUEUE, StepKind.STOP})

BURIED_WITHIN_SECONDS = 30.0
"""How long a restart waits for the last attempt's end to be told; reading a long log to its end takes a while."""


@dataclass(frozen=True, slots=True)
class Command:
    """What to run, as whom it is known, and where its output goes."""

    job_id: str
    arguments: tuple[str, ...]
    log_dir: Path
    checkpoint_dir: str = ""
    grace_seconds: float = 10.0

    def log_path(self, attempt: int) -> Path:
        """Return the file that holds the output of *attempt*."""
        return self.log_dir / f"attempt-{attempt}.log"

    def report_path(self, attempt: int) -> Path:
        """Return the file that the command is given for its reports; ranks have one each beside it."""
        # Read before the output: what is reported goes before what is printed.
        return self.log_dir / f"attempt-{attempt}-reports" / "job.report"


@dataclass(frozen=True, slots=True)
class Started:
    """An attempt that runs."""

    number: int
    pid: int
    checkpoint: str
    step: int
    log_path: Path
    report_path: Path


@dataclass(frozen=True, slots=True)
class Ended:
    """An attempt that ended. *exit_code* is negative for a signal; *held*: we ended it ourselves."""

    number: int
    exit_code: int
    held: bool


class LocalProcess:
    """The actuator that holds, restarts or gives up one supervised command."""

    name = "local_process"

    def __init__(
        self,
        command: Command,
        on_start: Callable[[Started], None],
        before_hold: Callable[[], None],
        mode: Mode = Mode.AUTO,
    ) -> None:
        """Take the command and whom to tell: *on_start* of each attempt, *before_hold* before one is ended."""
        self.mode = mode
        self._command = command
        self._on_start = on_start
        self._before_hold = before_hold
        self._lock = threading.RLock()
        self._buried = threading.Condition(self._lock)
        self._child: subprocess.Popen[bytes] | None = None
        self._number = 0
        self._is_held = False
        self.given_up = ""
        """Why the job is not to run again; "" while it may."""

    @property
    def running(self) -> tuple[int, int] | None:
        """The attempt that runs as (number, pid); None between attempts and while one is being ended."""
        with self._lock:
            return None if self._child is None or self._is_held else (self._number, self._child.pid)

    @property
    def is_idle(self) -> bool:
        """Whether no attempt is left to follow: none was started, or the last one is buried."""
        with self._lock:
            return self._child is None

    @property
    def attempt(self) -> int:
        """Number of the latest attempt; 0 before the first."""
        return self._number

    @property
    def kinds(self) -> frozenset[StepKind]:
        """What can be done; ranks can be asked where the environment tells them to listen."""
        return _KINDS | ({StepKind.DUMP} if recorders_of(os.environ) else set())

    def recalled(self, step: Step, now: datetime) -> Recalled:
        """Return what the recorders of the ranks on this node hold, within seconds."""
        recorders = recorders_of(os.environ)
        running = self.running
        if recorders is None or running is None or step.arguments.get("attempt") != running[0]:
            return Recalled(detail="no rank can be asked")
        return recorders.asked()

    def targets(self) -> frozenset[str]:
        """Return the one job this actuator can act on."""
        return frozenset({self._command.job_id})

    def start(self, checkpoint: str = "", step: int = 0) -> None:
        """Start the next attempt.

        Raises:
            ActionError: The command cannot be started (not found, no permission), or is not to run again.
        """
        with self._lock:
            if self.given_up:
                raise ActionError(self.given_up)
            number = self._number + 1
            log_path = self._command.log_path(number)
            try:
                log_path.parent.mkdir(parents=True, exist_ok=True)
                with log_path.open("ab") as output:
                    self._child = subprocess.Popen(
                        self._command.arguments,
                        stdin=subprocess.DEVNULL,
                        stdout=output,
                        stderr=subprocess.STDOUT,
                        env=self._environment(number, checkpoint, step),
                        start_new_session=True,
                    )
            except OSError as error:
                raise ActionError(f"cannot start {self._command.arguments[0]!r}: {error.strerror or error}") from error
            self._number, self._is_held = number, False
            report_path = self._command.report_path(number)
            self._on_start(Started(number, self._child.pid, checkpoint, step, log_path, report_path))

    def poll(self) -> Ended | None:
        """Return the attempt that has ended, until it is buried; None while it runs or none is left.

        Its exit status is only looked at, so that others who watch its process can still see how it ended.
        """
        with self._lock:
            code = None if self._child is None else exit_code(self._child)
            return None if code is None else Ended(self._number, code, self._is_held)

    def bury(self) -> None:
        """Let go of an attempt that has ended."""
        with self._lock:
            if self._child is not None and exit_code(self._child) is not None:
                self._child.wait()
                self._child = None
                self._buried.notify_all()

    def retire(self, reason: str) -> None:
        """Never start the command again; the first *reason* given stays."""
        with self._lock:
            self.given_up = self.given_up or reason
            self._buried.notify_all()

    def terminate(self) -> int:
        """End the running attempt and everything it started: politely first, surely after the grace.

        Returns how many processes had to be ended that had left its session.

        Raises:
            ActionError: Something survived SIGKILL.
        """
        with self._lock:
            child = self._child
        if child is not None:
            end_session(child, self._command.grace_seconds)
        return self._end_strays(spared_attempt=0)

    def forward(self, number: int) -> None:
        """Pass a signal on to the command's session."""
        with self._lock:
            child = self._child
        if child is not None and exit_code(child) is None:
            signal_session(child.pid, signal.Signals(number))

    def perform(self, step: Step, now: datetime) -> Outcome:
        """Carry out *step*; refuses it when the job has moved on since it was decided."""
        if self.given_up:
            return self._refusal(step, now)
        if step.arguments.get("attempt") != self._number:
            return Outcome(step.id, StepState.REFUSED, now, f"attempt {self._number} runs by now")
        perform = {
            StepKind.HOLD: self._hold,
            StepKind.CHOOSE_CHECKPOINT: self._choose_checkpoint,
            StepKind.REQUEUE: self._requeue,
            StepKind.STOP: self._stop,
        }.get(step.kind)
        if perform is None:
            return Outcome(step.id, StepState.REFUSED, now, f"a local process knows no {step.kind.value}")
        return perform(step, now)

    def state_of(self, step: Step) -> WorldState:
        """Ask the child: a restart was done if a later attempt runs; everything else can safely be done again."""
        if step.kind is StepKind.REQUEUE and self._number > int(step.arguments.get("attempt") or 0):
            return WorldState.DONE
        return WorldState.NOT_DONE

    def _environment(self, number: int, checkpoint: str, step: int) -> Mapping[str, str]:
        command = self._command
        resume = (command.job_id, str(number), checkpoint, str(step), command.checkpoint_dir)
        values = (*resume, command.job_id, str(command.report_path(number)))
        # Python holds back what it prints into a file, some 8 KiB: steps would come in bursts, with silence between.
        return {"PYTHONUNBUFFERED": "1", **os.environ, **dict(zip(VARIABLES, values, strict=True))}

    def _refusal(self, step: Step, now: datetime) -> Outcome:
        return Outcome(step.id, StepState.REFUSED, now, self.given_up)

    def _hold(self, step: Step, now: datetime) -> Outcome:
        if self.running is not None:
            self._before_hold()
        with self._lock:
            if self.given_up:
                return self._refusal(step, now)
            self._hold_if_running()
        return Outcome(step.id, StepState.DONE, now, _with_strays("all its processes have ended", self.terminate()))

    def _hold_if_running(self) -> None:
        """Note that the attempt's end is our doing, unless it ended by itself just before."""
        if self._child is not None and exit_code(self._child) is None:
            self._is_held = True

    def _choose_checkpoint(self, step: Step, now: datetime) -> Outcome:
        path = str(step.arguments.get("checkpoint") or "")
        if path and not Path(path).exists():
            return Outcome(step.id, StepState.FAILED, now, f"checkpoint {path} is gone")
        return Outcome(step.id, StepState.DONE, now, path or "no complete checkpoint: from the beginning")

    def _requeue(self, step: Step, now: datetime) -> Outcome:
        with self._lock:
            if self._child is not None and exit_code(self._child) is None:
                return Outcome(step.id, StepState.REFUSED, now, "its processes still run")
            # Whoever follows the command tells of its end before it begins anew.
            if not self._buried.wait_for(lambda: self._child is None or self.given_up, BURIED_WITHIN_SECONDS):
                return Outcome(step.id, StepState.FAILED, now, "the end of the last attempt was not taken note of")
        # Without the lock: ending them takes a while, and an operator's stop need not wait for it.
        strays = self._end_strays(spared_attempt=self._number + 1)
        with self._lock:
            if self.given_up:
                return self._refusal(step, now)
            self.start(str(step.arguments.get("checkpoint") or ""), int(step.arguments.get("step") or 0))
        return Outcome(step.id, StepState.DONE, now, _with_strays(f"attempt {self._number} started", strays))

    def _stop(self, step: Step, now: datetime) -> Outcome:
        with self._lock:
            # Before it is told to end: a command that exits with 0 on SIGTERM has not completed.
            self._hold_if_running()
            self.retire(str(step.arguments.get("reason") or "stopped"))
        detail = _with_strays("the job will not be started again", self.terminate())
        return Outcome(step.id, StepState.DONE, now, detail)

    def _end_strays(self, spared_attempt: int) -> int:
        """End what attempts other than *spared_attempt* left running in sessions of their own; return how many.

        A crashed launcher leaves workers behind that hold GPUs, ports and checkpoints of the next attempt.
        """
        strays = processes_of(self._command.job_id, str(spared_attempt))
        end_all(strays, self._command.grace_seconds)
        return len(strays)


def _with_strays(detail: str, strays: int) -> str:
    return f"{detail}; {strays} left in sessions of their own were ended" if strays else detail


def described(arguments: Sequence[str], limit: int = 200) -> str:
    """Return the command as a person reads it, cut to *limit* characters."""
    text = " ".join(arguments)
    return text if len(text) <= limit else text[: limit - 1] + "…"
