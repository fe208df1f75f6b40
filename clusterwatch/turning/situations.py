"""What is to be decided about an incident, and whether that has been done."""

from __future__ import annotations

from collections.abc import Sequence

from clusterwatch import policy
from clusterwatch.model import Attempt, Decision, Diagnosis, Incident, Job, JobState, World


def situations(world: World, incident: Incident, diagnosis: Diagnosis) -> list[policy.Situation]:
    """Return what is to be decided: for each job the incident interrupts, or once when it interrupts none."""
    jobs = interrupted_jobs(world, incident)
    return [_situation(world, incident, diagnosis, job) for job in jobs or (None,)]


def _situation(world: World, incident: Incident, diagnosis: Diagnosis, job: Job | None) -> policy.Situation:
    if job is None:
        return policy.Situation(incident, diagnosis, None)
    attempts, checkpoints = world.attempts.get(job.id, ()), world.checkpoints.get(job.id, ())
    return policy.Situation(incident, diagnosis, job, attempts, checkpoints, cluster_of(world))


def cluster_of(world: World) -> policy.Cluster:
    """Return what *world* says beside the job in question, for who decides."""
    return policy.Cluster(
        world.nodes, world.jobs, world.topology, world.maintenance, world.holds, world.history, world.recent
    )


def interrupted_jobs(world: World, incident: Incident) -> list[Job]:
    """Return the jobs, by id, whose open interruption *incident* explains."""
    explained = [each.job_id for each in world.interruptions.values() if each.incident_id == incident.id]
    return [world.jobs[job_id] for job_id in sorted(explained) if job_id in world.jobs]


def was_decided(world: World, incident_id: str, job: Job | None) -> bool:
    """Say whether anything was decided about the attempt that *job* is in, failed or not."""
    return any(_decisions_about(world, incident_id, job))


def is_decided(world: World, incident_id: str, job: Job | None) -> bool:
    """Say whether nothing is left to decide: a plan that failed is made again."""
    return any(not policy.has_failed(decision) for decision in _decisions_about(world, incident_id, job))


def _decisions_about(world: World, incident_id: str, job: Job | None) -> list[Decision]:
    attempts = world.attempts.get(job.id, ()) if job is not None else ()
    made = world.decisions.get(incident_id, ())
    is_held = job is not None and bool(policy.held_by(job, cluster_of(world)))
    decided = [each for each in made if each.rule != policy.RECORDERS]
    return [each for each in decided if _is_about(each, job, attempts) and (is_held or each.rule != policy.HELD)]


def _is_about(decision: Decision, job: Job | None, attempts: Sequence[Attempt]) -> bool:
    """Say whether *decision* was made for the attempt that *job* is in now, as it stands now."""
    if job is None or job.state is not JobState.INTERRUPTED:
        return True
    if (decision.job_id, decision.attempt) != (job.id, job.attempt):
        return False
    ended_at = attempts[-1].ended_at if attempts else None
    # Where nothing was to be done while it ran, something may be to do now that it has ended.
    return bool(decision.steps) or ended_at is None or decision.made_at >= ended_at
