"""Supervise a training command: tell what the supervisor knows of it, and follow it to its end.

The supervisor is a source like any other: what it knows (an attempt started, ended, the job is over) goes through
the same path as a log line, and what happens next is decided there, not here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from clusterwatch.act.local_process import Command, Ended, LocalProcess, Started
from clusterwatch.model import Collected, JobState, Mode, Reading, Scalar, kinds
from clusterwatch.seams import Clock, Site, WatchedJob

COLLECTOR = "supervisor"


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
        return (WatchedJob(self.job.id, number, pid, (str(self._started.log_path),), self.job.checkpoint_dir),)

    def ended_attempt(self) -> tuple[WatchedJob, ...]:
        """Return the last attempt as collectors should see it once more, after its processes ended."""
        if self._started is None:
            return ()
        log_paths = (str(self._started.log_path),)
        return (WatchedJob(self.job.id, self._started.number, None, log_paths, self.job.checkpoint_dir),)

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


@dataclass(slots=True)
class Echo:
    """Copies a growing file to a stream, from where it was left."""

    stream: BinaryIO
    _path: Path | None = None
    _offset: int = 0
    _chunk: int = field(default=1 << 16, repr=False)

    def pump(self, path: Path | None) -> None:
        """Copy what *path* holds beyond what was copied before; another path starts at its beginning."""
        if path is None or not path.exists():
            return
        if path != self._path:
            self._path, self._offset = path, 0
        with path.open("rb") as file:
            file.seek(self._offset)
            while data := file.read(self._chunk):
                self.stream.write(data)
                self._offset += len(data)
        self.stream.flush()
