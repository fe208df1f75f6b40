"""How full a mount is, asked in a child that may be given up: a dead file server never answers.

As a program (`python -m collectors._mount_usage PATH`) it prints the usage of one mount as JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import repeat

Usage = Mapping[str, float | str | bool | None]

TIMED_OUT: Usage = {"timed_out": True}

COMMAND = (sys.executable, "-P", "-m", "collectors._mount_usage")


def usage(path: str) -> Usage:
    """Return the used percentages as `df` and `df -i` give them, or the error in words."""
    try:
        found = os.statvfs(path)
    except OSError as failure:
        return {"error": failure.strerror or str(failure)}
    used = found.f_blocks - found.f_bfree
    return {
        "used_percent": _percent(used, used + found.f_bavail),
        "inodes_used_percent": _percent(found.f_files - found.f_ffree, found.f_files),
    }


class MountProbes:
    """Children that ask mounts; at most one for each, however long it hangs."""

    def __init__(self, command: Sequence[str] = COMMAND) -> None:
        self._command = tuple(command)
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def usages(self, paths: Iterable[str], deadline_seconds: float) -> dict[str, Usage]:
        """Return the usage of each mount, `TIMED_OUT` where none came in time. All are asked at the same time.

        A child that did not answer is killed, and asked again only when the kernel let it go.
        """
        hung = {path for path, child in self._running.items() if child.poll() is None}
        self._running = {path: self._running[path] for path in hung}
        wanted = tuple(paths)
        asked = {path: self._start(path) for path in wanted if path not in hung}
        with ThreadPoolExecutor(max_workers=max(len(asked), 1)) as waiting:
            answers = waiting.map(self._answer, asked, asked.values(), repeat(deadline_seconds))
        found = dict(zip(asked, answers, strict=True))
        return {path: found.get(path, TIMED_OUT) for path in wanted}

    def close(self) -> None:
        """Kill what still runs."""
        for path, child in tuple(self._running.items()):
            self._give_up(path, child)

    def _start(self, path: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*self._command, path], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )

    def _answer(self, path: str, child: subprocess.Popen[bytes], deadline_seconds: float) -> Usage:
        try:
            answer, _ = child.communicate(timeout=deadline_seconds)
            return dict(json.loads(answer))
        except subprocess.TimeoutExpired:
            self._give_up(path, child)
            return TIMED_OUT
        except ValueError:
            return {"error": f"the probe ended with exit code {child.returncode}"}

    def _give_up(self, path: str, child: subprocess.Popen[bytes]) -> None:
        child.kill()
        if child.stdout is not None:
            child.stdout.close()
        with suppress(subprocess.TimeoutExpired):
            child.wait(timeout=0.2)
        if child.returncode is None:
            self._running[path] = child


def _percent(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 2) if whole > 0 else None


if __name__ == "__main__":
    print(json.dumps(usage(sys.argv[1])))
