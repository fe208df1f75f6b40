"""A situation as rules see it: every fact that a condition can name, worked out once and only when asked for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cached_property
from itertools import takewhile

from clusterwatch.model import TABLE5_ROW, Attempt, Decision, StepKind, StepState, kinds
from clusterwatch.policy.blame import Blame, blame_in
from clusterwatch.policy.situation import Situation

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
OTHER_CATEGORY = "Not unexpected"
"""Category of what is not among the unexpected interruptions: planned work, an operator, nothing at all."""

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
JUST_BOOTED = timedelta(minutes=10)


class View:
    """What is known at *now*; a fact is None where it cannot be known, and no condition on it holds then.

    The first line of a fact's docstring is what the documentation says of it.
    """

    def __init__(self, situation: Situation, now: datetime) -> None:
        self.situation = situation
        self.now = now

    @cached_property
    def cause(self) -> str:
        """The diagnosed cause."""
        return self.situation.diagnosis.cause.value

    @cached_property
    def category(self) -> str:
        """Its category in Table 5 of the Llama 3 paper; "Not unexpected" for planned work and the like."""
        row = TABLE5_ROW[self.situation.diagnosis.cause]
        return row.category if row is not None else OTHER_CATEGORY

    @cached_property
    def hardware(self) -> bool:
        """Whether the cause blames a part of the cluster."""
        return self.situation.diagnosis.blames_hardware

    @cached_property
    def undetermined(self) -> bool:
        """Whether the evidence does not tell the cause."""
        return self.situation.diagnosis.is_undetermined

    @cached_property
    def confidence(self) -> float:
        """Probability that the cause is right, 0 to 1."""
        return self.situation.diagnosis.confidence

    @cached_property
    def margin(self) -> float:
        """How far the cause leads the next best, 0 to 1."""
        return self.situation.diagnosis.margin

    @cached_property
    def node_confirmed(self) -> bool:
        """Whether a source of the node itself speaks for the cause, not only a user's log."""
        return self.situation.diagnosis.node_confirmed

    @cached_property
    def suspects(self) -> int:
        """How many nodes of the job are suspect at all."""
        return len(self.blame.ranked)

    @cached_property
    def suspect_kind(self) -> str | None:
        """Kind of the first suspect, such as "gpu" or "switch"."""
        suspects = self.situation.diagnosis.suspects
        return suspects[0].component.kind.value if suspects else None

    @cached_property
    def scope(self) -> str:
        """How far the blame reaches: "node", "rack" (nodes behind one switch, rack or power domain), "many", "none"."""
        return self.blame.scope.value

    @cached_property
    def to_blame(self) -> int:
        """How many nodes of the job are to blame: singled out, alone or as a rack."""
        return len(self.blame.nodes)

    @cached_property
    def job(self) -> str | None:
        """Name of the job; a pattern such as "eval-*"."""
        return self.situation.job.name if self.situation.job is not None else None

    @cached_property
    def user(self) -> str | None:
        """Who owns the job; a pattern."""
        return self.situation.job.user if self.situation.job is not None else None

    @cached_property
    def actuator(self) -> str | None:
        """Name of the actuator that can act on the job; a pattern."""
        return self.situation.job.actuator if self.situation.job is not None else None

    @cached_property
    def gpus(self) -> int | None:
        """How many GPUs the job holds."""
        return self.situation.job.gpus if self.situation.job is not None else None

    @cached_property
    def job_nodes(self) -> int | None:
        """On how many nodes the job runs."""
        return len(self.situation.job.nodes) if self.situation.job is not None else None

    @cached_property
    def attempt(self) -> int | None:
        """Number of the job's attempt, 1 for the first."""
        return self.situation.job.attempt if self.situation.job is not None else None

    @cached_property
    def hung(self) -> bool:
        """Whether the job's processes still run: it hangs, it did not crash."""
        current = self.current
        return current is not None and current.ended_at is None

    @cached_property
    def down_seconds(self) -> float | None:
        """Seconds since the job was interrupted."""
        began_at = self.current.interrupted_at if self.current is not None else None
        return (self.now - began_at).total_seconds() if began_at is not None else None

    @cached_property
    def checkpoints(self) -> int:
        """How many complete checkpoints the job has."""
        return len(self.situation.checkpoints)

    @cached_property
    def deaths_alike(self) -> int:
        """How many attempts in a row died the same way without a step beyond the one before."""
        return alike_deaths(self.situation.attempts)

    @cached_property
    def attempts_without_progress(self) -> int:
        """How many attempts in a row made no new step, whatever each of them died of."""
        return fruitless(self.situation.attempts)

    @cached_property
    def restarts_before(self) -> int:
        """How many restarts of this job were decided in the last day for the same cause, this one not counted."""
        return sum(self._restarts(each) and each.cause == self.cause for each in self.of_job)

    @cached_property
    def surveys(self) -> int:
        """How often all nodes of the job were checked in the last day because of this incident."""
        incident_id = self.situation.incident.id
        return sum(
            step.kind is StepKind.SURVEY and step.state is not StepState.CANCELLED
            for each in self.of_job
            if each.incident_id == incident_id
            for step in each.steps
        )

    @cached_property
    def failed_plans(self) -> int:
        """How many plans for this attempt failed so far."""
        attempt = self.situation.job.attempt if self.situation.job is not None else None
        return sum(each.attempt == attempt and has_failed(each) for each in self.of_job)

    @cached_property
    def blamed_before(self) -> int:
        """How often a part of the first node to blame was the first suspect in the weeks before: a repeat offender."""
        worst = self.blame.nodes[:1]
        blamed = self.situation.cluster.history.blamed
        return sum(sum(times.values()) for component, times in blamed.items() if component.node in worst)

    @cached_property
    def spares(self) -> int | None:
        """How many nodes are in service and free; unknown where no node is seen beyond those of jobs."""
        return self.situation.cluster.spares(self.now)

    @cached_property
    def drained_nodes(self) -> int:
        """How many nodes ClusterWatch has out of service."""
        return len(self.situation.cluster.drained())

    @cached_property
    def maintenance(self) -> bool:
        """Whether work is announced for now on a node that is to blame, or else on any node of the job."""
        job = self.situation.job
        concerned = self.blame.nodes or (job.nodes if job is not None else ())
        return not frozenset(self.situation.cluster.in_maintenance(self.now)).isdisjoint(concerned)

    @cached_property
    def just_booted(self) -> bool:
        """Whether a node that is to blame started within the last ten minutes."""
        return any(self.booted_of_late(name) for name in self.blame.nodes)

    @cached_property
    def hour(self) -> int:
        """Hour of the day in UTC, 0 to 23."""
        return self.now.hour

    @cached_property
    def weekday(self) -> str:
        """Day of the week in UTC: "mon" to "sun"."""
        return _WEEKDAYS[self.now.weekday()]

    # What follows is for plans and brakes; rules cannot name it.

    @cached_property
    def blame(self) -> Blame:
        """The nodes of the job that are to blame."""
        job, cluster = self.situation.job, self.situation.cluster
        return blame_in(self.situation.diagnosis, job.nodes if job is not None else (), cluster.topology)

    @cached_property
    def current(self) -> Attempt | None:
        """The job's latest attempt."""
        return self.situation.attempts[-1] if self.situation.attempts else None

    @cached_property
    def of_job(self) -> tuple[Decision, ...]:
        """The decisions of the last day about this job."""
        job = self.situation.job
        recent = self.situation.cluster.recent if job is not None else ()
        return tuple(each for each in recent if job is not None and each.job_id == job.id)

    def booted_of_late(self, node: str) -> bool:
        """Say whether *node* started within JUST_BOOTED."""
        return any(
            each.kind == kinds.REBOOTED and each.component.node == node and self.now - each.last_at < JUST_BOOTED
            for each in self.situation.incident.evidence
        )

    @staticmethod
    def _restarts(decision: Decision) -> bool:
        return any(step.kind is StepKind.REQUEUE and step.state is not StepState.CANCELLED for step in decision.steps)


