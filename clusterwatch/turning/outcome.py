"""What a turn comes to: the world after it, and everything that is to be written."""

from __future__ import annotations

from bisect import bisect_right
from operator import attrgetter

from clusterwatch import policy
from clusterwatch.model import PLANNED_CAUSES, Changes, Decision, Interruption, World
from clusterwatch.model.making import replace
from clusterwatch.model.world import world_with
from clusterwatch.turning.state import Turning


def world_after(turn: Turning) -> World:
    """Return the world without what has ended."""
    world = turn.world
    open_incidents = {key: incident for key, incident in world.incidents.items() if incident.is_open}
    ended = [value for key, value in world.diagnoses.items() if key not in open_incidents]
    of_jobs = {each.incident_id for each in ended if _concerned_a_job(each.incident_id, world)}
    return world_with(
        world,
        history=world.history.after(ended, of_jobs) if ended else world.history,
        incidents=open_incidents,
        diagnoses={key: value for key, value in world.diagnoses.items() if key in open_incidents},
        decisions={key: value for key, value in world.decisions.items() if key in open_incidents},
        recent=_still_recent(turn),
    )


def changes_of(turn: Turning) -> Changes:
    """Return everything to be written."""
    attempts = {(attempt.job_id, attempt.number): attempt for attempt in turn.tracked.attempts} | turn.attempts
    return replace(
        turn.tracked,
        attempts=tuple(attempts.values()),
        interruptions=tuple(_told_apart(each, turn.world) for each in turn.interruptions.values()),
        nodes=turn.nodes,
        incidents=tuple(turn.incidents.values()),
        memberships=tuple(turn.memberships),
        diagnoses=tuple(turn.diagnoses.values()),
        decisions=tuple(turn.decisions.values()),
        steps=tuple(turn.cancelled),
        holds=tuple(turn.holds),
    )


def _still_recent(turn: Turning) -> tuple[Decision, ...]:
    """Return the decisions of the last day, and those that drained what is drained still."""
    recent = turn.world.recent
    older = bisect_right(recent, turn.now - policy.DAY, key=attrgetter("made_at"))
    kept = [each for each in recent[:older] if _has_drained(each, turn.world)]
    # The very same ones, if all are: what follows from them need not be found out again.
    return (*kept, *recent[older:]) if len(kept) < older else recent


def _concerned_a_job(incident_id: str, world: World) -> bool:
    return any(each.job_id is not None for each in world.decisions.get(incident_id, ()))


def _has_drained(decision: Decision, world: World) -> bool:
    named = (world.nodes.get(str(step.arguments.get("node"))) for step in decision.steps)
    return any(node is not None and node.drained_by == decision.id for node in named)


def _told_apart(interruption: Interruption, world: World) -> Interruption:
    """Return *interruption* as planned if that is what its incident comes to."""
    diagnosis = world.diagnoses.get(interruption.incident_id or "")
    return replace(interruption, planned=diagnosis is not None and diagnosis.cause in PLANNED_CAUSES)
