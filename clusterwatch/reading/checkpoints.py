"""What lies in a checkpoint folder to the checkpoints in it, whole or torn.

1. A name that ends in .tmp, .part or .incomplete, or begins with "." or "tmp", is being written: never a checkpoint.
2. torch.distributed.checkpoint writes ``.metadata`` last, by rename; it names every piece with its place and length.
3. Megatron-LM names the last finished iteration in ``latest_checkpointed_iteration.txt``; what is above is unfinished.
4. Hugging Face's Trainer keeps the step in ``trainer_state.json`` beside the weights.
5. A plain file with a step in its name was written elsewhere and renamed; its format may tell that it is whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from clusterwatch.errors import SourceError
from clusterwatch.reading.archives import UNCHECKED, WHOLE, FileSeen, Verdict, file_verdict, json_value
from clusterwatch.reading.pickles import stored_pieces

Listing = Mapping[str, FileSeen]
"""Files by path relative to the checkpoint folder, with "/" between the parts."""

TRACKER = "latest_checkpointed_iteration.txt"
"""Megatron-LM's note of the last finished iteration; `candidates` needs its head."""

MIB = 1024 * 1024

_TEMPORARY = re.compile(r"(?:^|/)(?:tmp|\.(?!metadata$))[^/]*|\.(?:tmp|part|incomplete)(?:/|$)")
_RANK_METADATA = re.compile(r"(?:__\d+)?\.metadata")
# The surest first: a metric in the name, such as val_loss=0.25, looks like a number of its own.
_FILE_STEPS = tuple(
    re.compile(rf"(?:{before})[-_=]?(\d{{1,15}})(?=[-_.]|$)")
    for before in ("step|iter|iteration", "epoch|ckpt|checkpoint", "^|[-_=.]")
)
_FILE_SUFFIX = re.compile(r"\.(?:pt|pth|ckpt|bin|npz|safetensors|pkl|h5|msgpack|tar)$")
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
    """Return what may be a checkpoint in the order of step, before anything but `TRACKER` was read."""
    finished = {path: file for path, file in listing.items() if not _TEMPORARY.search(path)}
    folders = _folder_candidates(finished)
    claimed = {path for candidate in folders for path in candidate.files}
    files = _file_candidates(path for path in finished if path not in claimed)
    return sorted((*folders, *files), key=lambda candidate: (candidate.step, candidate.path))


def examined(candidate: Candidate, listing: Listing) -> Found:
    """Return whether *candidate* is a checkpoint that can be used."""
    files = {path: listing[path] for path in candidate.files}
    verdict = Verdict(candidate.problem) if candidate.problem else _VERDICT_OF[candidate.format](candidate, files)
    return Found(
        step=candidate.step,
        path=candidate.path,
        format=candidate.format,
        complete=not verdict.problem,
        verified=verdict.verified and not verdict.problem,
        problem=verdict.problem,
        size_bytes=sum(file.size for file in files.values()),
        saved_at=datetime.fromtimestamp(max(file.modified_at for file in files.values()), UTC),
    )


def _folder_candidates(listing: Listing) -> list[Candidate]:
    found: list[Candidate] = []
    members = _members(listing)
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
    has_pieces = any(_RANK_METADATA.fullmatch(path) or re.fullmatch(r"[^/]+\.distcp", path) for path in inside)
    numbers = re.findall(r"\d+", name) or re.findall(r"\d+", parent.rpartition("/")[2])
    if has_pieces and numbers:
        return Candidate(folder, int(numbers[-1][:18]), "dcp", tuple(files))
    if re.fullmatch(r"checkpoint-\d{1,18}", name):
        return Candidate(folder, int(name[11:]), "huggingface", tuple(files))
    return None


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
        stem, count = _FILE_SUFFIX.subn("", name)
        step = next((found[-1] for pattern in _FILE_STEPS if (found := pattern.findall(stem))), None)
        if count and step and not _PART_OF_MORE.search(name):
            yield Candidate(path, int(step), "file", (path,))


def _first_problem(verdicts: Iterable[Verdict]) -> Verdict:
    every = list(verdicts)
    problem = next((verdict.problem for verdict in every if verdict.problem), "")
    return Verdict(problem, all(verdict.verified for verdict in every))


def _within(folder: str, files: Listing) -> dict[str, FileSeen]:
    return {path[len(folder) + 1 :]: file for path, file in files.items() if path.startswith(folder + "/")}


def _dcp(candidate: Candidate, files: Listing) -> Verdict:
    return _dcp_verdict(_within(candidate.path, files))


def _dcp_verdict(files: Listing) -> Verdict:
    metadata = [name for name in files if _RANK_METADATA.fullmatch(name)]
    if not metadata:
        return Verdict("no .metadata: the save did not finish")
    return _first_problem(_pieces_verdict(name, files) for name in metadata)


