"""The files of a checkpoint whose form is known to whether it is whole.

What each form writes last, and what it names, is said in `clusterwatch.reading.checkpoints`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from clusterwatch.errors import SourceError
from clusterwatch.reading import deepspeed
from clusterwatch.reading.archives import UNCHECKED, WHOLE, FileSeen, Verdict, file_verdict, json_value
from clusterwatch.reading.pickles import stored_pieces

Listing = Mapping[str, FileSeen]
"""Files by path relative to a folder, with "/" between the parts."""

RANK_METADATA = re.compile(r"(?:__\d+)?\.metadata")
"""What torch.distributed.checkpoint writes last, in the whole or for each rank."""

FILE_SUFFIX = re.compile(r"\.(?:pt|pth|ckpt|bin|npz|safetensors|pkl|h5|msgpack|tar)$")
"""How files with weights end."""


def form_verdict(form: str, step: int, inside: Listing) -> Verdict:
    """Return whether a checkpoint is whole; *inside* are its files, relative to its own folder."""
    return _VERDICT_OF[form](step, inside)


def within(folder: str, files: Listing) -> dict[str, FileSeen]:
    """Return those of *files* that lie in *folder*, relative to it."""
    return {path[len(folder) + 1 :]: file for path, file in files.items() if path.startswith(folder + "/")}


def _first_problem(verdicts: Iterable[Verdict]) -> Verdict:
    every = list(verdicts)
    problem = next((verdict.problem for verdict in every if verdict.problem), "")
    return Verdict(problem, all(verdict.verified for verdict in every))


def _deepspeed(step: int, inside: Listing) -> Verdict:
    missing = deepspeed.missing_shard(inside)
    if missing:
        return Verdict(missing)
    return _first_problem(file_verdict(name, file) for name, file in inside.items() if name.endswith(".pt"))


def _dcp_verdict(files: Listing) -> Verdict:
    metadata = [name for name in files if RANK_METADATA.fullmatch(name)]
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


def _megatron(step: int, inside: Listing) -> Verdict:
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


def _huggingface(step: int, inside: Listing) -> Verdict:
    saved = [(name, file) for name, file in inside.items() if FILE_SUFFIX.search(name) and "/" not in name]
    return _first_problem(
        [
            _trainer_state(step, inside),
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
        return _first_problem(_dcp_verdict(within(folder, inside)) for folder in folders)
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


_WEIGHTS = re.compile(r"(?:[^/]*model[^/]*)\.(?:safetensors|bin|pt)")

_VERDICT_OF: Mapping[str, Callable[[int, Listing], Verdict]] = {
    "dcp": lambda step, inside: _dcp_verdict(inside),
    "megatron": _megatron,
    "huggingface": _huggingface,
    "deepspeed": _deepspeed,
    "manifest": lambda step, inside: UNCHECKED,
    "file": lambda step, inside: _first_problem(file_verdict(name, file) for name, file in inside.items()),
}
