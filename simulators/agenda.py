"""What is due in simulated time, in order; time is an argument and nothing waits."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from datetime import datetime, timedelta

Action = Callable[[datetime], None]


class Agenda:
    """Actions by the time they are due; of two at the same time the one noted first goes first."""

    def __init__(self) -> None:
        self._due: list[tuple[datetime, int, Action]] = []
        self._noted_total = 0

    def after(self, at: datetime, seconds: float, action: Action) -> None:
        """Note that *action* is due *seconds* after *at*."""
        self._noted_total += 1
        heapq.heappush(self._due, (at + timedelta(seconds=seconds), self._noted_total, action))

    def run_until(self, now: datetime) -> None:
        """Do all that is due up to and including *now*, also what those actions add; each gets its own time."""
        while self._due and self._due[0][0] <= now:
            at, _, action = heapq.heappop(self._due)
            action(at)
