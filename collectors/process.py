"""Processes of supervised commands to readings: exit, placement of ranks, stopped and vanished processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime

import psutil

from clusterwatch.model import Collected, Reading, Scalar, Trust, kinds
from clusterwatch.seams import Site, WatchedJob
from collectors._process_tree import Seen, first_of_each_rank, process_tree, processes_of_ranks, started_ticks

PROCESS_GONE = "process.gone"
"""A rank's process vanished while its command still runs. Fields: pid, rank, ranks_running."""

LOOKS_UNTIL_STOPPED = 2
"""A debugger or profiler that attaches stops a process for a moment; only what lasts is told."""

_STOPPED = {psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP}


@dataclass(slots=True)
class _Stop:
    """A process that was found stopped: how often in a row, and how often that was told."""

    looks: int = 0
    told_total: int = 0
    is_told: bool = False


@dataclass(slots=True)
class _Told:
    """What was told of one attempt's command."""

    pid: int
    started: int | None = None
    has_exited: bool = False
    ranks: dict[str, int] = field(default_factory=dict)
    stops: dict[str, _Stop] = field(default_factory=dict)


class ProcessCollector:
    """Watches the process tree of every job whose command runs on this node.

    The exit status is looked at without taking it away from the parent that waits for it. Of a command that is not a
    child of this process only its end can be known, not how it ended.
    """

    name = "process"
    every_seconds = 0.5
    deadline_seconds = 5.0

    def collect(self, site: Site, position: Mapping[str, object], now: datetime) -> Collected:
        """Return what changed in the commands' process trees since *position*."""
        saved = position.get("jobs")
        before: Mapping[str, object] = saved if isinstance(saved, Mapping) else {}
        readings: list[Reading] = []
        conditions: list[str] = []
        after: dict[str, object] = {}
        for job in site.jobs:
            if job.pid is not None:
                key = f"{job.id}/{job.attempt}"
                look = _Look(site, job, now, _told(before.get(key), job.pid))
                after[key] = asdict(look.told)
                readings += look.readings
                conditions += look.conditions
        return Collected(tuple(readings), {"jobs": after}, "; ".join(conditions))

    def close(self) -> None:
        """Hold nothing, give nothing back."""


