"""Frozen records to rows and back, by field name."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from functools import cached_property
from operator import attrgetter
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from pydantic import TypeAdapter

from clusterwatch.model import (
    Attempt,
    Checkpoint,
    CollectorStatus,
    Decision,
    Diagnosis,
    Edge,
    Event,
    Hold,
    Incident,
    Interruption,
    Job,
    MaintenanceWindow,
    Node,
    Outcome,
    Placement,
    Progress,
    Step,
)
from clusterwatch.store import tables
from clusterwatch.store.binding import conversions, converted, time_for

T = TypeVar("T")
Row = sa.RowMapping | Mapping[str, Any]
_TIMES = ("happened_at", "observed_at", "received_at")


@dataclass(frozen=True)
class RecordType(Generic[T]):
    """How records of one type are stored.

    Attributes:
        renamed: Field to column, where they differ.
        parts: What stands deeper in a record ("component.kind") to its column.
        derived: Columns that are computed from the record, for people who filter or draw by them.
        omitted: Fields that are stored elsewhere.
    """

    type: type[T]
    table: sa.Table
    renamed: Mapping[str, str] = field(default_factory=dict)
    parts: Mapping[str, str] = field(default_factory=dict)
    derived: Mapping[str, Callable[[T], object]] = field(default_factory=dict)
    omitted: frozenset[str] = frozenset()

    def rows(self, records: Collection[T], now: datetime, dialect: str) -> list[tuple[Any, ...]]:
        """Return the rows of *records* in the order of `columns`, as the driver of *dialect* takes them.

        Times that a record does not tell are *now*.
        """
        rows = list(map(self._told, records))
        if not rows:
            return []
        if self.derived:
            rows = [(*row, *self._derived_from(record, now)) for row, record in zip(rows, records, strict=True)]
        untold = (time_for(dialect)(now),) * len(self._untold)
        return converted(rows, conversions(self.table, self._written, dialect), untold)

    def record(self, row: Row, **stored_elsewhere: object) -> T:
        """Return the record of *row*."""
        values = {name: row[column] for name, column in self._stored.items()}
        return self._adapter.validate_python(values | stored_elsewhere)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Columns that are written, in the order of a row."""
        return (*self._written, *self._untold)

    @cached_property
    def overwritten(self) -> tuple[str, ...]:
        """Columns that a newer version of a record changes: not its key, nor the times of its first writing."""
        return tuple(sorted({*self._written} - {column.name for column in self.table.primary_key}))

    def _derived_from(self, record: T, now: datetime) -> Iterator[object]:
        for column, compute in self.derived.items():
            value = compute(record)
            yield now if value is None and column in _TIMES else value

    @cached_property
    def _stored(self) -> dict[str, str]:
        names = [f.name for f in fields(self.type) if f.name not in self.omitted]  # type: ignore[arg-type] # T is a dataclass
        return {name: self.renamed.get(name, name) for name in names}

    @cached_property
    def _written(self) -> tuple[str, ...]:
        return (*self._stored.values(), *self.parts.values(), *self.derived)

    @cached_property
    def _untold(self) -> tuple[str, ...]:
        return tuple(time for time in _TIMES if time in self.table.c and time not in self._written)

    @cached_property
    def _told(self) -> Callable[[T], tuple[Any, ...]]:
        return attrgetter(*self._stored, *self.parts)

    @cached_property
    def _adapter(self) -> TypeAdapter[T]:
        return TypeAdapter(self.type)


def _began_at(interruption: Interruption) -> datetime | None:
    return min(interruption.edges.values(), default=None)


def _ended_at(interruption: Interruption) -> datetime | None:
    return interruption.edges.get(Edge.FIRST_NEW_STEP)


EVENT = RecordType(
    Event,
    tables.events,
    parts={"component.kind": "component_kind", "component.id": "component_id", "component.node": "node"},
    omitted=frozenset({"component", "received_at"}),
)
INCIDENT = RecordType(
    Incident,
    tables.incidents,
    {"opened_at": "happened_at"},
    derived={"severity": lambda incident: int(incident.severity)},
)
DIAGNOSIS = RecordType(Diagnosis, tables.diagnoses, {"made_at": "happened_at"})
DECISION = RecordType(Decision, tables.decisions, {"made_at": "happened_at"}, omitted=frozenset({"steps"}))
STEP = RecordType(Step, tables.steps, {"order": "position"})
OUTCOME = RecordType(Outcome, tables.outcomes, {"at": "happened_at"})
JOB = RecordType(Job, tables.jobs, {"started_at": "happened_at", "user": "user_name"})
ATTEMPT = RecordType(Attempt, tables.attempts, {"started_at": "happened_at"})
PLACEMENT = RecordType(Placement, tables.placements)
INTERRUPTION = RecordType(Interruption, tables.interruptions, derived={"happened_at": _began_at, "ended_at": _ended_at})
CHECKPOINT = RecordType(Checkpoint, tables.checkpoints, {"saved_at": "happened_at"})
PROGRESS = RecordType(Progress, tables.progress, {"at": "happened_at"})
NODE = RecordType(Node, tables.nodes, {"seen_at": "observed_at"})
HOLD = RecordType(Hold, tables.holds, {"made_at": "happened_at"})
MAINTENANCE = RecordType(MaintenanceWindow, tables.maintenance_windows, {"starts_at": "happened_at"})
COLLECTOR = RecordType(CollectorStatus, tables.collector_state, {"name": "collector"})


def event_of(row: Row) -> Event:
    """Return the event of *row*."""
    component = {"kind": row["component_kind"], "id": row["component_id"], "node": row["node"]}
    return EVENT.record(row, component=component, received_at=row["received_at"])
