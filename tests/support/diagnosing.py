"""`clusterwatch diagnose` in a process of its own, and what it took."""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clusterwatch.clock import SystemClock

# Of the command's own memory, as it tells itself: what a parent sees of a child holds the parent's from before.
_TELLING = (
    "import atexit, pathlib, sys; from clusterwatch.cli import main;"
    "atexit.register(lambda: print(pathlib.Path('/proc/self/status').read_text(), file=sys.stderr));"
    "main(sys.argv[1:])"
)


@dataclass(frozen=True)
class Diagnosed:
    """What the command printed, how long it and processors took, and the most memory it held."""

    found: list[dict[str, Any]]
    seconds: float
    processor_seconds: float
    peak_mb: float


def diagnosed(folder: Path) -> Diagnosed:
    """Return what `clusterwatch diagnose FOLDER -o json` says."""
    command = [sys.executable, "-c", _TELLING, "diagnose", str(folder), "-o", "json"]
    clock = SystemClock()
    began, used = clock.monotonic(), _processor_seconds()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, processor_seconds = clock.monotonic() - began, _processor_seconds() - used
    peak = re.search(r"^VmHWM:\s+(\d+) kB$", done.stderr, re.MULTILINE)
    assert peak is not None
    return Diagnosed(json.loads(done.stdout), seconds, processor_seconds, int(peak[1]) / 1024)


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def lines_counted(folder: Path) -> tuple[int, float]:
    """Return how many lines `cat` and `wc -l` count in the files of *folder*, and how many seconds that takes."""
    clock = SystemClock()
    began = clock.monotonic()
    command = ["bash", "-c", 'find "$0" -type f -print0 | xargs -0 cat | wc -l', str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout), clock.monotonic() - began
