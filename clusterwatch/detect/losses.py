"""The loss that a job reports to when it jumps far above what is usual for that job.

1. What is usual, and by how much reports differ from it, follows the reports slowly; a jump hardly moves it.
2. A jump is told once, until a report is near the usual again.
3. Reports of steps far from the last ones say nothing of it: an evaluation counts its own, and a job that began anew
   has all its losses before it again.

A jump has many reasons, of which most are the optimiser's or the data's: it is evidence where the job then stops. A GPU
that computes wrongly shows as such short jumps, or as no number at all: https://arxiv.org/abs/2604.00726 .
"""

from __future__ import annotations

from dataclasses import dataclass

REPORTS_TO_KNOW = 20
"""Before as many reports nothing is usual."""

SPREADS, LEAST_SHARE = 8.0, 0.25
"""A jump is as many times the usual spread, and as large a share of the usual loss, at least."""

_SMOOTHING = 0.05
_CLIP = 3.0
_SMALLEST_SPREAD = 0.01
_NEAR_STEPS, _NEAR_SHARE = 200, 0.1


@dataclass(frozen=True, slots=True)
class UsualLoss:
    """What is usual of a job's loss; *step* is that of the last report, *is_high* whether that was a jump."""

    loss: float
    spread: float
    step: int
    reports: int = 1
    is_high: bool = False


def after(usual: UsualLoss | None, loss: float, step: int) -> tuple[UsualLoss, bool]:
    """Return what is usual after a report of *loss* at *step*, and whether the loss jumped there."""
    if usual is None or _is_far(usual.step, step):
        return UsualLoss(loss, 0.0, step), False
    above = loss - usual.loss
    least = _SMALLEST_SPREAD * abs(usual.loss)
    is_known = usual.reports >= REPORTS_TO_KNOW
    is_high = is_known and above > max(SPREADS * usual.spread, LEAST_SHARE * abs(usual.loss))
    reach = _CLIP * max(usual.spread, least) if is_known else abs(above)
    moved = usual.loss + _SMOOTHING * max(-reach, min(reach, above))
    spread = usual.spread + _SMOOTHING * (min(abs(above), max(reach, least)) - usual.spread)
    return UsualLoss(moved, spread, step, usual.reports + 1, is_high), is_high and not usual.is_high


def _is_far(known: int, step: int) -> bool:
    return abs(step - known) > max(_NEAR_STEPS, _NEAR_SHARE * known)
