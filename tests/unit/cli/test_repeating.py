from __future__ import annotations

from datetime import UTC, datetime

from clusterwatch.cli.repeating import until_interrupted
from clusterwatch.clock import ManualClock

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


def test_look_is_repeated_until_ctrl_c() -> None:
    clock = ManualClock(NOON)
    looks: list[float] = []

    def look() -> None:
        looks.append(clock.monotonic())
        if len(looks) == 3:
            raise KeyboardInterrupt

    until_interrupted(look, 2.0, clock)

    assert looks == [0.0, 2.0, 4.0]
