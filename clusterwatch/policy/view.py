"""A situation as rules see it: every fact that a condition can name, worked out once and only when asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from itertools import takewhile

from clusterwatch.model import TABLE5_ROW, Attempt, Decision, NodeState, StepKind, StepState, kinds
from clusterwatch.policy import expected
from clusterwatch.policy.blame import Blame, Scope, blame_in, nodes_behind
from clusterwatch.policy.expected import Costs, Expected
from clusterwatch.policy.situation import Situation

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
OTHER_CATEGORY = "Not unexpected"
"""Category of what is not among the unexpected interruptions: planned work, an operator, nothing at all."""

CAUGHT_IN_STEP = "training.unexpected_result"
"""A loss or a gradient that cannot be, found before the optimizer used it: weights and checkpoints are not touched."""

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
JUST_BOOTED = timedelta(minutes=10)


class View:
    """What is known at *now*; a fact is None where it cannot be known, and no condition on it holds then.

    The first line of a fact's docstring is what the documentation says of it.
    """

    def __init__(self, situation: Situation, now: datetime, costs: Costs | None = None) -> None:
        self.situation = situation
        self.now = now
        self.costs = costs or Costs()

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
    def hardware_chance(self) -> float:
        """Probability that a part of the cluster is to blame, whichever it is, 0 to 1."""
        return expected.hardware_chance(self.situation.diagnosis)

    @cached_property
    def node_chance(self) -> float:
        """Probability that a part of the first suspect node is broken, whichever it is, 0 to 1; 0 without one."""
        return next(iter(self.chances.values()), 0.0)

    @cached_property
    def margin(self) -> float:
        """How far the cause leads the next best, 0 to 1."""
        return self.situation.diagnosis.margin

    @cached_property
    def caught_in_step(self) -> bool:
        """Whether a step found its own result wrong before anything was made of it, as Megatron's checks do."""
        return any(each.kind == CAUGHT_IN_STEP for each in self.situation.incident.evidence)

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
    def neighbours_left_out(self) -> bool:
        """Whether a node near the worst one, behind a switch, rack or power supply, was left out within the hour."""
        return bool(self.neighbourhood)

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
    def comebacks(self) -> int:
        """How often the job stopped again after a restart because of this incident, or without a new step."""
        current, incident_id = self.current, self.situation.incident.id
        again = sum(
            current is not None and (each.attempt or 0) < current.number and self._restarts(each)
            for each in self.of_job
            if each.incident_id == incident_id
        )
        return max(again, min(self.attempts_without_progress, len(self.situation.attempts) - 1))

    @cached_property
    def saved_by_leaving_out(self) -> float | None:
        """Seconds that leaving out the nodes that may be broken is expected to save."""
        return self.expected.saved_by_leaving_out if self.may_be_broken else None

    @cached_property
    def saved_by_survey(self) -> float:
        """Seconds that a check of all nodes is expected to save, against the cheaper of all else."""
        return self.expected.saved_by_survey

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
    def chances(self) -> Mapping[str, float]:
        """The suspect nodes of the job, each with the probability that a part of it is broken, likeliest first."""
        job, suspects = self.situation.job, self.situation.diagnosis.suspects
        members = frozenset(job.nodes) if job is not None else frozenset()
        total = sum(each.score for each in suspects)
        scores: dict[str, float] = {}
        for each in suspects:
            if each.component.node in members:
                scores[each.component.node] = scores.get(each.component.node, 0.0) + each.score / total
        likeliest = sorted(scores, key=lambda name: (-scores[name], name))
        chance = expected.suspects_chance(self.situation.diagnosis)
        return {name: chance * scores[name] for name in likeliest}

    @cached_property
    def may_be_broken(self) -> tuple[str, ...]:
        """The node that is to blame alone, and those that may be broken: few, and not some of many that are alike."""
        singled_out = self.blame.nodes if self.blame.scope is Scope.NODE else ()
        return tuple(dict.fromkeys((*singled_out, *expected.standing_out(self.chances))))[: expected.MOST_LEFT_OUT]

    @cached_property
    def neighbourhood(self) -> tuple[str, ...]:
        """The nodes of the job behind the switch, rack or power supply that the worst shares with one left out of late.

        Left out within the hour; none where no such place is known.
        """
        job, topology = self.situation.job, self.situation.cluster.topology
        worst = (*self.blame.nodes, *self.blame.ranked)[:1]
        left_out = frozenset(
            str(step.arguments.get("node"))
            for each in self.of_job
            if self.now - each.made_at < HOUR
            for step in each.steps
            if step.kind is StepKind.EXCLUDE and step.state is StepState.DONE
        ).difference(worst)
        if job is None or not worst or not left_out:
            return ()
        shared = topology.near(worst[0]) & frozenset[str]().union(*(topology.near(name) for name in left_out))
        behind = (nodes_behind(place, job.nodes, topology) for place in sorted(shared))
        return min(filter(None, behind), key=len, default=())

    @cached_property
    def broken_chance(self) -> float:
        """The probability that a part is broken which stops the job again; what came back was more than chance."""
        unexplained = expected.unexplained_chance(self.situation.diagnosis)
        share = 1.0 if self.comebacks else expected.UNEXPLAINED_IS_BROKEN
        return min(1.0, self.hardware_chance + share * unexplained)

    @cached_property
    def expected(self) -> Expected:
        """What keeping every node, leaving out those that may be broken and a check of all are expected to cost."""
        attempts = self.situation.attempts
        named = sum(self.chances.get(name, 0.0) for name in self.may_be_broken)
        rate = expected.stops_per_second(attempts)
        replace_seconds = expected.replacing(len(self.may_be_broken), self._free_for_job, rate, self.costs)
        return expected.expected(
            self.broken_chance, named, expected.stop_seconds(attempts), replace_seconds, self.costs
        )

    @property
    def _free_for_job(self) -> int | None:
        """How many spare nodes the job may use; None where that is not known."""
        job = self.situation.job
        if self.spares is None or job is None:
            return None
        nodes = self.situation.cluster.nodes
        kept_out = sum(left.node in nodes and nodes[left.node].state is NodeState.IN_SERVICE for left in job.left_out)
        return max(0, self.spares - kept_out)

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
