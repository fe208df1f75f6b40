"""The environment to where a process reports.

    CLUSTERWATCH_REPORT   the file; ``-`` for standard output; nothing is reported where it is not set
    CLUSTERWATCH_JOB      stands for ``{job}`` in it
    CLUSTERWATCH_RANK     stands for ``{rank}`` in it; without such a place every rank has a file NAME.rankN.SUFFIX

Where the last two are not set, those of torchrun, Slurm and MPI are taken.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Union

from .files import Nowhere, ReportFile, StandardOutput

REPORT = "CLUSTERWATCH_REPORT"
JOBS = ("CLUSTERWATCH_JOB", "SLURM_JOB_ID", "TORCHELASTIC_RUN_ID")
RANKS = ("CLUSTERWATCH_RANK", "RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMI_RANK")

Sink = Union[ReportFile, StandardOutput, Nowhere]  # Python 3.8 knows no other way to write it


def sink_of(environment: Mapping[str, str]) -> Sink:
    """Return where reports go."""
    named = environment.get(REPORT, "")
    if not named:
        return Nowhere()
    return StandardOutput() if named == "-" else ReportFile(path_of(named, environment))


def path_of(named: str, environment: Mapping[str, str]) -> str:
    """Return the path of this rank's file."""
    rank = rank_of(environment)
    job = re.sub(r"[^\w.-]", "_", _first(JOBS, environment)) or "job"
    path = named.replace("{job}", job).replace("{rank}", rank or "0")
    if not rank or "{rank}" in named:
        return path
    stem, suffix = os.path.splitext(path)
    return f"{stem}.rank{rank}{suffix}"


def rank_of(environment: Mapping[str, str]) -> str:
    """Return this process's rank among all of the job as digits; "" where nothing says it."""
    named = _first(RANKS, environment)
    return str(int(named)) if named.isascii() and named.isdigit() else ""


def _first(names: tuple[str, ...], environment: Mapping[str, str]) -> str:
    return next((environment[name] for name in names if environment.get(name)), "")
