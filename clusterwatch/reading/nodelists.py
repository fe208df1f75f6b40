"""Names of nodes to the lists that schedulers read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from itertools import groupby

_NUMBERED = re.compile(r"(?P<stem>.*?)(?P<number>[0-9]+)(?P<tail>[^0-9]*)")


def slurm_list(nodes: Iterable[str]) -> str:
    """Return *nodes* as Slurm's --exclude takes them, runs of numbers folded: "gpu7,node[001-003,007]".

    Source:
        https://slurm.schedmd.com/sbatch.html (--exclude), https://slurm.schedmd.com/scontrol.html (hostlists)
    """
    families: dict[tuple[str, str, int], list[int]] = {}
    single: list[str] = []
    for name in sorted(set(nodes)):
        found = _NUMBERED.fullmatch(name)
        if found is None or len(found["number"]) > 18:
            single.append(name)
            continue
        families.setdefault((found["stem"], found["tail"], len(found["number"])), []).append(int(found["number"]))
    return ",".join(sorted([*single, *(_family(*key, numbers) for key, numbers in families.items())]))


def pbs_list(nodes: Iterable[str]) -> str:
    """Return *nodes* as PBS writes several hosts: "node001+node002"."""
    return "+".join(sorted(set(nodes)))


def line_list(nodes: Iterable[str]) -> str:
    """Return *nodes* one a line, as pdsh and clush read them from a file."""
    return "\n".join(sorted(set(nodes)))


LISTS: Mapping[str, Callable[[Iterable[str]], str]] = {"slurm": slurm_list, "pbs": pbs_list, "lines": line_list}
"""How lists are written, by name."""


def _family(stem: str, tail: str, width: int, numbers: list[int]) -> str:
    spans = [_span([number for _, number in run], width) for _, run in groupby(enumerate(sorted(numbers)), _offset)]
    if len(numbers) == 1:
        return f"{stem}{spans[0]}{tail}"
    return f"{stem}[{','.join(spans)}]{tail}"


def _offset(place: tuple[int, int]) -> int:
    return place[1] - place[0]


def _span(run: list[int], width: int) -> str:
    first, last = f"{run[0]:0{width}}", f"{run[-1]:0{width}}"
    return first if len(run) == 1 else f"{first}-{last}"