class _Look:
    """One look at one job's processes: what was told before becomes what is told now, and the readings between."""

    def __init__(self, site: Site, job: WatchedJob, now: datetime, told: _Told) -> None:
        self._site = site
        self._job = job
        self._now = now
        self.told = told
        self.readings: list[Reading] = []
        self.conditions: list[str] = []
        if not told.has_exited:
            self._look()

    def _look(self) -> None:
        # The tree first: ranks that are gone because the command ended are no news beside its end.
        tree = [seen for seen in process_tree(self.told.pid) if seen.state != psutil.STATUS_ZOMBIE]
        ended, exit_code = _end_of(self.told)
        if ended:
            self._tell_exit(exit_code)
            return
        root = next((seen for seen in tree if seen.pid == self.told.pid), None)
        if root:
            self.told.started = root.started
        self._tell_ranks(processes_of_ranks(tree), {seen.key for seen in tree})
        self._tell_stops(tree)
        self._state_hidden(tree)

    def _tell_exit(self, exit_code: int | None) -> None:
        name = _signal_name(exit_code)
        how = name or ("an unknown status" if exit_code is None else f"exit code {exit_code}")
        pid = self.told.pid
        self._tell(
            kinds.PROCESS_EXITED, f"{pid}:exit", f"command (pid {pid}) ended with {how}", None,
            {"exit_code": exit_code, "signal": name, "pid": pid},
        )  # fmt: skip
        self.told.has_exited, self.told.ranks, self.told.stops = True, {}, {}

    def _tell_ranks(self, ranks: Mapping[int, Seen], alive: set[str]) -> None:
        for rank, seen in sorted(ranks.items()):
            if seen.key not in self.told.ranks:
                self._tell_placed(rank, seen)
        gone = {key: rank for key, rank in self.told.ranks.items() if key not in alive}
        for key, rank in gone.items():
            del self.told.ranks[key]
            pid = int(key.partition(":")[0])
            self._tell(
                PROCESS_GONE, f"{key}:gone", f"rank {rank} (pid {pid}) is gone, the command still runs", rank,
                {"pid": pid, "rank": rank, "ranks_running": len(ranks)},
            )  # fmt: skip

    def _tell_placed(self, rank: int, seen: Seen) -> None:
        self.told.ranks[seen.key] = rank
        local_rank, world_size = seen.number("LOCAL_RANK"), seen.number("WORLD_SIZE")
        place = f"pid {seen.pid}" + (f" on GPU {seen.gpu}" if seen.gpu else "")
        self._tell(
            kinds.RANK_PLACED, f"{seen.key}:placed", f"rank {rank} runs as {place}", rank,
            {"rank": rank, "local_rank": local_rank, "world_size": world_size, "pid": seen.pid, "gpu": seen.gpu},
        )  # fmt: skip

    def _tell_stops(self, tree: Iterable[Seen]) -> None:
        stops, by_key = self.told.stops, {seen.key: seen for seen in tree}
        stopped = {seen.key: seen for seen in first_of_each_rank(seen for seen in tree if seen.state in _STOPPED)}
        for key, seen in stopped.items():
            stop = stops.setdefault(key, _Stop())
            stop.looks += 1
            if stop.looks >= LOOKS_UNTIL_STOPPED and not stop.is_told:
                stop.is_told = True
                stop.told_total += 1
                self._tell_stop(kinds.PROCESS_STOPPED, seen, stop)
        for key in [known for known in stops if known not in stopped]:
            seen_again = by_key.get(key)
            if seen_again is None:
                del stops[key]
            elif seen_again.state not in _STOPPED:
                self._tell_running_again(seen_again, stops[key])

    def _tell_running_again(self, seen: Seen, stop: _Stop) -> None:
        stop.looks = 0
        if stop.is_told:
            stop.is_told = False
            self._tell_stop(kinds.PROCESS_CONTINUED, seen, stop)

    def _tell_stop(self, kind: str, seen: Seen, stop: _Stop) -> None:
        whose = f"rank {seen.rank}, " if seen.rank is not None else ""
        verb = "is stopped" if kind == kinds.PROCESS_STOPPED else "runs again"
        self._tell(
            kind, f"{seen.key}:{kind}:{stop.told_total}", f"{seen.name} ({whose}pid {seen.pid}) {verb}", seen.rank,
            {"pid": seen.pid, "rank": seen.rank, "name": seen.name, "state": seen.state},
        )  # fmt: skip

    def _state_hidden(self, tree: Iterable[Seen]) -> None:
        hidden = sum(seen.environ is None for seen in tree)
        if hidden:
            self.conditions.append(
                f"the ranks of {hidden} processes of job {self._job.id} cannot be read: run as root or as its user"
            )

    def _tell(self, subject: str, position: str, text: str, rank: int | None, facts: Mapping[str, Scalar]) -> None:
        self.readings.append(
            Reading(
                source=ProcessCollector.name,
                node=self._site.node,
                boot_id=self._site.boot_id,
                position=f"{self._job.id}/{self._job.attempt}:{position}",
                observed_at=self._now,
                happened_at=self._now,
                trust=Trust.NODE,
                subject=subject,
                text=text,
                fields=facts,
                job=self._job.id,
                attempt=self._job.attempt,
                rank=rank,
            )
        )


def _told(saved: object, pid: int) -> _Told:
    if not isinstance(saved, Mapping) or saved.get("pid") != pid:
        return _Told(pid)
    return _Told(
        pid,
        saved["started"],
        saved["has_exited"],
        dict(saved["ranks"]),
        {key: _Stop(**stop) for key, stop in saved["stops"].items()},
    )


def _end_of(told: _Told) -> tuple[bool, int | None]:
    """Return whether the command ended, and its exit code (negative for a signal, None where it cannot be known)."""
    try:
        status = os.waitid(os.P_PID, told.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:  # not our child
        return not _is_alive(told), None
    if status is None:
        return False, None
    return True, status.si_status if status.si_code == os.CLD_EXITED else -status.si_status


def _is_alive(told: _Told) -> bool:
    with suppress(psutil.Error, OSError):
        is_same = told.started is None or told.started == started_ticks(told.pid)
        return is_same and psutil.Process(told.pid).status() != psutil.STATUS_ZOMBIE
    return False


def _signal_name(exit_code: int | None) -> str | None:
    if exit_code is None or exit_code >= 0:
        return None
    try:
        return signal.Signals(-exit_code).name
    except ValueError:  # a real-time signal
        return f"signal {-exit_code}"
