"""Rows to records: the queries that start-up and people share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TypeVar

import sqlalchemy as sa

from clusterwatch.model import Decision, Diagnosis, Step
from clusterwatch.store.records import DECISION, DIAGNOSIS, STEP, RecordType
from clusterwatch.store.tables import decisions, diagnoses, steps

T = TypeVar("T")
Clause = sa.ColumnElement[bool]
Order = sa.ColumnElement[object] | sa.Column[object]


def fetch(
    connection: sa.Connection,
    kind: RecordType[T],
    *where: Clause,
    order: Iterable[Order] = (),
    limit: int | None = None,
) -> tuple[T, ...]:
    """Return the records for which *where* holds, by *order* and then by key."""
    query = sa.select(kind.table).where(*where).order_by(*order, *kind.table.primary_key).limit(limit)
    return tuple(kind.record(row) for row in connection.execute(query).mappings())


def latest_diagnoses(connection: sa.Connection, incident_ids: sa.Select[tuple[str]]) -> dict[str, Diagnosis]:
    """Return the last revision of each of the incidents, by incident id."""
    of_these = diagnoses.c.incident_id.in_(incident_ids)
    last = sa.select(diagnoses.c.incident_id, sa.func.max(diagnoses.c.revision)).where(of_these)
    place = sa.tuple_(diagnoses.c.incident_id, diagnoses.c.revision)
    found = fetch(connection, DIAGNOSIS, place.in_(last.group_by(diagnoses.c.incident_id)))
    return {diagnosis.incident_id: diagnosis for diagnosis in found}


def fetch_decisions(
    connection: sa.Connection, *where: Clause, order: Iterable[Order] = (), limit: int | None = None
) -> tuple[Decision, ...]:
    """Return the decisions for which *where* holds, each with its steps in order."""
    wanted = sa.select(decisions).where(*where).order_by(*order, decisions.c.id).limit(limit)
    rows = connection.execute(wanted).mappings().all()
    plans = _steps_of(connection, wanted.with_only_columns(decisions.c.id))
    return tuple(DECISION.record(row, steps=plans[row["id"]]) for row in rows)


def _steps_of(connection: sa.Connection, decision_ids: sa.Select[tuple[str]]) -> dict[str, list[Step]]:
    plans: dict[str, list[Step]] = defaultdict(list)
    of_these = steps.c.decision_id.in_(decision_ids)
    for step in fetch(connection, STEP, of_these, order=[steps.c.position]):
        plans[step.decision_id].append(step)
    return plans
