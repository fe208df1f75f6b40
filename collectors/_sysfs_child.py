"""Files behind a pipe: one JSON request per line in, one JSON answer per line out.

Runs as a process of its own (`python -m collectors._sysfs_child`). A request names a root and patterns of files and
of places below it; the answer holds their texts, and where the places really are.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

# No attribute of a device is longer than a few pages.
_LONGEST_TEXT_BYTES = 65_536


def main() -> None:
    """Answer each line of standard input until it ends."""
    for line in sys.stdin:
        request = json.loads(line)
        root = Path(request["root"])
        files = dict(_texts(root, request["files"]))
        places = {_below(root, path): _place(root, path) for path in _matching(root, request["places"])}
        print(json.dumps({"files": files, "places": places}), flush=True)


def _matching(root: Path, patterns: Iterable[str]) -> Iterator[Path]:
    for pattern in patterns:
        yield from sorted(root.glob(pattern))


def _texts(root: Path, patterns: Iterable[str]) -> Iterator[tuple[str, str]]:
    for path in _matching(root, patterns):
        try:
            with path.open("rb") as file:
                text = file.read(_LONGEST_TEXT_BYTES)
        except OSError:
            continue  # a device says with an error that it has no such value now
        yield _below(root, path), text.decode("utf-8", "replace").strip()


def _below(root: Path, path: Path) -> str:
    return str(path.relative_to(root))


def _place(root: Path, path: Path) -> str:
    real, top = path.resolve(), root.resolve()
    return str(real.relative_to(top)) if real.is_relative_to(top) else str(real)


if __name__ == "__main__":
    main()
