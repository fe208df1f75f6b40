"""The job trace of Acme, Shanghai AI Lab, to a schedule.

Columns and states as https://github.com/InternLM/AcmeTrace describes them: `trace_seren.csv`, and `trace_kalos.csv`
with `fail_time` besides. COMPLETED and CANCELLED are no failures; a failure without any time is passed over.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib import resources
from pathlib import Path

from clusterwatch.model import Cause
from simulators.trace.converting import Failure, Into, collected, rows_of, schedule_of, time_in, whole_in
from simulators.trace.counting import Kinds
from simulators.trace.records import Assumption, Schedule

_NO_FAILURES = frozenset({"COMPLETED", "CANCELLED"})
_MOST = 1_000_000
"""Nodes, or GPUs, of the largest job that is read."""

_SOURCE = "https://github.com/InternLM/AcmeTrace"


def from_acme(path: Path, into: Into, kinds: Kinds, *, least_gpus: int = 8, job_type: str = "") -> Schedule:
    """Return the failed jobs of *path* that had *least_gpus* GPUs or more as faults of one job, in their order of time.

    With a *job_type*, such as "Pretrain", only those of that type. A job of *into* without nodes gets as many as the
    largest of those that failed had.

    Raises:
        ConfigError: The file is no such trace, or no job in it failed; holds all mistakes.
        SourceError: It cannot be read.
    """
    largest = 0

    def failure_in(row: Mapping[str, str]) -> Failure | None:
        nonlocal largest
        state = row["state"].strip().upper()
        gpus = whole_in(row["gpu_num"], _MOST)
        if state in _NO_FAILURES or gpus < least_gpus or (job_type and row["type"] != job_type):
            return None
        at = row.get("fail_time") or row["end_time"]
        largest = max(largest, whole_in(row["node_num"], _MOST))
        return Failure(time_in(at), _causes(state)) if at else None

    needed = ("job_id", "node_num", "gpu_num", "type", "state", "end_time")
    failures = collected(rows_of(path, needed), failure_in, str(path))
    return schedule_of(failures, replace(into, nodes_total=into.nodes_total or max(1, largest)), kinds, _assumptions())


def _causes(state: str) -> Mapping[Cause, float]:
    if state not in _shares():
        raise ValueError(f"no state of a job is {state[:40]!r}: they are {', '.join((*_shares(), *_NO_FAILURES))}")
    return _shares()[state]


@cache
def _shares() -> Mapping[str, Mapping[Cause, float]]:
    text = (resources.files("simulators") / "trace" / "acme.toml").read_text(encoding="utf-8")
    tables = tomllib.loads(text)
    return {state: {Cause(cause): float(share) for cause, share in table.items()} for state, table in tables.items()}


def _assumptions() -> dict[str, Assumption]:
    words = (
        "assumption: the trace says that a job failed and not why; drawn by the shares in simulators/trace/acme.toml"
    )
    return {
        "causes_drawn": Assumption(1.0, "share", words, published=False),
        "failure_times": Assumption(1.0, "share", _SOURCE, published=True),
    }
