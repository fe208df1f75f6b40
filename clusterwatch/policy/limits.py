"""The brakes' settings: what automation may do, how often, and how late."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from clusterwatch.model import Mode, StepKind
from clusterwatch.policy.expected import Costs
from clusterwatch.policy.rules import Policy
from clusterwatch.policy.shipped import built_in

ALL_KINDS = frozenset(StepKind) - {StepKind.DUMP}
"""What an actuator that does not say what it can is taken to know; whose ranks can be asked says so."""

LOCAL_KINDS = frozenset({StepKind.HOLD, StepKind.CHOOSE_CHECKPOINT, StepKind.REQUEUE, StepKind.STOP})


@dataclass(frozen=True, slots=True)
class Limits:
    """The policy, and the brakes that hold for every policy.

    Attributes:
        policy: What decides; the built-in default unless another is given.
        restarts_without_progress: How often a job that dies the same way at the same step is tried again.
        attempts_without_progress: How many attempts in a row may end without a new step, however each of them ended.
        restarts_per_hour, restarts_per_day: Of one job, whatever it dies of.
        cluster_restarts_per_hour: Of all jobs together; beyond it the breaker opens.
        failed_steps_per_hour: Steps that failed or nobody knows of; beyond it the breaker opens.
        drains_per_hour, drains_per_day: Of all nodes; drains_per_job_per_day: because of one job.
        drained_at_most, drained_share: Nodes that are out of service by ClusterWatch at one time, as a number and as
            a share of all nodes known; both hold, and one node is always allowed.
        cool_down: Between the begin of an attempt and the restart after it, once attempts make no progress; it doubles.
        plan_retries: How often a plan that the world refused is made again before a person is asked.
        retry_after: Pause before a failed plan is made again; it doubles.
        readmit_after: A node that was left out of a job and cannot be checked may be used by it again so long after.
        act_within: A step may be begun this long after its decision; later the evidence is stale.
        approve_within: The same for what waits for a person's approval.
        costs: What a site pays for another node and for a check of all.
        modes: How far each actuator may go; an actuator that is not named here observes.
        abilities: What each actuator can do at all; one that is not named here can do everything.
    """

    policy: Policy = field(default_factory=built_in)
    restarts_without_progress: int = 2
    attempts_without_progress: int = 5
    restarts_per_hour: int = 12
    restarts_per_day: int = 60
    cluster_restarts_per_hour: int = 100
    failed_steps_per_hour: int = 10
    drains_per_hour: int = 6
    drains_per_day: int = 24
    drains_per_job_per_day: int = 16
    drained_at_most: int = 64
    drained_share: float = 0.05
    cool_down: timedelta = timedelta(seconds=10)
    plan_retries: int = 2
    retry_after: timedelta = timedelta(seconds=15)
    readmit_after: timedelta = timedelta(days=1)
    act_within: timedelta = timedelta(minutes=10)
    approve_within: timedelta = timedelta(hours=1)
    costs: Costs = field(default_factory=Costs)
    modes: Mapping[str, Mode] = field(default_factory=lambda: {"local_process": Mode.AUTO, "small_fleet": Mode.AUTO})
    abilities: Mapping[str, frozenset[StepKind]] = field(default_factory=lambda: {"local_process": LOCAL_KINDS})

    def mode_of(self, actuator: str) -> Mode:
        """Return how far *actuator* may go."""
        return self.modes.get(actuator, Mode.OBSERVE)

    def can(self, actuator: str, kind: StepKind) -> bool:
        """Say whether *actuator* knows how to do a step of *kind*."""
        return kind in self.abilities.get(actuator, ALL_KINDS)

    def checks(self, actuator: str) -> bool:
        """Say whether *actuator* has nodes checked of its own accord."""
        return self.can(actuator, StepKind.CHECK) and {self.mode_of(actuator), self.policy.mode} == {Mode.AUTO}
