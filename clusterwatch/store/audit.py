"""Who did what to what, and when."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from clusterwatch.store.tables import audit
from clusterwatch.store.writing import add_rows

_COLUMNS = ("actor", "action", "subject", "detail", "happened_at", "observed_at", "received_at")


def write_audit(connection: sa.Connection, actor: str, action: str, subject: str, detail: str, now: datetime) -> None:
    """Write that *actor* did *action* to *subject*."""
    add_rows(connection, audit, _COLUMNS, [(actor, action, subject, detail, now, now, now)])
