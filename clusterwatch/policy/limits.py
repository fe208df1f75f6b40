"""The brakes: what automation may do, how often, and how late."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from clusterwatch.model import Mode


@dataclass(frozen=True, slots=True)
class Limits:
    """Brakes on automation.

    Attributes:
        restarts_without_progress: How often a job that dies the same way at the same step is tried again.
        attempts_without_progress: How many attempts in a row may end without a new step, however each of them ended.
        restarts_per_hour: Of one job, whatever it dies of.
        act_within: A step may be begun this long after its decision; later the evidence is stale.
        modes: How far each actuator may go; an actuator that is not named here observes.
    """

    restarts_without_progress: int = 2
    attempts_without_progress: int = 5
    restarts_per_hour: int = 12
    act_within: timedelta = timedelta(minutes=10)
    modes: Mapping[str, Mode] = field(default_factory=lambda: {"local_process": Mode.AUTO, "small_fleet": Mode.AUTO})

    def mode_of(self, actuator: str) -> Mode:
        """Return how far *actuator* may go."""
        return self.modes.get(actuator, Mode.OBSERVE)
