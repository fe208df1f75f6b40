"""Files of a tree such as /sys, read in a child that may be given up: a device that died can block its readers."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from collectors._child import LineChild, NoAnswerError

__all__ = ["COMMAND", "NoAnswerError", "Tree", "TreeReader", "whole"]

# "-P": nothing is imported from the folder the service happens to run in.
COMMAND = (sys.executable, "-P", "-m", "collectors._sysfs_child")


@dataclass(frozen=True, slots=True)
class Tree:
    """What was read.

    Attributes:
        files: Text of each file without white space around it, by its path below the root; without those that could
            not be read.
        places: Where a path of the tree really is, below the root, symbolic links followed.
    """

    files: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)


class TreeReader:
    """Reads groups of files, each group under a name of its own.

    A group that does not answer is read by a child of its own from then on, until it answers, and delays no other.
    """

    def __init__(self, command: tuple[str, ...] = COMMAND) -> None:
        self._command = command
        self._shared = LineChild()
        self._apart: dict[str, LineChild] = {}

    def read(
        self, name: str, root: Path, files: Iterable[str], deadline_seconds: float, places: Iterable[str] = ()
    ) -> Tree:
        """Return what the patterns *files* and *places* below *root* match.

        Raises:
            NoAnswerError: In words; nothing came in *deadline_seconds*.
        """
        child = self._apart.get(name, self._shared)
        question = json.dumps({"root": str(root), "files": list(files), "places": list(places)})
        try:
            answer = json.loads(child.ask(self._command, os.environ, question.encode(), deadline_seconds))
        except NoAnswerError:
            if child is self._shared:
                self._apart[name], self._shared = child, LineChild()
            raise
        if name in self._apart:
            self._apart.pop(name).close()
        return Tree(answer["files"], answer["places"])

    def close(self) -> None:
        """End the children."""
        for child in (self._shared, *self._apart.values()):
            child.close()
        self._apart.clear()


def whole(text: str | None) -> int | None:
    """Return the number a file holds, decimal or hexadecimal with 0x; None where it holds none."""
    try:
        return None if text is None else int(text, 0 if text[:2] == "0x" else 10)
    except ValueError:
        return None
