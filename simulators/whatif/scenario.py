"""What a run of a job is like: the fleet, its failures, what each stage takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from math import ceil

from clusterwatch.goodput import theory
from simulators.whatif.causes import LLAMA3_NODE_DAYS, Mix, built_in_mix

DAY, HOUR = 86_400.0, 3_600.0


class Arrivals(StrEnum):
    """When faults come: at a constant rate, or by a clock of each node that forgets nothing when the job restarts."""

    EXPONENTIAL = "exponential"
    WEIBULL = "weibull"


class Ages(StrEnum):
    """How old parts are at the start: as in a fleet that has run for long, or all new."""

    STATIONARY = "stationary"
    NEW = "new"


def _llama3_rate() -> float:
    # The counts are shares of whole numbers.
    return 1000.0 * round(sum(each.count for each in built_in_mix()), 6) / LLAMA3_NODE_DAYS


@dataclass(frozen=True, slots=True)
class Scenario:
    """A job and its fleet. The defaults are 54 days of 16,384 GPUs; what no paper tells is an assumption.

    Attributes:
        days: How long is looked at.
        gpus, gpus_per_node: Of the job.
        failures_per_1000_node_days: Of all causes together, in elapsed time.
        arrivals, shape, ages: When they come; the shape is that of the Weibull distribution (below 1: the longer a
            part has run, the less likely it fails) and counts for hardware only.
        planned_per_day, planned_seconds: Planned stops, and how long each keeps the job from training, save included.
        save_seconds: How long a save stops training.
        interval_seconds: Useful time between two saves; None for the policy's own.
        step_seconds: A save waits for the end of a step.
        standby_seconds, cold_seconds: To get a node that stands by, and one that does not.
        start_seconds: Until processes run and have their communicators; load_seconds: until the checkpoint is loaded.
        again_seconds: A fault that was due while the job was down, and a part that was kept, strike this long after
            it trains again.
        spares: Nodes that stand by at the start.
        repair_hours, repair_spread: Median and lognormal sigma until a node that was left out stands by.
        slow_seconds, slowdown: A part that gets slow stops the job after that time; until then a step takes so many
            times as long.
        detect_change_seconds: Added to every detection.
    """

    days: float = 54.0
    gpus: int = 16_384
    gpus_per_node: int = 8
    failures_per_1000_node_days: float = field(default_factory=_llama3_rate)
    mix: Mix = field(default_factory=built_in_mix)
    arrivals: Arrivals = Arrivals.EXPONENTIAL
    shape: float = 0.75
    ages: Ages = Ages.STATIONARY
    planned_per_day: float = 47.0 / 54.0
    planned_seconds: float = 300.0
    save_seconds: float = 2.0
    interval_seconds: float | None = None
    step_seconds: float = 6.2
    standby_seconds: float = 65.0
    cold_seconds: float = 600.0
    start_seconds: float = 75.0
    load_seconds: float = 60.0
    again_seconds: float = 60.0
    spares: int = 32
    repair_hours: float = 12.0
    repair_spread: float = 1.2
    slow_seconds: float = 300.0
    slowdown: float = 2.5
    detect_change_seconds: float = 0.0

    @property
    def nodes(self) -> int:
        """How many nodes the job runs on."""
        return ceil(self.gpus / self.gpus_per_node)

    @property
    def seconds(self) -> float:
        """The elapsed time that is looked at."""
        return self.days * DAY

    @property
    def least_progress_seconds(self) -> float:
        """Less new work than this is no new step; a millionth of a second less counts as one, as sums are rounded."""
        return max(self.step_seconds, 1e-3) - 1e-6

    @property
    def failures_per_second(self) -> float:
        """Of the whole job, in elapsed time."""
        return self.failures_per_1000_node_days * self.nodes / 1000.0 / DAY

    def interval(self, of_policy: float | None) -> float:
        """Return the useful time between two saves in whole steps: this scenario's, the policy's, or the best."""
        chosen = self.interval_seconds or of_policy or self._best_interval()
        if self.step_seconds <= 0.0:
            return chosen
        return ceil(round(chosen / self.step_seconds, 9)) * self.step_seconds

    def _best_interval(self) -> float:
        if self.save_seconds <= 0.0 or self.failures_per_second <= 0.0:
            # Saving costs nothing, or nothing is ever lost: after every step, or hardly ever.
            return self.step_seconds if self.save_seconds <= 0.0 and self.step_seconds > 0.0 else HOUR
        return theory.exact_interval(self.save_seconds, 1.0 / self.failures_per_second)
