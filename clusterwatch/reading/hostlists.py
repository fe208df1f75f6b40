"""Lists of nodes as schedulers fold them, to names."""

from __future__ import annotations

import re
from collections.abc import Iterator

LONGEST = 1_000_000
"""More names than any cluster has: a list that says more is damaged, or written to fill our memory."""

_NOTHING = frozenset({"", "(null)", "None", "N/A", "none"})
_ENTRY = re.compile(r"(?:[^,\[\]]|\[[^\[\]]*\])+")
_RANGES = re.compile(r"\[([^\[\]]*)\]")
_SPAN = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?")


def slurm_nodes(folded: str) -> tuple[str, ...]:
    """Return the names in *folded* in its order: "gpu7,node[001-003,007]" is five; no list is ().

    Raises:
        ValueError: It is not such a list.

    Source:
        https://slurm.schedmd.com/scontrol.html (show hostnames), https://slurm.schedmd.com/slurm.conf.html (NodeName)
    """
    if folded.strip() in _NOTHING:
        return ()
    names: list[str] = []
    for entry in _entries(folded.strip()):
        for name in _expanded(entry):
            names.append(name)
            if len(names) > LONGEST:
                raise ValueError(f"a list of more than {LONGEST} nodes")
    return tuple(dict.fromkeys(names))


def _entries(folded: str) -> list[str]:
    entries = _ENTRY.findall(folded)
    if ",".join(entries) != folded:
        raise ValueError(f"not a list of nodes: {folded[:80]!r}")
    return entries


def _expanded(entry: str) -> Iterator[str]:
    ranges = _RANGES.search(entry)
    if ranges is None:
        yield entry
        return
    rests = tuple(_expanded(entry[ranges.end() :]))
    for index in _indices(ranges[1]):
        yield from (f"{entry[: ranges.start()]}{index}{rest}" for rest in rests)


def _indices(ranges: str) -> Iterator[str]:
    for part in ranges.split(","):
        span = _SPAN.fullmatch(part)
        if span is None:
            raise ValueError(f"not a range of nodes: {part[:80]!r}")
        first, last = span[1], span[2] or span[1]
        if int(last) - int(first) > LONGEST:
            raise ValueError(f"a list of more than {LONGEST} nodes")
        yield from (f"{number:0{len(first)}}" for number in range(int(first), int(last) + 1))
