"""Checkpoint folders of jobs to readings: what was saved whole, and what is torn."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

from clusterwatch.model import Collected, Reading, Scalar, Trust, kinds
from clusterwatch.reading.archives import FileSeen
from clusterwatch.reading.checkpoints import DEPTH, NOTES, ROOT, Candidate, Found, candidates, examined, excerpt_of
from clusterwatch.reading.manifests import MANIFEST, manifest_in
from clusterwatch.seams import Site, WatchedJob
from collectors._checksums import Summing
from collectors._settings import settings_in

LONGEST_PAUSE_SECONDS = 30.0
"""What was not read for checksums while nobody looked for longer than this is not made up for."""

NEWEST_STEPS = 50
MOST_FILES = 50_000
MOST_REMEMBERED = 500
"""How many older and deleted checkpoints are remembered, so that it is told when one is deleted or comes back."""

_SAVED, _TORN, _DELETED = "saved", "torn", "deleted"


@dataclass(frozen=True, slots=True)
class _Scan:
    """The files under a checkpoint folder, and why some of them may be left out."""

    files: dict[str, FileSeen]
    condition: str = ""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is known of one checkpoint: its state at the last look, and what was told of it in which state.

    *returns* counts how often it was deleted: what is saved under the same name later is another one. *summed* is the
    signature of that whose checksums were read.
    """

    signature: str
    told_signature: str = ""
    told: str = ""
    step: int = 0
    format: str = ""
    returns: int = 0
    summed: str = ""

    @classmethod
    def of(cls, saved: object) -> _Seen:
        """Return what a saved position knows of a checkpoint; nothing where it does not name it."""
        return cls(**saved) if isinstance(saved, Mapping) else cls("")

    def as_json(self) -> dict[str, str | int]:
        """Return it as a position holds it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class CheckpointSettings:
    """How it looks.

    Attributes:
        final: Whether every job counts as down; a single look takes them so.
        checksums: Whether files are read and compared with the checksums that their manifest names.
        checksum_bytes_per_second: How much is read for that, of all jobs together.
    """

    final: bool = False
    checksums: bool = False
    checksum_bytes_per_second: float = 50_000_000.0


class CheckpointCollector:
    """Looks through every job's checkpoint folder, at most `DEPTH` levels deep, for its `NEWEST_STEPS` newest steps.

    What is not known to be whole may still be written. It is told to be torn, or saved but not verified, once it has
    not changed between two looks, or at once when the job is down (it is said to be, or ``final`` is set). Checksums
    are read behind that, as fast as the settings allow, of the newest step first: one that is wrong makes it torn.
    """

    name = "checkpoints"
    every_seconds = 5.0
    deadline_seconds = 60.0

    def __init__(self) -> None:
        """Begin with no file open."""
        self._looked_at: datetime | None = None
        self._summing: dict[str, Summing] = {}

    def collect(self, site: Site, position: Mapping[str, object], now: datetime) -> Collected:
        """Return what was saved or found torn since *position*.

        Raises:
            ConfigError: The settings are wrong.
        """
        settings = settings_in(site.settings, CheckpointSettings, self.name)
        budget_bytes = self._may_read(settings, now)
        readings: list[Reading] = []
        conditions: list[str] = []
        after: dict[str, object] = {}
        for job in site.jobs:
            if job.checkpoint_dir:
                look = _Look(site, job, settings.final, now)
                known = look.through(_mapping(position.get(job.id)))
                budget_bytes -= self._summed(look, known, budget_bytes)
                after[job.id] = {path: seen.as_json() for path, seen in known.items()}
                readings += look.readings
                conditions += [look.condition] if look.condition else []
        return Collected(tuple(readings), after, "; ".join(conditions))

    def close(self) -> None:
        """Hold nothing, give nothing back."""

    def _may_read(self, settings: CheckpointSettings, now: datetime) -> int:
        """Return how many bytes may be read for checksums in this look."""
        before, self._looked_at = self._looked_at, now
        if not settings.checksums:
            return 0
        seconds = self.every_seconds if before is None else (now - before).total_seconds()
        return int(settings.checksum_bytes_per_second * min(max(seconds, 0.0), LONGEST_PAUSE_SECONDS))

    def _summed(self, look: _Look, known: dict[str, _Seen], budget_bytes: int) -> int:
        """Go on reading checksums of the job's checkpoints, and return how much was read."""
        spent = 0
        while spent < budget_bytes:
            path = look.to_sum(known, self._summing.get(look.job_id))
            if path is None:
                break
            begun = self._summing.get(look.job_id)
            summing = begun if begun and begun.signature == known[path].signature else look.summing(path, known[path])
            self._summing[look.job_id] = summing
            spent += summing.read(budget_bytes - spent)
            if not summing.is_over:
                break
            known[path] = look.after_sums(path, known[path], summing.problem)
            del self._summing[look.job_id]
        return spent


