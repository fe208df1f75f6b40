"""Diagnosis and job to decision, within brakes."""

from clusterwatch.policy.decide import Plan, Situation, decide, plan_for
from clusterwatch.policy.limits import Limits

__all__ = ["Limits", "Plan", "Situation", "decide", "plan_for"]
