"""The one module that reads the time and waits for it; everything else takes `now` as an argument."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from threading import Event as Signal


class SystemClock:
    """The machine's clock, in UTC."""

    def now(self) -> datetime:
        """Return the present, time-zone aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that never go backwards, for measuring durations."""
        return time.monotonic()

    def wait(self, signal: Signal, seconds: float) -> bool:
        """Wait for *signal* or *seconds*, whichever comes first; return whether the signal came."""
        return signal.wait(max(seconds, 0.0))


class ScaledClock(SystemClock):
    """A clock that starts at *start* and runs *speed* times as fast as the machine's."""

    def __init__(self, start: datetime, speed: float) -> None:
        if speed <= 0:
            raise ValueError(f"speed must be positive, not {speed}")
        self._start = start
        self._speed = speed
        self._began = time.monotonic()

    def now(self) -> datetime:
        """Return the scaled present."""
        return self._start + timedelta(seconds=(time.monotonic() - self._began) * self._speed)

    def wait(self, signal: Signal, seconds: float) -> bool:
        """Wait *seconds* of scaled time."""
        return signal.wait(max(seconds, 0.0) / self._speed)


class CatchUpClock(SystemClock):
    """A clock that is moved by hand from *start*, to live through a past quickly, until it is let go.

    From then on it runs *speed* times as fast as the machine's, from wherever it had come.
    """

    def __init__(self, start: datetime) -> None:
        self._now = start
        self._running: ScaledClock | None = None

    def now(self) -> datetime:
        """Return the time last moved to, or the running time."""
        return self._running.now() if self._running is not None else self._now

    def advance(self, seconds: float) -> datetime:
        """Move *seconds* forward and return the new present; only before the clock was let go."""
        self._now += timedelta(seconds=seconds)
        return self._now

    def let_go(self, speed: float = 1.0) -> None:
        """Run by itself from now on."""
        self._running = ScaledClock(self._now, speed)

    def wait(self, signal: Signal, seconds: float) -> bool:
        """Wait *seconds* of this clock's time; before it was let go, do not wait at all."""
        return self._running.wait(signal, seconds) if self._running is not None else signal.is_set()


class ManualClock:
    """A clock that tests move by hand; waiting moves it."""

    def __init__(self, start: datetime) -> None:
        self._now = start
        self._elapsed = 0.0

    def now(self) -> datetime:
        """Return the time last moved to."""
        return self._now

    def monotonic(self) -> float:
        """Return the seconds moved so far."""
        return self._elapsed

    def advance(self, seconds: float) -> datetime:
        """Move *seconds* forward and return the new present."""
        self._now += timedelta(seconds=seconds)
        self._elapsed += seconds
        return self._now

    def wait(self, signal: Signal, seconds: float) -> bool:
        """Move *seconds* forward unless *signal* is set already."""
        if not signal.is_set():
            self.advance(seconds)
        return signal.is_set()
