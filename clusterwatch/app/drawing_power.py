"""Where a job's time went to what its nodes drew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from clusterwatch.goodput import Reason

_TRAINS = frozenset({Reason.RECOMPUTE.value, Reason.STRAGGLER.value})
"""Lost time in which the GPUs compute all the same."""


@dataclass(frozen=True, slots=True)
class PowerDrawn:
    """What the nodes of a job drew.

    Attributes:
        training_megawatts, waiting_megawatts: While it trains, and while it does not.
        swing_megawatts: By how much that falls at every stop and rises at every start.
        stops: How often it did; each is a swing down and one up again.
        megawatt_hours: Over the whole time.
        lost_megawatt_hours: Of it, while no new steps were made.
    """

    training_megawatts: float
    waiting_megawatts: float
    swing_megawatts: float
    stops: int
    megawatt_hours: float
    lost_megawatt_hours: float


def power_drawn(
    about: Mapping[str, object], stops: int, lost_gpu_hours_by_reason: Mapping[str, float]
) -> PowerDrawn | None:
    """Return what the nodes of the job drew that *about* tells of; None where that is not known."""
    training, waiting = about.get("training_megawatts"), about.get("waiting_megawatts")
    if not isinstance(training, float) or not isinstance(waiting, float):
        return None
    gpus, hours = float(str(about["gpus"])), 24.0 * float(str(about["days"]))
    lost = {reason: gpu_hours / gpus for reason, gpu_hours in lost_gpu_hours_by_reason.items()}
    drawn_in_vain = sum(each * (training if reason in _TRAINS else waiting) for reason, each in lost.items())
    productive = max(hours - sum(lost.values()), 0.0)
    return PowerDrawn(
        training,
        waiting,
        round(training - waiting, 6),
        stops,
        round(productive * training + drawn_in_vain, 3),
        round(drawn_in_vain, 3),
    )
