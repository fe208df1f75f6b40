"""Diagnosis and job to decision, by rules as data and within brakes."""

from clusterwatch.policy.asked import ASKED, Asked, asked_for, objections, why_not_back, why_not_out
from clusterwatch.policy.brakes import changes_something
from clusterwatch.policy.calling import UNKNOWN, call_for
from clusterwatch.policy.care import care
from clusterwatch.policy.compiling import CHOICES, FACTS, compile_policy
from clusterwatch.policy.decide import HELD, breaker_before, decide, due_at, held_by, plan_for
from clusterwatch.policy.expected import Costs
from clusterwatch.policy.limits import Limits
from clusterwatch.policy.plans import Plan
from clusterwatch.policy.readmitting import stays_out
from clusterwatch.policy.recorders import RECORDERS, asked_ranks, awaited_until
from clusterwatch.policy.rules import Action, Condition, Policy, Rule, WithoutSpares
from clusterwatch.policy.shipped import built_in, built_in_texts
from clusterwatch.policy.situation import Cluster, Situation
from clusterwatch.policy.view import DAY, View, has_failed

__all__ = [
    "ASKED",
    "CHOICES",
    "DAY",
    "FACTS",
    "HELD",
    "RECORDERS",
    "UNKNOWN",
    "Action",
    "Asked",
    "Cluster",
    "Condition",
    "Costs",
    "Limits",
    "Plan",
    "Policy",
    "Rule",
    "Situation",
    "View",
    "WithoutSpares",
    "asked_for",
    "asked_ranks",
    "awaited_until",
    "breaker_before",
    "built_in",
    "built_in_texts",
    "call_for",
    "care",
    "changes_something",
    "compile_policy",
    "decide",
    "due_at",
    "has_failed",
    "held_by",
    "objections",
    "plan_for",
    "stays_out",
    "why_not_back",
    "why_not_out",
]
