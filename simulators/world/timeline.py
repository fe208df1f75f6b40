"""What is due, in order; time is a number of seconds and nothing waits."""

from __future__ import annotations

import heapq
from collections.abc import Callable

Action = Callable[[float], None]


class Timeline:
    """Actions by the time they are due; of two at the same time the one noted first goes first."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Action]] = []
        self._noted_total = 0

    @property
    def next_at(self) -> float | None:
        """When the next action is due; None when none is."""
        return self._due[0][0] if self._due else None

    def at(self, when: float, action: Action) -> None:
        """Note that *action* is due at *when*; it gets that time."""
        self._noted_total += 1
        heapq.heappush(self._due, (round(when, 3), self._noted_total, action))

    def pop(self, until: float) -> tuple[float, Action] | None:
        """Return the next action that is due by *until* and its time; None when none is."""
        if not self._due or self._due[0][0] > until:
            return None
        when, _, action = heapq.heappop(self._due)
        return when, action
