"""A trace to what one policy does in it, held against what another one does there: the same faults, the same luck."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace

from clusterwatch.app.replay import Asked, Replayed, lived, prepared
from clusterwatch.config import Settings
from clusterwatch.errors import ClusterWatchError


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of each of two replays. *is_good_when_more* is None where more is neither good nor bad."""

    name: str
    policy: float | None
    against: float | None
    is_good_when_more: bool | None = None

    @property
    def difference(self) -> float | None:
        """How much more it is under the policy under test; None where one of them does not know."""
        return None if self.policy is None or self.against is None else self.policy - self.against


@dataclass(frozen=True, slots=True)
class Backtest:
    """What came of the same trace under the policy under test, and under the one it is held *against*."""

    policy_name: str
    against_name: str
    policy: Replayed
    against: Replayed

    @property
    def saved_gpu_hours(self) -> float:
        """How many GPU-hours less are lost under the policy under test."""
        return lost_gpu_hours(self.against) - lost_gpu_hours(self.policy)

    def figures(self) -> tuple[Figure, ...]:
        """Return what to compare: what was saved, what was broken, what was done."""
        return tuple(
            Figure(name, number(self.policy), number(self.against), is_good_when_more)
            for name, (number, is_good_when_more) in _FIGURES.items()
        )

    def as_json(self) -> dict[str, object]:
        """Return the comparison and both summaries."""
        return {
            "trace": self.policy.about["trace"],
            "seed": self.policy.about["seed"],
            "policy": self.policy_name,
            "against": self.against_name,
            "saved_gpu_hours": self.saved_gpu_hours,
            "difference": {each.name: each.difference for each in self.figures()},
            "broken_brakes": list(self.policy.broken_brakes),
            "summaries": {"policy": self.policy.as_json(), "against": self.against.as_json()},
        }


def backtest(
    trace: str,
    policies: tuple[str, str],
    settings: Settings,
    seed: int | None = None,
    on_progress: Callable[[float], None] = lambda share: None,
) -> Backtest:
    """Return how *trace* goes under the first of *policies* and under the second; *on_progress* hears the share done.

    Raises:
        ClusterWatchError: There is no such trace or policy, or it is a recording. That is said before anything
            is replayed.
    """
    asked = [Asked(trace, policy, seed=seed) for policy in policies]
    with ExitStack() as stack:
        runs = [(each, *stack.enter_context(prepared(each, settings, alone=True))) for each in asked]
        if any(run.fleet.is_recorded for _, run, _ in runs):
            raise ClusterWatchError(
                f"{trace} is a recording: it goes on as it did whatever is decided, so nothing is saved or lost by a "
                'policy; "clusterwatch replay" follows each policy to its first decision that differs'
            )
        made = [lived(run, each, place, _half(number, on_progress)) for number, (each, run, place) in enumerate(runs)]
    return Backtest(*policies, *(replace(each, database="") for each in made))


def lost_gpu_hours(replayed: Replayed) -> float:
    """Return the GPU-hours in which the job held GPUs and made no progress that lasted."""
    return sum(replayed.goodput.lost_gpu_hours_by_reason.values())


def _half(number: int, on_progress: Callable[[float], None]) -> Callable[[float], None]:
    return lambda share: on_progress((number + share) / 2)


def _steps(kind: str) -> Callable[[Replayed], float]:
    return lambda replayed: replayed.done.get(kind, 0)


_FIGURES: Mapping[str, tuple[Callable[[Replayed], float | None], bool | None]] = {
    "ettr": (lambda each: each.goodput.ettr, True),
    "ettr_unplanned": (lambda each: each.goodput.ettr_unplanned, True),
    "lost_gpu_hours": (lost_gpu_hours, False),
    "recover_p50_seconds": (lambda each: each.latency_seconds["recover"].p50, False),
    "recover_p95_seconds": (lambda each: each.latency_seconds["recover"].p95, False),
    "repeats": (lambda each: each.interruptions["repeats"], False),
    "manual_interventions": (lambda each: each.automation.manual_interventions, False),
    "broken_brakes": (lambda each: len(each.broken_brakes), False),
    "healthy_nodes_drained": (lambda each: each.automation.healthy_nodes_drained, False),
    "healthy_nodes_excluded": (lambda each: each.automation.healthy_nodes_excluded, False),
    "false_restarts": (lambda each: each.automation.false_restarts, False),
    "restarts": (_steps("requeue"), None),
    "nodes_excluded": (lambda each: each.automation.nodes_excluded, None),
    "nodes_drained": (lambda each: each.automation.nodes_drained, None),
    "asked": (_steps("ask"), None),
    "stopped": (_steps("stop"), None),
}
