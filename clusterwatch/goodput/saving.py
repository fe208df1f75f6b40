"""What a job went through to the figures that say how often it should save: what a save costs, how often it breaks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import median

from clusterwatch.model import Attempt, Checkpoint, Edge, Interruption, Job

_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class SavingMeasured:
    """A job's own figures; None where nothing tells.

    Attributes:
        failures: Unexpected interruptions, in how many *hours* from its first process to its end or its latest sign.
        stall_seconds: How long a save stops training, the median.
        save_seconds: How long a save takes until it is whole, the median.
        size_bytes: Of a checkpoint, the median.
        restart_seconds: From the last step before an interruption to the first after it, the median.
        interval_seconds: Between two saves, as it usually is.
    """

    failures: int
    hours: float
    stall_seconds: float | None = None
    save_seconds: float | None = None
    size_bytes: float | None = None
    restart_seconds: float | None = None
    interval_seconds: float | None = None

    @property
    def bandwidth(self) -> float | None:
        """Bytes per second that storage took in while saving, in the median."""
        return self.size_bytes / self.save_seconds if self.size_bytes and self.save_seconds else None


def saving_measured(
    job: Job, attempts: Sequence[Attempt], interruptions: Iterable[Interruption], checkpoints: Iterable[Checkpoint]
) -> SavingMeasured:
    """Return what is known of *job*'s saves and failures; planned stops are no failures."""
    stops = [each for each in interruptions if not each.planned]
    saved = [each for each in checkpoints if each.complete or each.problem == "deleted"]
    began_at = attempts[0].running_at or attempts[0].started_at if attempts else job.started_at
    return SavingMeasured(
        failures=len(stops),
        hours=max((job.ended_at or job.updated_at) - began_at, timedelta()) / _HOUR,
        stall_seconds=_median(each.stall_seconds for each in saved),
        save_seconds=_median(each.save_seconds for each in saved),
        size_bytes=_median(float(each.size_bytes) for each in saved),
        restart_seconds=_median(_restart_seconds(each) for each in stops),
        interval_seconds=job.checkpoint_seconds,
    )


def _restart_seconds(stop: Interruption) -> float:
    """Return how long the job made no step; 0 while it is down."""
    began = stop.edges.get(Edge.LAST_STEP) or stop.edges.get(Edge.FIRST_EVENT)
    ended = stop.edges.get(Edge.FIRST_REPEATED_STEP) or stop.edges.get(Edge.FIRST_NEW_STEP)
    return (ended - began) / timedelta(seconds=1) if began is not None and ended is not None else 0.0


def _median(values: Iterable[float]) -> float | None:
    """Return the median of those that are known; 0 is none."""
    known = [value for value in values if value > 0]
    return median(known) if known else None
