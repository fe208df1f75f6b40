"""What lies in a checkpoint folder to the checkpoints in it, whole or torn.

1. A name that ends in .tmp, .part or .incomplete, or begins with "." or "tmp", is being written: never a checkpoint.
2. torch.distributed.checkpoint writes ``.metadata`` last, by rename; it names every piece with its place and length.
3. Megatron-LM names the last finished iteration in ``latest_checkpointed_iteration.txt``; what is above is unfinished.
4. Hugging Face's Trainer keeps the step in ``trainer_state.json`` beside the weights.
5. DeepSpeed names the newest finished folder in ``latest`` beside it; its shards are numbered without a gap.
6. The client's manifest names every file of a folder with its size, whatever the format; it is written last.
7. A plain file with a step in its name was written elsewhere and renamed; its format may tell that it is whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from clusterwatch.reading import deepspeed
from clusterwatch.reading.archives import FileSeen, Verdict
from clusterwatch.reading.checkpoint_forms import FILE_SUFFIX, RANK_METADATA, Listing, form_verdict, within
from clusterwatch.reading.manifests import MANIFEST, manifest_in, manifest_verdict

TRACKER = "latest_checkpointed_iteration.txt"
"""Megatron-LM's note of the last finished iteration."""

NOTES = frozenset({TRACKER, deepspeed.LATEST})
"""Names of files that say which save finished last; `candidates` needs their heads."""

DEPTH = 3
"""How many parts the path of a file may have that is looked at."""

MIB = 1024 * 1024

_TEMPORARY = re.compile(r"(?:^|/)(?:tmp|\.(?!metadata$))[^/]*|\.(?:tmp|part|incomplete)(?:/|$)")
ROOT = "."
"""Path of a checkpoint that is the whole folder."""

