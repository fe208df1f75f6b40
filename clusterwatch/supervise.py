"""Supervise a training command: tell what the supervisor knows of it, and follow it to its end.

The supervisor is a source like any other: what it knows (an attempt started, ended, the job is over) goes through
the same path as a log line, and what happens next is decided there, not here.
"""

from __future__ import annotations

import glob
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import structlog

from clusterwatch.act.local_process import Command, Ended, LocalProcess, Started
from clusterwatch.model import Collected, JobState, Mode, Reading, Scalar, kinds
from clusterwatch.seams import Clock, Site, WatchedJob

COLLECTOR = "supervisor"

ECHO_EVERY_SECONDS = 0.2
ECHO_BYTES = 1 << 16
ECHOED_WITHIN_SECONDS = 5.0

log = structlog.get_logger(component="supervise")


@dataclass(frozen=True, slots=True)
class JobDescription:
    """What is known of a job before it starts."""

    id: str
    name: str
    command: tuple[str, ...]
    node: str
    user: str = ""
    gpus: int = 0
    checkpoint_dir: str = ""


class Supervision:
    """One supervised job: a collector of what the supervisor knows, and the actuator that acts on its command."""

    name = COLLECTOR
    every_seconds = 1.0
    deadline_seconds = 5.0

    def __init__(self, job: JobDescription, log_dir: Path, clock: Clock, mode: Mode = Mode.AUTO) -> None:
        """Take the job, the folder for its output, and the mode of its actuator."""
        self.job = job
        self._clock = clock
        self._told: list[Reading] = []
        self._lock = threading.Lock()
        self._started: Started | None = None
        self.before_hold: list[Callable[[], None]] = []
        """Called before an attempt is ended on purpose, so that its last words are read first."""
        command = Command(job.id, job.command, log_dir, job.checkpoint_dir)
        self.actuator = LocalProcess(command, self._attempt_started, self._before_hold, mode)

    def begin(self) -> None:
        """Tell of the job and start its first attempt.

        Raises:
            ActionError: The command cannot be started.
        """
        job = self.job
        self._tell(
            kinds.JOB_STARTED,
            None,
            name=job.name,
            command="\x1f".join(job.command),
            user=job.user,
            gpus=job.gpus,
            checkpoint_dir=job.checkpoint_dir,
            actuator=self.actuator.name,
            nodes=job.node,
        )
        self.actuator.start()

    def watched(self) -> tuple[WatchedJob, ...]:
        """Return what collectors should follow now: nothing while an attempt is being ended on purpose."""
        running = self.actuator.running
        if self._started is None or running is None:
            return ()
        number, pid = running
        return (WatchedJob(self.job.id, number, pid, _log_paths(self._started), self.job.checkpoint_dir),)

    def ended_attempt(self) -> tuple[WatchedJob, ...]:
        """Return the last attempt as collectors should see it once more, after its processes ended."""
        if self._started is None:
            return ()
        started = self._started
        logs, folder = _log_paths(started), self.job.checkpoint_dir
        return (WatchedJob(self.job.id, started.number, None, logs, folder, is_down=True),)

    @property
    def log_path(self) -> Path | None:
        """File with the output of the latest attempt."""
        return self._started.log_path if self._started is not None else None

    def attempt_ended(self, ended: Ended) -> None:
        """Tell that an attempt ended."""
        self._tell(kinds.ATTEMPT_ENDED, ended.number, exit_code=ended.exit_code, held=ended.held)

    def job_ended(self, state: JobState, reason: str) -> None:
        """Tell that the job will not run again, and why."""
        self._tell(kinds.JOB_ENDED, None, state=state.value, reason=reason)

    def collect(self, site: Site, position: Mapping[str, object], now: datetime) -> Collected:
        """Return what was told since *position*."""
        told = position.get("told", 0) if position.get("job") == self.job.id else 0
        begin = told if isinstance(told, int) else 0
        with self._lock:
            readings = tuple(self._told[begin:])
        return Collected(readings, {"job": self.job.id, "told": begin + len(readings)})

    def close(self) -> None:
        """Hold nothing to give back: the command goes on without its supervisor."""

    def _before_hold(self) -> None:
        for call in self.before_hold:
            call()

    def _attempt_started(self, started: Started) -> None:
        self._started = started
        self._tell(
            kinds.ATTEMPT_STARTED,
            started.number,
            pid=started.pid,
            resumed_step=started.step,
            resumed_checkpoint=started.checkpoint,
        )

    def _tell(self, kind: str, attempt: int | None, **fields: Scalar) -> None:
        now = self._clock.now()
        with self._lock:
            self._told.append(
                Reading(
                    source=COLLECTOR,
                    node=self.job.node,
                    position=f"{self.job.id}/{len(self._told)}",
                    observed_at=now,
                    happened_at=now,
                    subject=kind,
                    text=_sentence(kind, self.job, attempt, fields),
                    fields=fields,
                    job=self.job.id,
                    attempt=attempt,
                )
            )


