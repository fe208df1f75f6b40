"""Checkpoint folders of jobs to readings: what was saved whole, and what is torn."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from clusterwatch.model import Collected, Reading, Scalar, Trust, kinds
from clusterwatch.reading.archives import FileSeen
from clusterwatch.reading.checkpoints import TRACKER, Candidate, Found, candidates, examined, excerpt_of
from clusterwatch.seams import Site, WatchedJob

NEWEST_STEPS = 50
DEPTH = 3
MOST_FILES = 50_000

_SAVED, _TORN = "saved", "torn"


@dataclass(frozen=True, slots=True)
class _Scan:
    """The files under a checkpoint folder, and why some of them may be left out."""

    files: dict[str, FileSeen]
    condition: str = ""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is known of one checkpoint: its state at the last look, and what was told of it in which state."""

    signature: str
    told_signature: str = ""
    told: str = ""

    @classmethod
    def of(cls, saved: object) -> _Seen:
        """Return what a saved position knows of a checkpoint; nothing where it does not name it."""
        return cls(**saved) if isinstance(saved, Mapping) else cls("")

    def as_json(self) -> dict[str, str]:
        """Return it as a position holds it."""
        return {"signature": self.signature, "told_signature": self.told_signature, "told": self.told}


class CheckpointCollector:
    """Looks through every job's checkpoint folder, at most `DEPTH` levels deep, for its `NEWEST_STEPS` newest steps.

    What is not known to be whole may still be written. It is told to be torn, or saved but not verified, once it has
    not changed between two looks, or at once when the job is down (it has no pid, or ``final`` is set).
    """

    name = "checkpoints"
    every_seconds = 5.0
    deadline_seconds = 60.0

    def collect(self, site: Site, position: Mapping[str, object], now: datetime) -> Collected:
        """Return what was saved or found torn since *position*."""
        readings: list[Reading] = []
        conditions: list[str] = []
        after: dict[str, object] = {}
        for job in site.jobs:
            if job.checkpoint_dir:
                look = _Look(site, job, now)
                after[job.id] = look.through(_mapping(position.get(job.id)))
                readings += look.readings
                conditions += [look.condition] if look.condition else []
        return Collected(tuple(readings), after, "; ".join(conditions))

    def close(self) -> None:
        """Hold nothing, give nothing back."""


class _Look:
    """One look through one job's checkpoint folder."""

    def __init__(self, site: Site, job: WatchedJob, now: datetime) -> None:
        self._site = site
        self._job = job
        self._now = now
        self._root = Path(job.checkpoint_dir)
        self._is_down = job.pid is None or bool(site.settings.get("final"))
        self.readings: list[Reading] = []
        self.condition = ""

    def through(self, before: Mapping[str, object]) -> dict[str, dict[str, str]]:
        """Return what is known now, by path, from what was known *before*."""
        scan = _scan(self._root)
        self.condition = scan.condition
        after = {}
        for candidate in candidates(scan.files)[-NEWEST_STEPS:]:
            known = _Seen.of(before.get(candidate.path))
            after[candidate.path] = self._seen(candidate, scan.files, known).as_json()
        return after

    def _seen(self, candidate: Candidate, files: Mapping[str, FileSeen], before: _Seen) -> _Seen:
        signature = _signature(candidate, files)
        seen = replace(before, signature=signature)
        if before.told_signature == signature:
            return seen
        found = _examined(self._root, candidate, files)
        is_settled = self._is_down or before.signature == signature
        if found and found.complete and (found.verified or is_settled):
            self._tell(kinds.CHECKPOINT_SAVED, found, signature)
            return _Seen(signature, signature, _SAVED)
        if found and not found.complete and is_settled and before.told != _TORN:
            self._tell(kinds.CHECKPOINT_TORN, found, signature)
            return _Seen(signature, signature, _TORN)
        return seen

    def _tell(self, subject: str, found: Found, signature: str) -> None:
        path = str(self._root / found.path)
        facts: dict[str, Scalar] = {"path": path, "step": found.step, "format": found.format}
        if found.complete:
            facts |= {"size_bytes": found.size_bytes, "verified": found.verified}
            text = f"checkpoint of step {found.step} is complete: {path}"
        else:
            facts |= {"problem": found.problem}
            text = f"checkpoint of step {found.step} is torn ({found.problem}): {path}"
        self.readings.append(
            Reading(
                source=CheckpointCollector.name,
                node=self._site.node,
                boot_id=self._site.boot_id,
                position=f"{path}:{signature}",
                observed_at=self._now,
                happened_at=found.saved_at,
                trust=Trust.USER,
                subject=subject,
                text=text,
                fields=facts,
                job=self._job.id,
                attempt=self._job.attempt,
            )
        )


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _signature(candidate: Candidate, files: Mapping[str, FileSeen]) -> str:
    facts = [candidate.problem, *(f"{path}\0{files[path].size}\0{files[path].modified_at}" for path in candidate.files)]
    return hashlib.sha256("\0".join(facts).encode(errors="surrogateescape")).hexdigest()[:16]


