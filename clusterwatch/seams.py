"""The edges of the core, as protocols: what a clock, a collector and an actuator owe the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from threading import Event as Signal
from typing import Protocol, runtime_checkable

from clusterwatch.model import Collected, Mode, Outcome, Step, WorldState


@runtime_checkable
class Clock(Protocol):
    """Time, read and waited for."""

    def now(self) -> datetime:
        """Return the present in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go backwards."""
        ...

    def wait(self, signal: Signal, seconds: float) -> bool:
        """Wait for *signal*, at most *seconds*; return whether it came."""
        ...


@dataclass(frozen=True, slots=True)
class WatchedJob:
    """What collectors need to know of a job they follow on this node.

    *pid* is the supervised command's process id, None when it is not ours; *log_paths* may be glob patterns.
    """

    id: str
    attempt: int
    pid: int | None = None
    log_paths: tuple[str, ...] = ()
    checkpoint_dir: str = ""


@dataclass(frozen=True, slots=True)
class Site:
    """What a collector is told about where it runs.

    Attributes:
        node: Name under which this node is known.
        boot_id: Of the running kernel.
        settings: The collector's own table of the configuration.
        jobs: Jobs on this node now.
        deadline_seconds: How long one collection may take; None for the collector's own deadline.
    """

    node: str
    boot_id: str = ""
    settings: Mapping[str, object] = field(default_factory=dict)
    jobs: tuple[WatchedJob, ...] = ()
    deadline_seconds: float | None = None


class Collector(Protocol):
    """One source of readings. Stateless between runs but for open handles: its position is given and returned.

    A source that does not exist here is a stated condition, not an error. What it raises is recorded against
    its name and never stops another collector.

    A collector of which a single look says something about the node's health may declare `scans = True`:
    `clusterwatch scan` then takes it, with the position {}.
    """

    name: str
    every_seconds: float
    deadline_seconds: float

    def collect(self, site: Site, position: Mapping[str, object], now: datetime) -> Collected:
        """Return what is new since *position* ({} the first time)."""
        ...

    def close(self) -> None:
        """Give back handles and children."""
        ...


@runtime_checkable
class JobSource(Protocol):
    """A collector that knows jobs whose logs and checkpoints the others should read."""

    def watched(self) -> tuple[WatchedJob, ...]:
        """Return them as of its last look."""
        ...


class Actuator(Protocol):
    """What carries out steps. *mode* is its default; configuration may lower or raise it.

    One that cannot do every kind of step may say which it can, as `kinds`; plans then leave the others out.
    """

    name: str
    mode: Mode

    def perform(self, step: Step, now: datetime) -> Outcome:
        """Carry out *step* once and say what became of it.

        Raises:
            ActionError: The world refused.
        """
        ...

    def state_of(self, step: Step) -> WorldState:
        """Ask the world whether *step*, begun before a crash, was done."""
        ...

    def targets(self) -> frozenset[str] | None:
        """Return the ids this actuator can act on; None for any."""
        ...


class SimulatedFleet(Collector, Actuator, Protocol):
    """Readings without hardware, in closed loop: what a policy does to it changes what comes next."""

    def truth(self) -> Mapping[str, str]:
        """Return what really happened: fault id to cause. Only a scorer may look."""
        ...
