"""Frozen records to rows and back, by field name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import IntEnum
from functools import cached_property
from typing import Any, Generic, TypeVar, get_type_hints

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

T = TypeVar("T")
Row = sa.RowMapping | Mapping[str, Any]
_TIMES = ("happened_at", "observed_at", "received_at")


@dataclass(frozen=True)
class RecordType(Generic[T]):
    """How records of one type are stored.

    Attributes:
        renamed: Field to column, where they differ.
        derived: Columns that are computed from the record, for people who filter or draw by them.
        omitted: Fields that are stored elsewhere.
    """

    type: type[T]
    table: sa.Table
    renamed: Mapping[str, str] = field(default_factory=dict)
    derived: Mapping[str, Callable[[T], object]] = field(default_factory=dict)
    omitted: frozenset[str] = frozenset()

    def row(self, record: T, now: datetime) -> dict[str, Any]:
        """Return the row of *record*; times it does not tell are *now*."""
        row: dict[str, Any] = {time: now for time in _TIMES if time in self.table.c}
        for name, column, nested in self._columns:
            value = getattr(record, name)
            row[column] = nested.dump_python(value, mode="json") if nested else _plain(value)
        derived = {column: compute(record) for column, compute in self.derived.items()}
        return row | {column: value for column, value in derived.items() if value is not None or column not in row}

    def record(self, row: Row, **stored_elsewhere: object) -> T:
        """Return the record of *row*."""
        values = {name: row[column] for name, column, _ in self._columns}
        return self._adapter.validate_python(values | stored_elsewhere)

    @cached_property
    def overwritten(self) -> tuple[str, ...]:
        """Columns that a newer version of a record changes: not its key, nor the times of its first writing."""
        told = {column for _, column, _ in self._columns} | self.derived.keys()
        return tuple(sorted(told - {column.name for column in self.table.primary_key}))

    @cached_property
    def _columns(self) -> tuple[tuple[str, str, TypeAdapter[Any] | None], ...]:
        hints = get_type_hints(self.type)
        names = [f.name for f in fields(self.type) if f.name not in self.omitted]  # type: ignore[arg-type] # T is a dataclass
        return tuple(
            (name, column := self.renamed.get(name, name), self._nested(column, hints[name])) for name in names
        )

    def _nested(self, column: str, hint: Any) -> TypeAdapter[Any] | None:
        return TypeAdapter(hint) if isinstance(self.table.c[column].type, sa.JSON) else None

    @cached_property
    def _adapter(self) -> TypeAdapter[T]:
        return TypeAdapter(self.type)


def _plain(value: object) -> object:
    return int(value) if isinstance(value, IntEnum) else value


def _began_at(interruption: Interruption) -> datetime | None:
    return min(interruption.edges.values(), default=None)


def _ended_at(interruption: Interruption) -> datetime | None:
    return interruption.edges.get(Edge.FIRST_NEW_STEP)


EVENT = RecordType(
    Event,
    tables.events,
    derived={
        "component_kind": lambda event: event.component.kind,
        "component_id": lambda event: event.component.id,
        "node": lambda event: event.component.node,
    },
    omitted=frozenset({"component", "received_at"}),
)
INCIDENT = RecordType(
    Incident,
    tables.incidents,
    {"opened_at": "happened_at"},
    {"severity": lambda incident: int(incident.severity)},
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