# The surest first: a metric in the name, such as val_loss=0.25, looks like a number of its own.
_FILE_STEPS = tuple(
    re.compile(rf"(?:{before})[-_=]?(\d{{1,15}})(?=[-_.]|$)")
    for before in ("step|iter|iteration", "epoch|ckpt|checkpoint", "^|[-_=.]")
)
_PART_OF_MORE = re.compile(r"rank|-of-|shard", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Candidate:
    """What may be a checkpoint.

    Attributes:
        path: Of its folder or file.
        files: Paths of what belongs to it, sorted.
        problem: Why it cannot be complete, whatever its files hold; "" if nothing speaks against it.
    """

    path: str
    step: int
    format: str
    files: tuple[str, ...]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """A checkpoint as it was found.

    Attributes:
        complete: Nothing of it is missing or cut short, as far as can be told.
        verified: Its sizes or marks were checked, not only its presence.
        problem: Why it is not complete; "" when it is.
        saved_at: When its newest file was last written, UTC.
    """

    step: int
    path: str
    format: str
    complete: bool
    verified: bool
    problem: str
    size_bytes: int
    saved_at: datetime


def recognise(listing: Listing) -> list[Found]:
    """Return the checkpoints of a folder in the order of step; heads and tails of the files must have been read."""
    return [examined(candidate, listing) for candidate in candidates(listing)]


def excerpt_of(path: str) -> tuple[int, int]:
    """Return how many bytes of a file's beginning and end are needed to tell whether it is whole."""
    name = path.rpartition("/")[2]
    return next((excerpt for pattern, excerpt in _EXCERPTS if pattern.search(name)), (0, 0))


def candidates(listing: Listing) -> list[Candidate]:
    """Return what may be a checkpoint in the order of step, before anything but `NOTES` was read."""
    finished = {path: file for path, file in listing.items() if not _TEMPORARY.search(path)}
    folders = _folder_candidates(finished)
    claimed = {path for candidate in folders for path in candidate.files}
    files = _file_candidates(path for path in finished if path not in claimed)
    return sorted((*folders, *files), key=lambda candidate: (candidate.step, candidate.path))


def examined(candidate: Candidate, listing: Listing) -> Found:
    """Return whether *candidate* is a checkpoint that can be used."""
    files = {path: listing[path] for path in candidate.files}
    inside = _inside(candidate, files)
    verdict = Verdict(candidate.problem)
    if not candidate.problem:
        verdict = form_verdict(candidate.format, candidate.step, inside)
    step, listed = _by_manifest(candidate, inside)
    if listed is not None and not verdict.problem:
        # It knows every file, the format perhaps only some.
        verdict = listed if listed.problem or listed.verified else verdict
    return Found(
        step=step,
        path=candidate.path,
        format=candidate.format,
        complete=not verdict.problem,
        verified=verdict.verified and not verdict.problem,
        problem=verdict.problem,
        size_bytes=sum(file.size for file in files.values()),
        saved_at=datetime.fromtimestamp(max(file.modified_at for file in files.values()), UTC),
    )


def _inside(candidate: Candidate, files: Listing) -> Listing:
    """Return the files of *candidate* relative to its own folder."""
    if candidate.format == "file":
        return {path.rpartition("/")[2]: file for path, file in files.items()}
    return files if candidate.path == ROOT else within(candidate.path, files)


def _by_manifest(candidate: Candidate, inside: Listing) -> tuple[int, Verdict | None]:
    """Return the step and whether the checkpoint is whole by its manifest; None where it has none."""
    if MANIFEST not in inside:
        return candidate.step, None
    manifest, verdict = manifest_in(inside[MANIFEST])
    if manifest is None:
        return candidate.step, verdict
    depth = DEPTH - (candidate.path.count("/") + 1 if candidate.path != ROOT else 0)
    step = manifest.step if manifest.step is not None and candidate.format == "manifest" else candidate.step
    return step, manifest_verdict(manifest, inside, depth)


def _folder_candidates(listing: Listing) -> list[Candidate]:
    found: list[Candidate] = []
    members = _members(listing)
    at_the_top = [path for path in sorted(listing) if "/" not in path]
    if any(RANK_METADATA.fullmatch(path) for path in at_the_top):
        # The folder holds one checkpoint, written over and over again.
        found.append(Candidate(ROOT, 0, "dcp", tuple(path for path in at_the_top if _is_of_dcp(path))))
    for folder in sorted(members, key=lambda path: (path.count("/"), path)):
        is_inside = any(folder.startswith(candidate.path + "/") for candidate in found)
        candidate = None if is_inside else _folder_candidate(folder, members[folder], listing)
        if candidate:
            found.append(candidate)
    return found


def _members(listing: Listing) -> dict[str, list[str]]:
    members: dict[str, list[str]] = {}
    for path in sorted(listing):
        parts = path.split("/")
        for depth in range(1, len(parts)):
            members.setdefault("/".join(parts[:depth]), []).append(path)
    return members


def _folder_candidate(folder: str, files: list[str], listing: Listing) -> Candidate | None:
    parent, _, name = folder.rpartition("/")
    inside = [path[len(folder) + 1 :] for path in files]
    tracker = listing.get(f"{parent}/{TRACKER}" if parent else TRACKER)
    if re.fullmatch(r"iter_\d+", name) and (tracker or _is_megatron(inside)):
        step = int(name[5:])
        return Candidate(folder, step, "megatron", tuple(files), _tracker_problem(step, tracker))
    if any(_is_of_dcp(path) for path in inside):
        return Candidate(folder, _step_in(name, parent), "dcp", tuple(files))
    if re.fullmatch(r"checkpoint-\d{1,18}", name):
        return Candidate(folder, int(name[11:]), "huggingface", tuple(files))
    if any(deepspeed.is_shard(path) for path in inside):
        return _deepspeed_candidate(folder, files, listing)
    if MANIFEST in inside:
        return Candidate(folder, _step_in(name, parent), "manifest", tuple(files))
    return None


def _deepspeed_candidate(folder: str, files: list[str], listing: Listing) -> Candidate:
    parent, _, name = folder.rpartition("/")
    step = _step_in(name, parent)
    latest = listing.get(f"{parent}/{deepspeed.LATEST}" if parent else deepspeed.LATEST)
    told = latest.head.decode("ascii", "replace") if latest else ""
    return Candidate(folder, step, "deepspeed", tuple(files), deepspeed.unfinished(step, told))


def _is_of_dcp(path: str) -> bool:
    return bool(RANK_METADATA.fullmatch(path) or re.fullmatch(r"[^/]+\.distcp", path))


def _step_in(name: str, parent: str) -> int:
    """Return the step that a folder's name holds, or its parent's; 0 where neither does."""
    for text in (name, parent.rpartition("/")[2]):
        numbers = _FILE_STEPS[0].findall(text) or re.findall(r"\d+", text)
        if numbers:
            return int(numbers[-1][:18])
    return 0


def _is_megatron(inside: Iterable[str]) -> bool:
    return any(path == "common.pt" or path.startswith("mp_rank_") for path in inside)


def _tracker_problem(step: int, tracker: FileSeen | None) -> str:
    last = tracker.head.decode("ascii", "replace").strip() if tracker else ""
    if not last.isdigit() or len(last) > 18:
        return f"{TRACKER} does not name a finished iteration"
    return f"the save did not finish: {TRACKER} says {int(last)}" if step > int(last) else ""


def _file_candidates(paths: Iterable[str]) -> Iterator[Candidate]:
    for path in paths:
        name = path.rpartition("/")[2]
        stem, count = FILE_SUFFIX.subn("", name)
        step = next((found[-1] for pattern in _FILE_STEPS if (found := pattern.findall(stem))), None)
        if count and step and not _PART_OF_MORE.search(name):
            yield Candidate(path, int(step), "file", (path,))


# Name -> bytes of head and tail. The largest are bounded: what is longer counts as not verified.
_EXCERPTS = (
    (re.compile(r"\.metadata$"), (64 * MIB, 0)),
    (re.compile(rf"^(?:{'|'.join(map(re.escape, sorted(NOTES)))})$"), (64, 0)),
    (re.compile(r"\.json$"), (32 * MIB, 0)),
    (re.compile(r"\.safetensors$"), (MIB, 0)),
    (re.compile(r"\.(?:pt|pth|ckpt|bin|npz)$"), (4, 1024)),
)
