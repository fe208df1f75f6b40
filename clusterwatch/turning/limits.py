"""The limits of the whole path, and the times that more than one part of a turn goes by."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from clusterwatch import classify, correlate, detect, policy

AT_ONCE = timedelta(seconds=60)
"""Evidence this near to the moment a job stopped goes before evidence that the job outlived for longer."""

CLEAR_FROM = 0.8
"""With this confidence nothing more is waited for."""

LIKELY_FROM = 0.6
"""Below this confidence other causes are not ruled out; an explanation says so."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Every limit of the path, by the stage that keeps it."""

    correlate: correlate.Limits = field(default_factory=correlate.Limits)
    settle: classify.SettleLimits = field(default_factory=classify.SettleLimits)
    policy: policy.Limits = field(default_factory=policy.Limits)
    hang: detect.HangLimits = field(default_factory=detect.HangLimits)
    overdue: detect.OverdueLimits = field(default_factory=detect.OverdueLimits)
    quiet: timedelta = timedelta(minutes=10)
    """An incident that interrupts no job is closed after this long without new evidence."""
