"""Interruptions to rows and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from clusterwatch.cli.output import Column, encode, table_of
from clusterwatch.cli.page import Table
from clusterwatch.cli.wording import duration, or_dash, stamp
from clusterwatch.goodput import began_at
from clusterwatch.model import Edge, Interruption


def interruption_json(interruption: Interruption) -> dict[str, Any]:
    """Return *interruption* with its stored moments, and whether it is over."""
    answer: dict[str, Any] = encode(interruption)
    return {**answer, "is_over": interruption.is_over}


def interruption_table(interruptions: Sequence[Interruption]) -> Table:
    """Return interruptions in the order given."""
    return table_of(interruptions, _COLUMNS)


def _began(interruption: Interruption) -> str:
    return stamp(began_at(interruption) if interruption.edges else None)


def _lasted(interruption: Interruption) -> str:
    ended: datetime | None = interruption.edges.get(Edge.FIRST_NEW_STEP)
    return duration((ended - began_at(interruption)) / timedelta(seconds=1)) if ended else "not over"


_COLUMNS: tuple[Column[Interruption], ...] = (
    Column("BEGAN", _began),
    Column("LASTED", _lasted),
    Column("JOB", lambda each: each.job_id),
    Column("ATTEMPT", lambda each: str(each.attempt)),
    Column("AT STEP", lambda each: str(each.highest_step)),
    Column("KIND", lambda each: "planned" if each.planned else "hang" if each.processes_ran else "unexpected"),
    Column("INCIDENT", lambda each: or_dash(each.incident_id)),
)
