"""What a person asks to be done to a node, recorded like any plan and then carried out: drained, or brought back."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime

from clusterwatch import policy
from clusterwatch.app import wiring
from clusterwatch.config import Settings
from clusterwatch.errors import ClusterWatchError
from clusterwatch.model import Decision, Incident, IncidentState, Job, StepKind, World
from clusterwatch.store import Store


def drain(
    store: Store, settings: Settings, node: str, who: str, why: str, now: datetime, *, override: bool = False
) -> tuple[Decision, list[str]]:
    """Have *node* taken out of service; return the decision, and what the brakes say against it.

    Raises:
        ClusterWatchError: There is no such node, it is out of service, nothing here can drain, or a brake objects and
            nobody said to *override* it.
    """
    world, _ = store.world(now)
    cluster, limits = _cluster(world), _limits(settings)
    problem = policy.why_not_out(cluster, node, now)
    if problem:
        raise ClusterWatchError(problem)
    spoken = list(policy.objections(cluster, node, limits, now))
    if spoken and not override:
        raise ClusterWatchError(f"{node} is not drained: {'; '.join(spoken)}. --override drains it all the same")
    actuator, target = _who_can_drain(settings, world.jobs, node)
    overridden = f" Although {'; '.join(spoken)}." if spoken else ""
    reason = f"{who} asked for {node} to be drained: {why}.{overridden}"
    return _asked(store, (StepKind.DRAIN,), node, actuator, target, reason, who, limits, now), spoken


def bring_back(
    store: Store, settings: Settings, node: str, who: str, why: str, now: datetime, *, checked: bool = True
) -> Decision:
    """Have *node* given back after it passed a check, or *checked* by nobody; return the decision.

    Raises:
        ClusterWatchError: It is not out of service, somebody else drained it, it is being seen to already, or a check
            was asked for that nothing here can make.
    """
    world, _ = store.world(now)
    cluster, limits = _cluster(world), _limits(settings)
    problem = policy.why_not_back(cluster, node)
    if problem:
        raise ClusterWatchError(problem)
    by = store.read.decision(cluster.nodes[node].drained_by)
    drained = next((step for step in by.steps if step.kind is StepKind.DRAIN), None) if by is not None else None
    if drained is None:
        raise ClusterWatchError(f"how {node} was drained is not on record any more: give it back where it was drained")
    if checked and not limits.can(drained.actuator, StepKind.CHECK):
        raise ClusterWatchError(
            f"{drained.actuator} has no check: set [slurm] check_command, or bring {node} back with --unchecked"
        )
    kinds = (StepKind.CHECK, StepKind.RELEASE) if checked else (StepKind.RELEASE,)
    reason = f"{who} asked for {node} to come back{'' if checked else ' without a check'}: {why}."
    return _asked(store, kinds, node, drained.actuator, drained.target, reason, who, limits, now)


def _asked(
    store: Store,
    kinds: tuple[StepKind, ...],
    node: str,
    actuator: str,
    target: str,
    reason: str,
    who: str,
    limits: policy.Limits,
    now: datetime,
) -> Decision:
    # Kept under an incident of its own that is over: no fault is looked for.
    digest = hashlib.sha256(f"{kinds}{node}{now.isoformat()}".encode()).hexdigest()[:12]
    incident = Incident(f"inc-{digest}", IncidentState.CLOSED, now, now, now, evidence=(), nodes=(node,), closed_at=now)
    asked = policy.Asked(node, kinds, incident.id, actuator, target, reason)
    decision = policy.asked_for(asked, limits, now)
    store.ask(decision, incident, who, now)
    return decision


def _who_can_drain(settings: Settings, jobs: Mapping[str, Job], node: str) -> tuple[str, str]:
    """Return the actuator that can drain *node*, and what it knows it by: the job that runs there, or its name."""
    limits = _limits(settings)
    for job in jobs.values():
        if node in job.nodes and job.actuator and limits.can(job.actuator, StepKind.DRAIN):
            return job.actuator, job.id
    able = [each.name for each in wiring.actuators_of(settings) if limits.can(each.name, StepKind.DRAIN)]
    if not able:
        raise ClusterWatchError(f'nothing here can drain {node}: for Slurm, set "enabled = true" under [slurm]')
    return able[0], node


def _limits(settings: Settings) -> policy.Limits:
    return wiring.limits_of(settings, actuators=wiring.actuators_of(settings)).policy


def _cluster(world: World) -> policy.Cluster:
    return policy.Cluster(
        world.nodes, world.jobs, world.topology, world.maintenance, world.holds, world.history, world.recent
    )