def _scan(root: Path) -> _Scan:
    """Return the files under *root* without their contents, those of the newest steps first while there is room."""
    files: dict[str, FileSeen] = {}
    try:
        with os.scandir(root) as listed:
            entries = sorted(listed, key=_newest_first)
    except FileNotFoundError:  # nothing was saved yet
        return _Scan({})
    except OSError as error:
        return _Scan({}, f"{root}: {error.strerror}: checkpoints cannot be seen, run as a user who may read it")
    for entry in entries:
        found = dict(_files_of(entry, entry.name, DEPTH))
        if len(files) + len(found) > MOST_FILES:
            condition = f"{root}: more than {MOST_FILES} files: only the newest steps are looked at"
            return _Scan(_with_trackers(root, files), condition)
        files |= found
    return _Scan(_with_trackers(root, files))


def _newest_first(entry: os.DirEntry[str]) -> tuple[bool, int]:
    numbers = re.findall(r"\d{1,18}", entry.name)
    return entry.is_dir(follow_symlinks=False), -int(numbers[-1]) if numbers else 0


def _files_of(entry: os.DirEntry[str], path: str, depth: int) -> Iterator[tuple[str, FileSeen]]:
    try:
        if entry.is_file():
            status = entry.stat()
            yield path, FileSeen(status.st_size, status.st_mtime)
        elif depth > 1 and entry.is_dir(follow_symlinks=False):
            with os.scandir(entry) as listed:
                for inner in listed:
                    yield from _files_of(inner, f"{path}/{inner.name}", depth - 1)
    except OSError:  # removed, as old checkpoints are, while being looked at
        return


def _with_trackers(root: Path, files: dict[str, FileSeen]) -> dict[str, FileSeen]:
    trackers = [path for path in files if path.rpartition("/")[2] == TRACKER]
    with suppress(FileNotFoundError):
        return files | {path: _with_content(root, path, files[path]) for path in trackers}
    return files


def _examined(root: Path, candidate: Candidate, files: Mapping[str, FileSeen]) -> Found | None:
    """Return what *candidate* is; None when it is being removed right now."""
    try:
        return examined(candidate, {path: _with_content(root, path, files[path]) for path in candidate.files})
    except FileNotFoundError:
        return None


def _with_content(root: Path, path: str, seen: FileSeen) -> FileSeen:
    head, tail = excerpt_of(path)
    try:
        with (root / path).open("rb") as file:
            beginning = file.read(min(head, seen.size)) if head else b""
            if tail:
                file.seek(max(seen.size - tail, 0))
            return replace(seen, head=beginning, tail=file.read(tail) if tail else b"")
    except FileNotFoundError:
        raise
    except OSError:  # it cannot be verified, which is not to say that it is torn
        return seen
