"""Slurm to readings: jobs and their attempts, nodes that go and come, and work that is announced."""

from __future__ import annotations

import fnmatch
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from clusterwatch.errors import ConfigError, Mistake
from clusterwatch.model import Collected, Reading
from clusterwatch.reading.slurm import SlurmJob
from clusterwatch.seams import Site, WatchedJob
from collectors._settings import settings_in
from collectors._slurm_ask import Slurm
from collectors._slurm_jobs import DOWN, PENDING, RUNNING, Followed, Followers, job_id, phases
from collectors._slurm_nodes import Look, announced, maintenance_readings, node_readings, remembered
from collectors._tools import NoToolError, Tools

NOT_SET_UP = "follows no job: name users, partitions or names of training jobs under [collectors.slurm]"

NO_SLURM = "no Slurm here"

ACTUATOR = "slurm"
"""Name of the actuator that can act on the jobs that are told of here."""

# Names stay as they are where a path is made of them; of a job, only the number goes into one.
_PLACEHOLDER = "{id}"


@dataclass(frozen=True, slots=True)
class SlurmSettings:
    """The collector's table of the configuration.

    Attributes:
        users: Whose jobs are training jobs, as patterns such as "llm-*"; none for any.
        partitions: In which partitions, as patterns; none for any.
        names: Under which names, as patterns; none for any. "*" in one of the three follows every batch job.
        command_prefix: Put before each command, such as "sudo -n".
        answer_within_seconds: How long one command may take.
        logs: More log files of a job than its standard output, as patterns with {id} for its number.
        checkpoint_dir: Where a job's checkpoints are, with {id} for its number.
        ranks_per_node: How many ranks run on each node, in blocks in the order of its nodes; 0 for one on each GPU.
    """

    users: tuple[str, ...] = ()
    partitions: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    command_prefix: tuple[str, ...] = ()
    answer_within_seconds: float = 10.0
    logs: tuple[str, ...] = ()
    checkpoint_dir: str = ""
    ranks_per_node: int = 0

    def wants(self, job: SlurmJob) -> bool:
        """Return whether *job* is a training job."""
        asked = ((job.user, self.users), (job.partition, self.partitions), (job.name, self.names))
        return job.is_batch and all(not patterns or _matches(value, patterns) for value, patterns in asked)


class SlurmCollector:
    """Follows the training jobs of a cluster, and all of its nodes, from one host."""

    name = "slurm"
    every_seconds = 2.0
    deadline_seconds = 45.0

    def __init__(self) -> None:
        self._tools = Tools()
        self._slurm: Slurm | None = None
        self._watched: tuple[WatchedJob, ...] = ()

    def collect(self, site: Site, position: Mapping[str, object], now: datetime) -> Collected:
        """Return what changed since *position*.

        Raises:
            SourceError: Slurm does not answer, refuses, or says what nobody can read. Nothing follows from that.
            ConfigError: The settings are wrong.
        """
        settings = settings_in(site.settings, SlurmSettings, self.name)
        _check(settings)
        if not (settings.users or settings.partitions or settings.names):
            return Collected(position=position, condition=NOT_SET_UP if shutil.which("squeue") else NO_SLURM)
        try:
            return self._looked(site, settings, position, now)
        except NoToolError as missing:
            return Collected(
                position=position, condition=f"no {missing} here: install Slurm's commands to follow its jobs"
            )

    def watched(self) -> tuple[WatchedJob, ...]:
        """Return the jobs whose logs and checkpoints other collectors should read, as of the last look."""
        return self._watched

    def close(self) -> None:
        """End the command that still runs."""
        self._tools.close()

    def _looked(self, site: Site, settings: SlurmSettings, position: Mapping[str, object], now: datetime) -> Collected:
        slurm = self._asked_by(settings)
        look = Look(site.node, now, is_first=not position)
        # Nodes last: what took a job away shows on its node by then.
        jobs = slurm.jobs()
        reservations = slurm.reservations()
        nodes = slurm.nodes()
        by_name = {node.name: node for node in nodes}
        followers = Followers(look, by_name, ACTUATOR, settings.checkpoint_dir, settings.ranks_per_node)
        wanted = {job.id: job for job in jobs if settings.wants(job)}
        before = dict(phases(_table(position, "jobs")))
        followed, told = _followed(followers, wanted, {job.id for job in jobs}, before)
        self._watched = tuple(_watched(settings, wanted, followed, before))
        readings: list[Reading] = [
            *node_readings(nodes, _table(position, "nodes"), look),
            *maintenance_readings(reservations, _table(position, "reservations"), look),
            *told,
        ]
        works = {each.name: work for each in reservations if (work := announced(each)) is not None}
        return Collected(
            tuple(readings),
            {
                "jobs": {str(number): job.stored() for number, job in followed.items()},
                "nodes": {node.name: remembered(node) for node in nodes},
                "reservations": works,
            },
        )

    def _asked_by(self, settings: SlurmSettings) -> Slurm:
        asked = (settings.command_prefix, settings.answer_within_seconds)
        if self._slurm is None or (self._slurm.prefix, self._slurm.answer_within_seconds) != asked:
            self._slurm = Slurm(*asked, self._tools)
        return self._slurm


