"""Nodes that are left out of a job to rows."""

from __future__ import annotations

from datetime import datetime

from clusterwatch.app.leaving_out import Excluded
from clusterwatch.cli.output import Column
from clusterwatch.cli.wording import age, or_dash

RETURNS = "with the next restart"


def excluded_columns(now: datetime) -> tuple[Column[Excluded], ...]:
    """Return the columns of a list of nodes that are left out."""
    return (
        Column("NODE", lambda each: each.left.node),
        Column("LEFT OUT", lambda each: age(each.left.since, now)),
        Column("CAUSE", lambda each: or_dash(each.left.cause)),
        Column("INCIDENT", lambda each: or_dash(each.left.incident_id)),
        Column("CHECKED", lambda each: age(each.left.checked_at, now)),
        Column("RETURNS", lambda each: f"not yet: {each.stays_because}" if each.stays_because else RETURNS),
    )
