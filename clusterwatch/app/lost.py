"""Notice supervisors that were killed: jobs that nobody follows any more have ended, as far as anyone can tell.

A supervisor leaves a note beside the output of its job for as long as the job's end is not on record. Whoever runs
next on the same state folder finds the notes whose supervisor is gone, and tells the end in its place.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psutil
from pydantic import TypeAdapter, ValidationError

from clusterwatch.act.ending import runs
from clusterwatch.model import Collected, JobState, Reading, kinds
from clusterwatch.seams import Site
from clusterwatch.supervise import COLLECTOR

NOTE = "supervisor.json"

SAME_START_SECONDS = 60.0
"""The start of a process is computed from the time of boot, which moves when the clock is set."""


@dataclass(frozen=True, slots=True)
class Note:
    """What a supervisor leaves: who it is, and how its job ended as far as it knows."""

    job: str
    node: str
    pid: int
    started: float
    state: JobState = JobState.STOPPED
    reason: str = "its supervisor was killed; its processes may still run"

    @property
    def is_lost(self) -> bool:
        """Whether the supervisor runs no more. Only its own node can tell."""
        try:
            process = psutil.Process(self.pid)
            return abs(process.create_time() - self.started) > SAME_START_SECONDS or not runs(process)
        except psutil.NoSuchProcess:
            return True


def note_of_this_process(job: str, node: str) -> Note:
    """Return the note that this process leaves for *job*."""
    return Note(job, node, os.getpid(), psutil.Process().create_time())


def leave(note: Note, folder: Path) -> None:
    """Write *note* into the job's *folder*, whole or not at all; the one before is replaced.

    Raises:
        OSError: The folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / f"{NOTE}.new"
    fresh.write_bytes(_ADAPTER.dump_json(note))
    fresh.replace(folder / NOTE)


def remove(folder: Path) -> None:
    """Take the note back: the job's end is on record."""
    (folder / NOTE).unlink(missing_ok=True)


class LostSupervisors:
    """Tells the end of jobs on this node whose supervisor was killed, each once."""

    name = "lost_supervisors"
    every_seconds = 60.0
    deadline_seconds = 10.0

    def __init__(self, jobs_folder: Path) -> None:
        """Take the folder that holds the folders of the jobs."""
        self._jobs_folder = jobs_folder

    def collect(self, site: Site, position: Mapping[str, object], now: datetime) -> Collected:
        """Return the ends not told yet; what was told, and so is on record by now, is no longer noted."""
        known = position.get("told")
        told = known if isinstance(known, list) else []
        lost = {
            path: note
            for path in sorted(self._jobs_folder.glob(f"*/{NOTE}"))
            if (note := _read(path)) is not None and note.node == site.node and note.is_lost
        }
        for path, note in lost.items():
            if note.job in told:
                path.unlink(missing_ok=True)
        fresh = [note for note in lost.values() if note.job not in told]
        readings = tuple(_ended(note, now) for note in fresh)
        return Collected(readings, {"told": [note.job for note in fresh]}, more=bool(fresh))

    def close(self) -> None:
        """Hold nothing to give back."""


_ADAPTER = TypeAdapter(Note)


def _read(path: Path) -> Note | None:
    try:
        return _ADAPTER.validate_json(path.read_bytes())
    except (OSError, ValidationError):
        # It has just been taken back, or is none of ours.
        return None


def _ended(note: Note, now: datetime) -> Reading:
    return Reading(
        source=COLLECTOR,
        node=note.node,
        position=f"{note.job}/lost",
        observed_at=now,
        happened_at=now,
        subject=kinds.JOB_ENDED,
        text=f"job {note.job} {note.state}: {note.reason}",
        fields={"state": note.state.value, "reason": note.reason},
        job=note.job,
    )