def _followed(
    followers: Followers, wanted: Mapping[int, SlurmJob], present: Iterable[int], known: Mapping[int, Followed]
) -> tuple[dict[int, Followed], list[Reading]]:
    now: dict[int, Followed] = {}
    told: list[Reading] = []
    for number in sorted(wanted.keys() | known.keys()):
        if number in wanted:
            followed, said = followers.followed(wanted[number], known.get(number))
        elif number in present:  # renamed, or the settings changed: it is there, and no training job any more
            followed, said = known[number], []
        else:
            followed, said = followers.missing(number, known[number])
        told += said
        if followed is not None:
            now[number] = followed
    return now, told


def _watched(
    settings: SlurmSettings,
    jobs: Mapping[int, SlurmJob],
    followed: Mapping[int, Followed],
    before: Mapping[int, Followed],
) -> Iterable[WatchedJob]:
    for number, job in jobs.items():
        known = followed.get(number)
        if known is None or not _is_read(known, before.get(number)):
            continue
        logs = tuple(pattern.replace(_PLACEHOLDER, str(number)) for pattern in settings.logs)
        own = (job.log_path,) if _is_of_user(job) else ()
        folder = settings.checkpoint_dir.replace(_PLACEHOLDER, str(number))
        node = known.nodes[0] if len(known.nodes) == 1 else ""
        is_down = known.phase != RUNNING
        yield WatchedJob(job_id(number), known.attempt, None, (*own, *logs), folder, node, is_down)


def _is_read(known: Followed, before: Followed | None) -> bool:
    """Whether what the job writes now belongs to *known*'s attempt.

    After its end for one look, for its last words; then not before the next attempt is known, whose first words would
    be taken for them.
    """
    if known.phase == RUNNING:
        return True
    has_just_ended = before is None or before.phase == RUNNING or (before.phase == PENDING and known.phase == DOWN)
    return known.attempt > 0 and known.phase in (PENDING, DOWN) and has_just_ended


def _is_of_user(job: SlurmJob) -> bool:
    """Whether the log belongs to the job's own user: a path that a user chose must not make us read another's file."""
    try:
        return bool(job.log_path) and Path(job.log_path).stat().st_uid == job.user_id
    except (OSError, ValueError):  # not there yet, or no path at all
        return False


def _matches(value: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(value, pattern) for pattern in patterns)


def _table(position: Mapping[str, object], key: str) -> Mapping[str, Any]:
    table = position.get(key)
    return table if isinstance(table, Mapping) else {}


def _check(settings: SlurmSettings) -> None:
    """Raise for a pattern of paths that would be the same for every job."""
    patterns = {"logs": settings.logs, "checkpoint_dir": (settings.checkpoint_dir,)}
    mistakes = [
        Mistake(
            key, f"{pattern!r}: expected an absolute path; {{id}} stands for the job's number, nothing else is known"
        )
        for key, values in patterns.items()
        for pattern in values
        if pattern and (not pattern.startswith("/") or set("{}") & set(pattern.replace(_PLACEHOLDER, "")))
    ]
    if mistakes:
        raise ConfigError("collector slurm", mistakes)