class FollowedJobs:
    """Jobs of the configuration that run without us: known from the start, so that their logs have an owner."""

    name = "configured_jobs"
    every_seconds = 60.0
    deadline_seconds = 5.0

    def __init__(self, jobs: Sequence[JobDescription]) -> None:
        """Take the jobs as the configuration describes them."""
        self.jobs = tuple(jobs)

    def collect(self, site: Site, position: Mapping[str, object], now: datetime) -> Collected:
        """Return the jobs that were not told of yet."""
        known = position.get("told")
        told = [str(each) for each in known] if isinstance(known, list) else []
        fresh = [job for job in self.jobs if job.id not in told]
        readings = [
            _described(job, kind, site, now) for job in fresh for kind in (kinds.JOB_STARTED, kinds.ATTEMPT_STARTED)
        ]
        return Collected(tuple(readings), {"told": sorted({*told, *(job.id for job in fresh)})})

    def close(self) -> None:
        """Hold nothing to give back."""


def _log_paths(started: Started) -> tuple[str, ...]:
    reports = glob.escape(str(started.report_path.parent))
    return (f"{reports}/*{started.report_path.suffix}", str(started.log_path))


def _described(job: JobDescription, kind: str, site: Site, now: datetime) -> Reading:
    fields: dict[str, Scalar] = {"name": job.name, "checkpoint_dir": job.checkpoint_dir, "nodes": site.node}
    return Reading(
        source="configured_jobs",
        node=site.node,
        position=f"{job.id}/{kind}",
        observed_at=now,
        happened_at=now,
        subject=kind,
        text=f"job {job.name} is followed",
        fields=fields if kind == kinds.JOB_STARTED else {},
        job=job.id,
        attempt=None if kind == kinds.JOB_STARTED else 1,
    )


def _sentence(kind: str, job: JobDescription, attempt: int | None, fields: Mapping[str, Scalar]) -> str:
    sentences = {
        kinds.JOB_STARTED: f"job {job.name} is supervised",
        kinds.ATTEMPT_STARTED: f"attempt {attempt} started from step {fields.get('resumed_step')}",
        kinds.ATTEMPT_ENDED: f"attempt {attempt} ended with exit code {fields.get('exit_code')}",
        kinds.JOB_ENDED: f"job {job.name} {fields.get('state')}: {fields.get('reason')}",
    }
    return sentences[kind]


class Echo:
    """Copies the output of attempt after attempt to a stream, in a thread of its own: its reader may take its time."""

    def __init__(self, stream: BinaryIO | None, path: Callable[[], Path | None]) -> None:
        """Take the unbuffered stream to copy to, None for none, and what tells the file to copy now."""
        self._stream = stream
        self._now_at = path
        self._path: Path | None = None
        self._offset = 0
        self._ending = threading.Event()
        # A reader that never reads must not keep the process from ending.
        self._thread = threading.Thread(target=self._follow, name="echo", daemon=True)

    def start(self) -> None:
        """Copy from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Copy what is left, if it is taken within a few seconds."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join(ECHOED_WITHIN_SECONDS)

    def pump(self) -> None:
        """Copy what was written since the last time; a new file comes after the rest of the one before."""
        path = self._now_at()
        if path != self._path:
            self._copy()
            self._path, self._offset = path, 0
        self._copy()

    def _follow(self) -> None:
        while not self._ending.wait(ECHO_EVERY_SECONDS):
            self.pump()
        self.pump()

    def _copy(self) -> None:
        while self._stream is not None and (data := self._unread()):
            written = self._write(self._stream, data)
            self._offset += written
            if not written:
                return

    def _unread(self) -> bytes:
        if self._path is None:
            return b""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                return file.read(ECHO_BYTES)
        except OSError:
            # It is not there yet, or no more; what it held is on record all the same.
            return b""

    def _write(self, stream: BinaryIO, data: bytes) -> int:
        """Return how many bytes were taken; whoever read them may have gone, which ends the echo and nothing else."""
        try:
            return stream.write(data) or 0
        except (OSError, ValueError) as error:
            log.warning("output is no longer shown, the job goes on", error=str(error), output=str(self._path))
            self._stream = None
            return 0