class _Look:
    """One look through one job's checkpoint folder."""

    def __init__(self, site: Site, job: WatchedJob, is_final: bool, now: datetime) -> None:
        self.job_id = job.id
        self._site = site
        self._job = job
        self._now = now
        self._root = Path(job.checkpoint_dir)
        self._is_down = job.is_down or is_final
        self.readings: list[Reading] = []
        self.condition = ""

    def through(self, before: Mapping[str, object]) -> dict[str, _Seen]:
        """Return what is known now, by path, from what was known *before*."""
        scan = _scan(self._root)
        self.condition = scan.condition
        known = {path: _Seen.of(saved) for path, saved in before.items()}
        there = candidates(scan.files)
        after = {}
        for candidate in there[-NEWEST_STEPS:]:
            after[candidate.path] = self._seen(candidate, scan.files, known.get(candidate.path, _Seen("")))
        # Where the folder could not be read to its end, what was not seen may be there.
        is_there = known.keys() if scan.condition else {candidate.path for candidate in there}
        others = [(path, seen) for path, seen in known.items() if path not in after and seen.told != _TORN]
        kept = others[-MOST_REMEMBERED:]
        self._there = {candidate.path: candidate for candidate in there[-NEWEST_STEPS:]}
        self._files = scan.files
        return after | {path: seen if path in is_there else self._deleted(path, seen) for path, seen in kept}

    def to_sum(self, known: Mapping[str, _Seen], begun: Summing | None) -> str | None:
        """Return whose checksums are read now: of the checkpoint that was begun, else of the newest; None for none."""
        waiting = [
            path
            for path in self._there
            if (seen := known.get(path)) is not None
            if seen.told == _SAVED and seen.told_signature == seen.signature != seen.summed
        ]
        same = (path for path in waiting if begun is not None and known[path].signature == begun.signature)
        return next(same, waiting[-1] if waiting else None)

    def summing(self, path: str, seen: _Seen) -> Summing:
        """Return the checksums that are to be read of a checkpoint; none where no manifest names any."""
        folder = self._root if path == ROOT else self._root / path
        manifest = MANIFEST if path == ROOT else f"{path}/{MANIFEST}"
        if manifest not in self._files:
            return Summing(seen.signature, folder, {})
        with suppress(FileNotFoundError):
            named, _ = manifest_in(_with_content(self._root, manifest, self._files[manifest]))
            there = {name.removeprefix(f"{path}/") for name in self._there[path].files}
            sums = named.checksums.items() if named is not None else ()
            return Summing(seen.signature, folder, {name: sum_ for name, sum_ in sums if name in there})
        return Summing(seen.signature, folder, {})

    def after_sums(self, path: str, seen: _Seen, problem: str) -> _Seen:
        """Return what is known once the checksums were read; tells of a file that is not what was saved."""
        if problem:
            found = Found(seen.step, path, seen.format, False, False, problem, 0, self._now)
            self._tell(kinds.CHECKPOINT_TORN, found, seen.signature, seen.returns)
        return replace(seen, summed=seen.signature, told=_TORN if problem else seen.told)

    def _deleted(self, path: str, seen: _Seen) -> _Seen:
        if seen.told != _SAVED:
            return seen
        facts: dict[str, Scalar] = {"path": str(self._root / path), "step": seen.step, "format": seen.format}
        text = f"checkpoint of step {seen.step} was deleted: {self._root / path}"
        position = f"{self._root / path}:{seen.told_signature}.{seen.returns}:{_DELETED}"
        self.readings.append(self._reading(kinds.CHECKPOINT_DELETED, position, text, facts))
        return _Seen("", told=_DELETED, returns=seen.returns + 1)

    def _seen(self, candidate: Candidate, files: Mapping[str, FileSeen], before: _Seen) -> _Seen:
        signature = _signature(candidate, files)
        seen = replace(before, signature=signature)
        if before.told_signature == signature:
            return seen
        found = _examined(self._root, candidate, files)
        is_settled = self._is_down or before.signature == signature
        if found and found.complete and (found.verified or is_settled):
            self._tell(kinds.CHECKPOINT_SAVED, found, signature, before.returns)
            return _Seen(signature, signature, _SAVED, found.step, found.format, before.returns)
        if found and not found.complete and is_settled and before.told != _TORN:
            self._tell(kinds.CHECKPOINT_TORN, found, signature, before.returns)
            return _Seen(signature, signature, _TORN, found.step, found.format, before.returns)
        return seen

    def _tell(self, subject: str, found: Found, signature: str, returns: int) -> None:
        path = str(self._root / found.path)
        facts: dict[str, Scalar] = {"path": path, "step": found.step, "format": found.format}
        if found.complete:
            facts |= {"size_bytes": found.size_bytes, "verified": found.verified}
            text = f"checkpoint of step {found.step} is complete: {path}"
        else:
            facts |= {"problem": found.problem}
            text = f"checkpoint of step {found.step} is torn ({found.problem}): {path}"
        position = f"{path}:{signature}.{returns}" if returns else f"{path}:{signature}"
        self.readings.append(self._reading(subject, position, text, facts, found.saved_at))

    def _reading(
        self, subject: str, position: str, text: str, facts: Mapping[str, Scalar], happened_at: datetime | None = None
    ) -> Reading:
        return Reading(
            source=CheckpointCollector.name,
            node=self._site.node,
            boot_id=self._site.boot_id,
            position=position,
            observed_at=self._now,
            happened_at=happened_at,
            trust=Trust.USER,
            subject=subject,
            text=text,
            fields=facts,
            job=self._job.id,
            attempt=self._job.attempt,
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
    trackers = [path for path in files if path.rpartition("/")[2] in NOTES]
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
