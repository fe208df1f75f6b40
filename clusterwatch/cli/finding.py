"""Flags to an open store, and what a person typed to the record that was meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from clusterwatch.errors import ClusterWatchError

if TYPE_CHECKING:
    from datetime import datetime

    from clusterwatch.model import Job
    from clusterwatch.store import IncidentView, JobView, Reader, Store

NOTHING_YET = (
    'nothing is recorded yet: "clusterwatch daemon" watches this machine, "clusterwatch run -- CMD" runs and watches '
    'a training command, "clusterwatch demo" shows a simulated cluster'
)
"""What an empty database is answered with."""

_SEARCHED = 1000
_SHOWN = 3


@contextmanager
def opened_store(config: Path | None, database: str | None) -> Iterator[Store]:
    """Yield the store that flags, environment and file name; the database must exist.

    Raises:
        ConfigError: The configuration is wrong.
        StoreError: The database is not there, not reachable or of another version.
    """
    from clusterwatch.config import load
    from clusterwatch.store import Store

    settings = load(config, {"database": database})
    store = Store.open(settings.database)
    try:
        yield store
    finally:
        store.close()


def job_named(read: Reader, text: str) -> JobView:
    """Return the job whose id or name is, or starts with, *text*.

    Raises:
        ClusterWatchError: If there is none; the message names the nearest.
    """
    found = read.job(text)
    if found is not None:
        return found
    jobs = read.jobs(limit=_SEARCHED)
    by_either_name = {name: job.id for job in jobs for name in (job.name, job.id)}
    raise ClusterWatchError(_unknown("job", text, by_either_name, 'list them with "clusterwatch jobs list"'))


def incident_named(read: Reader, text: str) -> IncidentView:
    """Return the incident whose id starts with *text*, with or without "inc-".

    Raises:
        ClusterWatchError: If there is none; the message names the nearest.
    """
    found = read.incident(text) or read.incident(f"inc-{text}")
    if found is not None:
        return found
    ids = [incident.id for incident, _ in read.incidents(limit=_SEARCHED)]
    known = {name: name for name in ids}
    raise ClusterWatchError(_unknown("incident", text, known, 'list them with "clusterwatch incidents list --all"'))


def latest_job(read: Reader) -> Job | None:
    """Return the job that changed last; None when there is no job."""
    candidates = [*read.jobs(limit=_SEARCHED), *read.jobs(limit=_SEARCHED, active_only=True)]
    return max(candidates, key=lambda job: job.updated_at, default=None)


def present_in(read: Reader) -> datetime:
    """Return the moment that ages are counted to: now, or as far as the simulated cluster that is recorded has come."""
    from clusterwatch.clock import SystemClock

    latest = latest_job(read)
    return latest.updated_at if latest is not None and latest.simulated else SystemClock().now()


def _unknown(noun: str, text: str, known: dict[str, str], advice: str) -> str:
    if not known:
        return f'there is no {noun} "{text}": {NOTHING_YET}'
    near = _nearest(text, known)
    hint = f" nearest: {', '.join(near)};" if near else ""
    return f'there is no {noun} "{text}";{hint} {advice}'


def _nearest(text: str, known: dict[str, str]) -> list[str]:
    names: Iterable[str] = difflib.get_close_matches(text, list(known), n=_SHOWN, cutoff=0.5)
    return list(dict.fromkeys(known[name] for name in names))
