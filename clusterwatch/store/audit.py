"""Who did what to what, and when."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from clusterwatch.store.tables import audit


def write_audit(connection: sa.Connection, actor: str, action: str, subject: str, detail: str, now: datetime) -> None:
    """Write that *actor* did *action* to *subject*."""
    times = {"happened_at": now, "observed_at": now, "received_at": now}
    row = {"actor": actor, "action": action, "subject": subject, "detail": detail, **times}
    connection.execute(sa.insert(audit), row)