def _pieces_verdict(name: str, files: Listing) -> Verdict:
    raw = files[name].head
    if len(raw) < files[name].size:  # more than is worth reading every time
        return UNCHECKED
    try:
        pieces = stored_pieces(raw)
    except SourceError as error:
        return Verdict(f"{name} cannot be used: {error}")
    needed: dict[str, int] = {}
    for piece in pieces:
        needed[piece.relative_path] = max(needed.get(piece.relative_path, 0), piece.offset + piece.length)
    return _first_problem(_size_verdict(path, files.get(path), least) for path, least in sorted(needed.items()))


def _size_verdict(name: str, file: FileSeen | None, least: int) -> Verdict:
    if file is None:
        return Verdict(f"{name} is missing")
    return WHOLE if file.size >= least else Verdict(f"{name} is cut short: {file.size} of {least} bytes")


def _megatron(candidate: Candidate, files: Listing) -> Verdict:
    inside = _within(candidate.path, files)
    saved = {name: file for name, file in inside.items() if name.endswith(".pt")}
    return _first_problem([_megatron_form(inside), *(file_verdict(name, file) for name, file in saved.items())])


def _megatron_form(inside: Listing) -> Verdict:
    ranks = {name.split("/")[0] for name in inside if name.startswith("mp_rank_")}
    if not ranks:
        missing = [name for name in (".metadata", "common.pt", "metadata.json") if name not in inside]
        return Verdict(f"no {missing[0]}: the save did not finish") if missing else _dcp_verdict(inside)
    models = ("model_optim_rng.pt", "model_rng.pt")
    lacking = [rank for rank in sorted(ranks) if not any(f"{rank}/{model}" in inside for model in models)]
    return Verdict(f"{lacking[0]}/{models[0]} is missing") if lacking else WHOLE


def _huggingface(candidate: Candidate, files: Listing) -> Verdict:
    inside = _within(candidate.path, files)
    saved = [(name, file) for name, file in inside.items() if _FILE_SUFFIX.search(name) and "/" not in name]
    return _first_problem(
        [
            _trainer_state(candidate.step, inside),
            _weights(inside),
            *(file_verdict(name, file) for name, file in saved if not name.endswith(".pkl")),
        ]
    )


def _trainer_state(step: int, inside: Listing) -> Verdict:
    name = "trainer_state.json"
    if name not in inside:
        # Accelerate's own save_state keeps no such file, but the random states of every process.
        is_accelerate = any(path.startswith("random_states_") for path in inside)
        return WHOLE if is_accelerate else Verdict(f"no {name}: the save did not finish")
    state, verdict = json_value(name, inside[name])
    if state is None:
        return verdict
    found = state.get("global_step") if isinstance(state, dict) else None
    return WHOLE if found == step else Verdict(f"{name} is of step {found}")


def _weights(inside: Listing) -> Verdict:
    indices = [name for name in inside if re.fullmatch(r"[^/]+\.index\.json", name)]
    if indices:
        return _first_problem(_shards(name, inside) for name in indices)
    if any(_WEIGHTS.fullmatch(name) and "-of-" not in name for name in inside):
        return WHOLE
    folders = {name.split("/")[0] for name in inside if re.fullmatch(r"[^/]+/(?:\.metadata|[^/]+\.distcp)", name)}
    if folders:
        return _first_problem(_dcp_verdict(_within(folder, inside)) for folder in folders)
    parts = {name: file for name, file in inside.items() if re.fullmatch(r"global_step\d+/[^/]+\.pt", name)}
    if parts:
        return _first_problem(file_verdict(name, file) for name, file in parts.items())
    return Verdict("no whole weights: the save did not finish")


def _shards(index: str, inside: Listing) -> Verdict:
    value, verdict = json_value(index, inside[index])
    if value is None:
        return verdict
    shards = value.get("weight_map") if isinstance(value, dict) else None
    if not isinstance(shards, dict):
        return Verdict(f"{index} names no shards")
    missing = sorted({str(shard) for shard in shards.values()} - inside.keys())
    return Verdict(f"{missing[0]} is missing") if missing else WHOLE


def _file(candidate: Candidate, files: Listing) -> Verdict:
    name = candidate.path.rpartition("/")[2]
    return file_verdict(name, files[candidate.path])


_WEIGHTS = re.compile(r"(?:[^/]*model[^/]*)\.(?:safetensors|bin|pt)")
_VERDICT_OF: Mapping[str, Callable[[Candidate, Listing], Verdict]] = {
    "dcp": _dcp,
    "megatron": _megatron,
    "huggingface": _huggingface,
    "file": _file,
}
# Name -> bytes of head and tail. The largest are bounded: what is longer counts as not verified.
_EXCERPTS = (
    (re.compile(r"\.metadata$"), (64 * MIB, 0)),
    (re.compile(re.escape(TRACKER)), (64, 0)),
    (re.compile(r"\.json$"), (32 * MIB, 0)),
    (re.compile(r"\.safetensors$"), (MIB, 0)),
    (re.compile(r"\.(?:pt|pth|ckpt|bin|npz)$"), (4, 1024)),
)
