"""How a cluster is operated when ClusterWatch only watches, by name; the figures are those of the what-if simulator."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from simulators.whatif.latency import Latency
from simulators.whatif.policies import Policy, Responder, built_in_policies

ADVISED_SAVE_SECONDS = 210.0
"""The exact optimum for a save of 2 s and a failure every 3.09 hours, which is what Llama 3's cluster had."""


@cache
def regimes() -> Mapping[str, Policy]:
    """Return the ways to operate a cluster in which something else than ClusterWatch acts, by name."""
    return {name: policy for name, policy in built_in_policies().items() if policy.responder is not Responder.PIPELINE}


@cache
def person() -> Latency:
    """Return how long somebody takes whom ClusterWatch called."""
    return built_in_policies()["clusterwatch"].person


def save_every_seconds(regime: Policy | None) -> float:
    """Return how long the job trains between two saves under *regime*; None for ClusterWatch's own."""
    return (regime.interval_seconds if regime else None) or ADVISED_SAVE_SECONDS
