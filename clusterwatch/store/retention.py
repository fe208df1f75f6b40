"""What is forgotten: old events, their place in incidents, and old progress. Incidents and decisions stay."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from clusterwatch.model.kinds import PROGRESS as PROGRESS_KIND
from clusterwatch.store.partitions import drop_days_before
from clusterwatch.store.tables import events, incident_events, progress


def prune_steps(connection: sa.Connection, before: datetime) -> int:
    """Delete events that only say how far a job had come: one a second, and kept once a minute elsewhere."""
    newest = sa.select(sa.func.max(events.c.seq)).scalar_subquery()
    said = events.c.kind == PROGRESS_KIND
    return _delete(connection, events, said, events.c.observed_at < before, events.c.seq < newest)


def prune(connection: sa.Connection, before: datetime) -> dict[str, int]:
    """Delete what is older than *before*; return rows deleted by table."""
    return {
        "events": _prune_events(connection, before),
        "incident_events": _delete(connection, incident_events, incident_events.c.received_at < before),
        "progress": _delete(connection, progress, progress.c.observed_at < before),
    }


def _prune_events(connection: sa.Connection, before: datetime) -> int:
    if connection.dialect.name == "postgresql":
        return drop_days_before(connection, before) + _delete(connection, events, events.c.observed_at < before)
    # The newest event stays: on SQLite the number of the next one is counted from it.
    newest = sa.select(sa.func.max(events.c.seq)).scalar_subquery()
    return _delete(connection, events, events.c.observed_at < before, events.c.seq < newest)


def _delete(connection: sa.Connection, table: sa.Table, *where: sa.ColumnElement[bool]) -> int:
    return connection.execute(sa.delete(table).where(*where)).rowcount
