"""/proc/mdstat to the arrays in it. Source: https://raid.wiki.kernel.org/index.php/Mdstat"""

from __future__ import annotations

import re
from collections.abc import Iterator

from clusterwatch.model import Scalar

_ARRAY = re.compile(r"^(md\w+) : (active|inactive)(?: \((?:auto-)?read-only\))?(?: (raid\d+|linear|multipath))? ?(.*)$")
_MEMBERS = re.compile(r"\[(\d+)/(\d+)\] \[[U_]+\]")
_FAILED = re.compile(r"(\S+)\[\d+\]\(F\)")
_REBUILDING = re.compile(r"(?:recovery|reshape|resync) *= *([0-9.]+)%")


def arrays(text: str) -> Iterator[dict[str, Scalar]]:
    """Yield each array: name, state, level, members it should have and has, failed ones, progress of its rebuilding."""
    array: dict[str, Scalar] = {}
    for line in text.splitlines():
        begins = _ARRAY.match(line)
        if begins:
            yield from [array] if array else []
            array = _begun(*begins.groups())
            continue
        members, rebuilding = _MEMBERS.search(line), _REBUILDING.search(line)
        if array and members:
            array |= {"members": int(members[1]), "members_active": int(members[2])}
        if array and rebuilding:
            array["rebuilt_percent"] = float(rebuilding[1])
    yield from [array] if array else []


def _begun(name: str, state: str, level: str | None, members: str) -> dict[str, Scalar]:
    return {
        "array": name,
        "state": state,
        "level": level,
        "members": None,
        "members_active": None,
        "failed": " ".join(_FAILED.findall(members)),
        "rebuilt_percent": None,
    }
