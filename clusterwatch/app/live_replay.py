"""A replay that is watched: the same run, held back so that it keeps to a clock of so many seconds a second."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

import structlog

from clusterwatch.app.replaying import COLLECTED_EVERY, Replay
from clusterwatch.clock import ScaledClock
from clusterwatch.metrics import Metrics
from clusterwatch.seams import Clock
from clusterwatch.store import Store

log = structlog.get_logger(component="replay")

_STOP_SECONDS = 15.0


class _StoppedError(Exception):
    """The replay is to end before its trace."""


class LiveReplay:
    """Plays the rest of *run* in a thread, *speed* times as fast as the machine's clock."""

    def __init__(self, run: Replay, speed: float) -> None:
        """Take a replay that has come to its present, and let its clock run from there."""
        self._run = run
        # About a look a second of the viewer's time: what is watched should move.
        run.longest_jump = max(COLLECTED_EVERY, timedelta(seconds=speed))
        # Others read what happened, and approve and veto meanwhile.
        run.looks_together = 1
        self._clock = ScaledClock(run.now, speed)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._play, name="replay", daemon=True)
        self._failed = False

    @property
    def store(self) -> Store:
        """What it writes to."""
        return self._run.store

    @property
    def metrics(self) -> Metrics:
        """What it counts."""
        return self._run.metrics

    @property
    def clock(self) -> Clock:
        """The simulated time."""
        return self._clock

    def start(self) -> None:
        """Begin to play; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after the present look."""
        self._stopping.set()
        self._thread.join(_STOP_SECONDS)

    def stalled_loops(self) -> list[str]:
        """Return "replay" when it broke off by a mistake of ours."""
        return ["replay"] if self._failed else []

    def _play(self) -> None:
        try:
            self._run.run(self._wait_until)
        except _StoppedError:
            return
        except Exception:
            self._failed = True
            log.exception("replay broke off")

    def _wait_until(self, at: datetime) -> None:
        while (ahead := (at - self._clock.now()) / timedelta(seconds=1)) > 0 and not self._stopping.is_set():
            self._clock.wait(self._stopping, ahead)
        if self._stopping.is_set():
            raise _StoppedError
