"""The files that DeepSpeed saved for one step to whether all are there.

1. Weights lie in ``mp_rank_MM_model_states.pt``; with ZeRO stage 3 in ``zero_pp_rank_DD_mp_rank_MM_model_states.pt``;
   of a pipeline in ``layer_LL-model_MM-model_states.pt``. The optimizer's states lie in
   ``zero_pp_rank_DD_mp_rank_MM_optim_states.pt``, with ``bf16_`` before it for bfloat16.
2. Ranks are numbered from 0 without a gap, and every model rank has as many data ranks.
3. ``latest`` beside the folder names the newest finished one; it is written last.

Source:
    https://deepspeed.readthedocs.io/en/latest/model-checkpointing.html
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

LATEST = "latest"
"""DeepSpeed's note of the newest finished folder."""

_SHARD = re.compile(
    r"(?:(?P<precision>bf16_|fp16_)?zero_pp_rank_(?P<data>\d{1,6})_)?mp_rank_(?P<model>\d{1,6})_?(?P<what>model|optim)_states\.pt"
    r"|layer_(?P<layer>\d{1,6})-model_(?P<part>\d{1,6})-model_states\.pt"
)


def is_shard(name: str) -> bool:
    """Say whether a file of that name is a part of such a checkpoint."""
    return _SHARD.fullmatch(name) is not None


def unfinished(step: int, latest: str) -> str:
    """Return why the folder of *step* is not finished, by what `LATEST` holds; "" where it may be."""
    named = re.search(r"(\d{1,18})\s*$", latest)
    if named is None or int(named[1]) >= step:
        return ""
    return f"the save did not finish: {LATEST} says {int(named[1])}"


def missing_shard(names: Iterable[str]) -> str:
    """Return what is missing among the files of one folder; "" when nothing is, as far as their numbers tell."""
    shards = [match for name in names if (match := _SHARD.fullmatch(name))]
    if not any(match["layer"] or match["what"] == "model" for match in shards):
        return "no model states: the save did not finish"
    ranks: dict[str, dict[int, set[int]]] = defaultdict(lambda: defaultdict(set))
    for match in shards:
        if match["data"]:
            ranks[match["what"]][int(match["model"])].add(int(match["data"]))
    return next((told for what, of_model in ranks.items() if (told := _gap(what, of_model))), "")


def _gap(what: str, of_model: dict[int, set[int]]) -> str:
    data_ranks = max(max(data) for data in of_model.values()) + 1
    for model in range(max(of_model) + 1):
        absent = set(range(data_ranks)) - of_model.get(model, set())
        if absent:
            return f"{what} states of data rank {min(absent)}, model rank {model} are missing"
    return ""
