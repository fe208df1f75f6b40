"""Incident to diagnosis: weighed anew when its evidence or the course of its jobs changed."""

from __future__ import annotations

from clusterwatch import classify
from clusterwatch.model import Diagnosis, Edge, Incident, Interruption
from clusterwatch.model.making import replace
from clusterwatch.turning.circumstances import circumstances, evidence_that_counts
from clusterwatch.turning.state import Turning


def diagnose(turn: Turning, incident: Incident) -> Diagnosis:
    """Return the latest diagnosis; a new revision when the evidence says something else than before."""
    before = turn.world.diagnoses.get(incident.id)
    if before is not None and incident.id not in turn.incidents and not _is_told_more(turn, incident):
        return before
    made = classify.diagnose(
        replace(incident, evidence=evidence_that_counts(turn, incident)),
        turn.knowledge,
        circumstances(turn, incident),
        incident.revision + 1,
        turn.now,
    )
    if before is not None and _says_the_same(before, made):
        return before
    turn.doubted += [before] if before is not None else []
    turn.put_diagnosis(made)
    turn.put(replace(incident, revision=made.revision))
    return made


def _is_told_more(turn: Turning, incident: Incident) -> bool:
    """Say whether what is known beside the evidence of *incident* changed: a job stopped of it, or goes on."""
    of_it = (each for each in turn.interruptions.values() if each.incident_id == incident.id)
    return any(_says_more(turn.interruptions_before.get(each.job_id), each) for each in of_it)


def _says_more(before: Interruption | None, after: Interruption) -> bool:
    """Say whether a diagnosis hangs on what changed; how far the job has come with its start is nothing to it."""
    if before is None or (before.id, before.incident_id) != (after.id, after.incident_id):
        return True
    return any(before.edges.get(edge) != after.edges.get(edge) for edge in _TELLING)


_TELLING = (Edge.LAST_STEP, Edge.RUNNING, Edge.FIRST_NEW_STEP)


def _says_the_same(before: Diagnosis, after: Diagnosis) -> bool:
    return replace(after, revision=before.revision, made_at=before.made_at) == before
