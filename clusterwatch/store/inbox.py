"""Events in, in a safe order out: the events table is the responder's inbox."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far the inbox was read: the last event's transaction and number. The default is the very beginning."""

    xact: int = 0
    seq: int = 0
