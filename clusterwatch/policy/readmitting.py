"""Nodes that were left out of a job to those that it may use again, from its next restart on.

1. A node that is drained, silent, suspect by its own word, held or in announced work stays left out.
2. Where the job's actuator can check nodes, one returns once it passed two checks, one after the other.
3. Where it cannot, one returns after a cool-down, if the job made new steps without it.
4. What the diagnosis at hand suspects, or what hangs on it, does not return with this restart.
5. Nothing is restarted for the sake of a node, and after a plan that failed a job goes on with the list it has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from clusterwatch.model import Attempt, Job, LeftOut, NodeState, StepKind
from clusterwatch.policy.limits import Limits
from clusterwatch.policy.plans import Plan, PlannedStep
from clusterwatch.policy.situation import Cluster
from clusterwatch.policy.view import View


def with_readmitted(view: View, plan: Plan, job: Job, limits: Limits) -> Plan:
    """Return *plan* with the nodes that the job may use again, if it restarts the job."""
    if not job.left_out or view.failed_plans or not plan.has(StepKind.REQUEUE):
        return plan
    names = [left.node for left in job.left_out if _may_return(view, left, job, limits)]
    if not names:
        return plan
    steps: list[PlannedStep] = [(StepKind.READMIT, (("attempt", job.attempt), ("node", name))) for name in names]
    # Once what still runs has ended, and before the job starts.
    place = next(index for index, (kind, _) in enumerate(plan.steps) if kind in _STARTING)
    note = f"{', '.join(names)} may be used again."
    return replace(plan, steps=(*plan.steps[:place], *steps, *plan.steps[place:]), notes=(*plan.notes, note))


_STARTING = frozenset({StepKind.CHOOSE_CHECKPOINT, StepKind.REQUEUE})


def stays_out(
    left: LeftOut, job: Job, attempts: Sequence[Attempt], cluster: Cluster, limits: Limits, now: datetime
) -> str:
    """Return why a node that was left out of *job* stays so; "" when it returns with the next restart."""
    obstacle = _in_its_way(left.node, cluster, now)
    if obstacle or left.cleared_at is not None:
        return obstacle
    if limits.checks(job.actuator):
        if left.passes:
            return f"passed {left.passes} of the {left.passes_to_clear} checks in a row that clear it"
        return f"failed its last check, and {left.failures} in all" if left.failures else "no check of it passed yet"
    if not any(each.number > left.attempt and each.first_new_step_at is not None for each in attempts):
        return "the job has made no new step without it"
    ends_at = left.since + limits.readmit_after
    return f"cools down until {ends_at:%Y-%m-%d %H:%M} UTC" if now < ends_at else ""


def _in_its_way(node: str, cluster: Cluster, now: datetime) -> str:
    known, hold = cluster.nodes.get(node), cluster.hold_on(f"node:{node}")
    if known is not None and known.state is not NodeState.IN_SERVICE:
        return _OUT[known.state]
    if hold is not None:
        return f"it is held ({hold.reason})"
    return "people work on it" if node in cluster.in_maintenance(now) else ""


_OUT = {
    NodeState.DRAINED: "it is out of service",
    NodeState.SILENT: "the scheduler gave it up",
    NodeState.SUSPECT: "its own sources blame its hardware",
}


def _may_return(view: View, left: LeftOut, job: Job, limits: Limits) -> bool:
    situation = view.situation
    suspected = {each.component.node or each.component.id for each in situation.diagnosis.suspects}
    if not situation.cluster.topology.near(left.node).isdisjoint(suspected):
        return False
    return not stays_out(left, job, situation.attempts, situation.cluster, limits, view.now)
