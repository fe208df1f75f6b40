"""The process tree of a command: which of its processes is which rank."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

_STARTED_FIELD = 19  # of /proc/PID/stat behind the name, "starttime" in clock ticks since boot: proc_pid_stat(5)


@dataclass(frozen=True, slots=True)
class Seen:
    """A process as it stood at one look; *started* (clock ticks since boot) tells it from a later one with its pid."""

    pid: int
    started: int
    name: str
    state: str
    environ: Mapping[str, str] | None

    @property
    def key(self) -> str:
        """What names this process for ever on this boot."""
        return f"{self.pid}:{self.started}"

    @property
    def rank(self) -> int | None:
        """Its rank in the job; None where its environment does not say."""
        return self.number("RANK")

    def number(self, name: str) -> int | None:
        """Return a number of its environment; None where it is not set."""
        text = (self.environ or {}).get(name, "")
        return int(text) if text.isascii() and text.isdigit() else None

    @property
    def gpu(self) -> str:
        """What CUDA_VISIBLE_DEVICES gives to its local rank; "" where it does not say."""
        visible = [gpu for gpu in (self.environ or {}).get("CUDA_VISIBLE_DEVICES", "").split(",") if gpu]
        if len(visible) == 1:  # a launcher that gives each rank its own
            return visible[0]
        local_rank = self.number("LOCAL_RANK")
        return visible[local_rank] if local_rank is not None and local_rank < len(visible) else ""


def process_tree(pid: int) -> list[Seen]:
    """Return the process and its descendants; none once it is gone."""
    try:
        root = psutil.Process(pid)
        processes = [root, *root.children(recursive=True)]
    except psutil.Error:
        return []
    return [seen for process in processes if (seen := _seen(process))]


def _seen(process: psutil.Process) -> Seen | None:
    try:
        return Seen(process.pid, started_ticks(process.pid), process.name(), process.status(), _environ(process))
    except (psutil.Error, OSError):  # it ended while being looked at
        return None


def started_ticks(pid: int) -> int:
    """Return when a process started, in clock ticks since boot.

    Raises:
        OSError: It is gone.
    """
    # psutil's own creation time moves when the machine's clock is set; this one does not.
    return int(Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[_STARTED_FIELD])


def _environ(process: psutil.Process) -> dict[str, str] | None:
    try:
        return dict(process.environ())
    except psutil.AccessDenied:
        return None


def processes_of_ranks(tree: Iterable[Seen]) -> dict[int, Seen]:
    """Return the process that is each rank: not the data loaders it forked, which have its environment.

    Some schedulers give RANK to a launcher too, but only a launcher gives LOCAL_RANK.
    """
    ranked = [seen for seen in tree if seen.rank is not None]
    ranked.sort(key=lambda seen: (seen.number("LOCAL_RANK") is None, seen.started, seen.pid))
    return {seen.rank: seen for seen in reversed(ranked) if seen.rank is not None}


def first_of_each_rank(stopped: Iterable[Seen]) -> list[Seen]:
    """Return the oldest of the processes of each rank, and all that belong to none."""
    found = sorted(stopped, key=lambda seen: (seen.started, seen.pid))
    ranks = [seen.rank for seen in found]
    return [seen for index, seen in enumerate(found) if seen.rank is None or seen.rank not in ranks[:index]]