def alike_deaths(attempts: Sequence[Attempt]) -> int:
    """Count the newest attempts in a row that died with the same fingerprint and no step beyond the others."""
    if not attempts:
        return 0
    newest, count = attempts[-1], 0
    for attempt in reversed(attempts):
        if attempt.fingerprint != newest.fingerprint:
            break
        count += 1
        if attempt.first_new_step_at is not None:
            # This one trained beyond its predecessors: the row of deaths without progress begins with it.
            break
    return count


def fruitless(attempts: Sequence[Attempt]) -> int:
    """Count the newest attempts in a row that made no new step, whatever each of them died of."""
    return sum(1 for _ in takewhile(lambda attempt: attempt.first_new_step_at is None, reversed(attempts)))


def has_failed(decision: Decision) -> bool:
    """Say whether the world said no to a restart, or nobody knows whether it was done.

    A plan that a person cancelled has not failed, nor one that only asks or stops: neither is made again.
    """
    needed = [step for step in decision.steps if step.kind not in _OF_NODES]
    restarts = any(step.kind is StepKind.REQUEUE for step in needed)
    return restarts and any(step.state in _FAILED for step in needed)


_FAILED = frozenset({StepState.FAILED, StepState.REFUSED, StepState.UNKNOWN})
_OF_NODES = (StepKind.DRAIN, StepKind.RESET, StepKind.REBOOT)
