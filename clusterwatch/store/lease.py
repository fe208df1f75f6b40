"""Who the one responder is: a row taken by compare-and-set on the database's own clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to be the responder until *expires_at* (database clock, UTC). *epoch* grows at each change of hands."""

    holder: str
    epoch: int
    expires_at: datetime
