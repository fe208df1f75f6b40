"""Carry out steps on a command that this process supervises: the first real actuator.

The command runs in a session of its own, writing to a log file, so that it outlives a killed supervisor: losing
the monitor must not cost the training. What it needs to resume stands in its environment.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psutil

from clusterwatch.errors import ActionError
from clusterwatch.model import Mode, Outcome, Step, StepKind, StepState, WorldState

VARIABLES = {
    "CLUSTERWATCH_JOB_ID": "Id of the job, the same for all attempts.",
    "CLUSTERWATCH_ATTEMPT": "Number of this attempt, from 1.",
    "CLUSTERWATCH_RESUME_CHECKPOINT": "Path of the checkpoint to resume from; empty when there is none.",
    "CLUSTERWATCH_RESUME_STEP": "Training step of that checkpoint; 0 when there is none.",
    "CLUSTERWATCH_CHECKPOINT_DIR": "Folder in which checkpoints are looked for; empty when none was given.",
}
"""The environment the command is given, and what each variable means."""


KILLED_WITHIN_SECONDS = 5.0
"""SIGKILL works at once but for a process that waits for a dead device."""


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


@dataclass(frozen=True, slots=True)
class Started:
    """An attempt that runs."""

    number: int
    pid: int
    checkpoint: str
    step: int
    log_path: Path


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
    def attempt(self) -> int:
        """Number of the latest attempt; 0 before the first."""
        return self._number

    def targets(self) -> frozenset[str]:
        """Return the one job this actuator can act on."""
        return frozenset({self._command.job_id})

    def start(self, checkpoint: str = "", step: int = 0) -> None:
        """Start the next attempt.

        Raises:
            ActionError: The command cannot be started (not found, no permission).
        """
        with self._lock:
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
            self._on_start(Started(number, self._child.pid, checkpoint, step, log_path))

    def poll(self) -> Ended | None:
        """Return the attempt that has ended, until it is buried; None while it runs or none is left.

        Its exit status is only looked at, so that others who watch its process can still see how it ended.
        """
        with self._lock:
            exit_code = None if self._child is None else _exit_code(self._child)
            return None if exit_code is None else Ended(self._number, exit_code, self._is_held)

    def bury(self) -> None:
        """Let go of an attempt that has ended."""
        with self._lock:
            if self._child is not None and _exit_code(self._child) is not None:
                self._child.wait()
                self._child = None
                self._buried.notify_all()

    def terminate(self) -> None:
        """End the running attempt and everything it started: politely first, surely after the grace."""
        with self._lock:
            child = self._child
        if child is not None:
            _end_session(child, self._command.grace_seconds)

    def forward(self, number: int) -> None:
        """Pass a signal on to the command's session."""
        with self._lock:
            child = self._child
        if child is not None and _exit_code(child) is None:
            _signal_session(child.pid, signal.Signals(number))

    def perform(self, step: Step, now: datetime) -> Outcome:
        """Carry out *step*; refuses it when the job has moved on since it was decided."""
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
        values = (self._command.job_id, str(number), checkpoint, str(step), self._command.checkpoint_dir)
        return {**os.environ, **dict(zip(VARIABLES, values, strict=True))}

    def _hold(self, step: Step, now: datetime) -> Outcome:
        if self.running is not None:
            self._before_hold()
            with self._lock:
                self._is_held = True
            self.terminate()
        return Outcome(step.id, StepState.DONE, now, "all its processes have ended")

    def _choose_checkpoint(self, step: Step, now: datetime) -> Outcome:
        path = str(step.arguments.get("checkpoint") or "")
        if path and not Path(path).exists():
            return Outcome(step.id, StepState.FAILED, now, f"checkpoint {path} is gone")
        return Outcome(step.id, StepState.DONE, now, path or "no complete checkpoint: from the beginning")

    def _requeue(self, step: Step, now: datetime) -> Outcome:
        with self._lock:
            if self._child is not None and _exit_code(self._child) is None:
                return Outcome(step.id, StepState.REFUSED, now, "its processes still run")
            # Whoever follows the command tells of its end before it begins anew.
            if not self._buried.wait_for(lambda: self._child is None, BURIED_WITHIN_SECONDS):
                return Outcome(step.id, StepState.FAILED, now, "the end of the last attempt was not taken note of")
            self.start(str(step.arguments.get("checkpoint") or ""), int(step.arguments.get("step") or 0))
        return Outcome(step.id, StepState.DONE, now, f"attempt {self._number} started")

    def _stop(self, step: Step, now: datetime) -> Outcome:
        self.terminate()
        self.given_up = str(step.arguments.get("reason") or "stopped")
        return Outcome(step.id, StepState.DONE, now, "the job will not be started again")


def _exit_code(child: subprocess.Popen[bytes]) -> int | None:
    """Return how *child* ended, negative for a signal, without taking its exit status away; None while it runs."""
    if child.returncode is not None:
        return child.returncode
    ended = os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    if ended is None:
        return None
    return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status


def _end_session(child: subprocess.Popen[bytes], grace_seconds: float) -> None:
    descendants = _descendants(child.pid)
    # A stopped process never takes SIGTERM, and its launcher would wait for it in vain.
    _kill(process for process in descendants if _is_stopped(process.pid))
    _signal_session(child.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        child.wait(0 if _is_stopped(child.pid) else grace_seconds)
    left = {*descendants, *_descendants(child.pid)}
    _kill(left)
    # Only now its own kill: while it lives, what it started can be found through it.
    child.kill()
    child.wait()
    psutil.wait_procs(left, timeout=KILLED_WITHIN_SECONDS)


def _is_stopped(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP))
    except psutil.NoSuchProcess:
        return False


def _kill(processes: Iterable[psutil.Process]) -> None:
    for process in processes:
        # One that has gone meanwhile needs no killing.
        with suppress(psutil.NoSuchProcess):
            process.kill()


def _descendants(pid: int) -> list[psutil.Process]:
    try:
        return list(psutil.Process(pid).children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def _signal_session(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return


def described(arguments: Sequence[str], limit: int = 200) -> str:
    """Return the command as a person reads it, cut to *limit* characters."""
    text = " ".join(arguments)
    return text if len(text) <= limit else text[: limit - 1] + "…"
