"""What is known beside an incident's own evidence: of its jobs, its nodes and what was done about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta

from clusterwatch import classify
from clusterwatch.model import (
    Attempt,
    ComponentKind,
    Evidence,
    Incident,
    JobState,
    Knowledge,
    Placement,
    Role,
    StepKind,
    StepState,
    Trust,
    World,
)
from clusterwatch.model.job import names_of_jobs
from clusterwatch.turning.going_on import goes_on, runs_again_since
from clusterwatch.turning.murmuring import murmurs, uncounted
from clusterwatch.turning.situations import interrupted_jobs
from clusterwatch.turning.state import Turning

LIVED_ON, LIVED_ON_AT_MOST = timedelta(minutes=10), timedelta(hours=3)
"""From when on what the loss did before a stop is no evidence of the stop itself, and until when it may belong to it.

Assumption: a loss that goes wrong is seen, and the nodes are tested, within a shift.
"""


def circumstances(turn: Turning, incident: Incident) -> classify.Circumstances:
    """Return what is known beside the evidence of *incident*."""
    world = turn.world
    attempts = list(_attempts_ended_by(incident, world))
    stops = _stops(attempts)
    return classify.Circumstances(
        watched=_watched(incident, world),
        placements=_placements(incident, world),
        outlived_at=min(stops, default=None),
        planned=_planned(incident, world),
        topology=world.topology,
        history=world.history,
        stops=stops,
        stop_steps={at: each.last_step for each in attempts for at in _stops([each]) if each.last_step is not None},
        slowed=_slowed(attempts),
        went_wrong=_went_wrong(attempts),
        restarted_at=runs_again_since(turn, incident.id),
        cured_without=_cured_without(turn, incident),
        murmurs=murmurs(world, turn.now),
        uncounted=uncounted(turn),
        nodes_total=max(1, len(names_of_jobs(world.jobs.values()))),
    )


def evidence_that_counts(turn: Turning, incident: Incident) -> tuple[Evidence, ...]:
    """Return the evidence without that of nodes which a job failed again without: those are ruled out."""
    ruled_out = _ruled_out(incident, turn.world)
    counts = (
        each for each in incident.evidence if each.component.node not in ruled_out or _is_proven(each, turn.knowledge)
    )
    return tuple(counts) or incident.evidence


def _ruled_out(incident: Incident, world: World) -> set[str]:
    return {
        str(step.arguments.get("node"))
        for job in interrupted_jobs(world, incident)
        if job.state is JobState.INTERRUPTED
        for decision in world.decisions.get(incident.id, ())
        if decision.job_id == job.id and (decision.attempt or 0) < job.attempt
        for step in decision.steps
        if step.kind is StepKind.EXCLUDE and step.state is StepState.DONE
    }


def _is_proven(evidence: Evidence, knowledge: Knowledge) -> bool:
    """Say whether a fault that the node told of itself is meant: it happened, whatever came after."""
    return knowledge[evidence.kind].role is Role.FAULT and evidence.trust is Trust.NODE


def _ended_by(incident: Incident, world: World) -> set[tuple[str, int]]:
    """Return the attempts that *incident* ended, as (job id, number)."""
    decided = {(each.job_id or "", each.attempt or 0) for each in world.decisions.get(incident.id, ())}
    explained = (each for each in world.interruptions.values() if each.incident_id == incident.id)
    return decided | {(each.job_id, each.attempt) for each in explained}


def _attempts_ended_by(incident: Incident, world: World) -> Iterator[Attempt]:
    ended = _ended_by(incident, world)
    attempts = (each for job_id in incident.jobs for each in world.attempts.get(job_id, ()))
    return (each for each in attempts if (each.job_id, each.number) in ended)


def _slowed(ended: Sequence[Attempt]) -> tuple[datetime, ...]:
    """Return since when those of the attempts were slow that were."""
    return tuple(each.slowed_at for each in ended if each.slowed_at is not None)


def _went_wrong(ended: Sequence[Attempt]) -> tuple[datetime, ...]:
    """Return when the loss of those attempts went wrong that trained on for a while after it."""
    stopped = ((each.loss_went_wrong_at, each.last_step_at) for each in ended)
    return tuple(at for at, until in stopped if at and until and LIVED_ON <= until - at <= LIVED_ON_AT_MOST)


def _stops(ended: Sequence[Attempt]) -> tuple[datetime, ...]:
    """Return when the attempts made their last steps, or from when on those were slow."""
    stopped = (each.slowed_at or each.last_step_at or each.interrupted_at for each in ended)
    return tuple(at for at in stopped if at is not None)


def _cured_without(turn: Turning, incident: Incident) -> frozenset[str]:
    """Return the nodes without which a job makes new steps that it did not make with them, time and again."""
    restarts = [
        each
        for each in turn.world.decisions.get(incident.id, ())
        if any(step.kind is StepKind.REQUEUE for step in each.steps)
    ]
    if len(restarts) < 2 or not goes_on(turn, incident):
        return frozenset()
    left_out = (step for step in restarts[-1].steps if step.kind is StepKind.EXCLUDE)
    return frozenset(str(step.arguments.get("node")) for step in left_out if step.state is StepState.DONE)


def _planned(incident: Incident, world: World) -> frozenset[str]:
    """Return the nodes on which work was announced for when the incident began."""
    windows = (each for each in world.maintenance if each.starts_at <= incident.opened_at < each.ends_at)
    return frozenset(name for window in windows for name in window.nodes)


def _watched(incident: Incident, world: World) -> frozenset[str]:
    """Return the collectors that work on every node of the incident, or of its jobs when it names no node."""
    jobs = [world.jobs[job_id] for job_id in incident.jobs if job_id in world.jobs]
    nodes = incident.nodes or tuple(name for job in jobs for name in job.nodes)
    watched = [world.watched.get(name, frozenset()) for name in nodes]
    return frozenset.intersection(*watched) if watched else frozenset()


def _placements(incident: Incident, world: World) -> tuple[Placement, ...]:
    """Return where ranks ran in the attempt that the incident ended first: as seen, else as the scheduler says."""
    ended = _ended_by(incident, world)
    return tuple(each for job_id in incident.jobs for each in _placements_of(job_id, ended, incident, world))


def _placements_of(
    job_id: str, ended: AbstractSet[tuple[str, int]], incident: Incident, world: World
) -> Iterator[Placement]:
    attempts = world.attempts.get(job_id, ())
    whose = next((each for each in attempts if (job_id, each.number) in ended), next(iter(attempts[-1:]), None))
    seen = [each for each in world.placements.get(job_id, ()) if whose is None or each.attempt == whose.number]
    yield from seen
    unseen = _ranks_named(incident.evidence) - {placement.rank for placement in seen}
    told = (whose.placement(rank) for rank in sorted(unseen)) if whose is not None else ()
    yield from (placement for placement in told if placement is not None)


def _ranks_named(evidence: Sequence[Evidence]) -> set[int]:
    """Return the ranks that *evidence* is of or names."""
    components = (each.component for each in evidence if each.component.kind is ComponentKind.RANK)
    named = [component.id for component in components] + [each.field("rank") or "" for each in evidence]
    return {int(rank) for rank in named if rank.isdecimal()}
