"""Lists of a job's nodes, written only when they change.

A job reports progress every few seconds, and its row is written each time; two thousand names of nodes are most of it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

import sqlalchemy as sa

from clusterwatch.model import Attempt, Changes, Job
from clusterwatch.model.making import replace
from clusterwatch.store.records import RecordType
from clusterwatch.store.writing import put

T = TypeVar("T", Job, Attempt)
Key = tuple[str, int]

_KEPT = 1000
_SHORT = 8
"""A list of so few names costs less to write than to think about."""


@dataclass(slots=True)
class NodesWritten:
    """The lists that this process wrote and committed, by job and attempt (0 for the job itself).

    The very same object is taken for the same list: what another process wrote since comes back as another one.
    """

    lists: dict[Key, tuple[str, ...]] = field(default_factory=dict)

    def put(self, connection: sa.Connection, kind: RecordType[T], records: Collection[T], now: datetime) -> None:
        """Write *records*, their nodes only where they may be others than those on record."""
        whole, rest = list[T](), list[T]()
        for record in records:
            if self.lists.get(_key(record)) is record.nodes:
                rest.append(replace(record, nodes=()))
            else:
                whole.append(record)
        put(connection, kind, whole, now)
        put(connection, kind, rest, now, but="nodes")

    def committed(self, changes: Changes) -> None:
        """Remember the lists of *changes*, which are on record now."""
        if len(self.lists) > _KEPT:
            self.lists.clear()
        records: tuple[Job | Attempt, ...] = (*changes.jobs, *changes.attempts)
        for record in records:
            if len(record.nodes) > _SHORT:
                self.lists[_key(record)] = record.nodes


def _key(record: Job | Attempt) -> Key:
    return (record.id, 0) if isinstance(record, Job) else (record.job_id, record.number)
