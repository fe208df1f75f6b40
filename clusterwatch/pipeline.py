"""The whole path, a line for each stage; `turning` holds what each does within a turn.

    observe   Reading -> Event               on the node
    respond   Event -> Job, Incident -> Diagnosis -> Decision      on the server

Both are pure: state in, state out, the time as an argument. The daemon and the simulator run this same code, which
is what makes a replay evidence about the daemon. `wake_at` is the only timer: call again then, events or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from clusterwatch import detect, goodput, policy, track, turning
from clusterwatch.model import Changes, Event, IncidentState, Knowledge, World
from clusterwatch.turning import Limits, Turning

observe = detect.notice
"""Readings to events, on the node that saw them."""

account = goodput.account
"""A job's attempts and interruptions to where its time went."""

Situation = policy.Situation
compile_policy = policy.compile_policy
decide = policy.decide
built_in_policy = policy.built_in
"""What to do about one diagnosis, by which rules: for who wants to ask about situations that nobody is in."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of the responder: the world after it, the records to write, and when to look again."""

    world: World
    changes: Changes
    wake_at: datetime | None = None


def watch(world: World, limits: Limits, now: datetime) -> tuple[list[Event], datetime | None]:
    """Return what the silence of jobs means: events that no reading can bring, and when the next would be due."""
    jobs, since = world.jobs.values(), world.watching_since
    hangs, hang_at = detect.hangs(jobs, world.placements, since, limits.hang, now)
    late, late_at = detect.overdue(jobs, world.attempts, since, limits.overdue, now)
    return [*hangs, *late], min(filter(None, (hang_at, late_at)), default=None)


def respond(world: World, events: Sequence[Event], knowledge: Knowledge, limits: Limits, now: datetime) -> Turn:
    """Return the world after *events*: jobs followed, incidents grouped, diagnosed and decided on.

    Args:
        world: The open state before.
        events: New since the last turn, in the order they were committed; may be empty when a wake-up is due.
        knowledge: What kinds of events mean.
        limits: Of every stage.
        now: The present.
    """
    tracked = track.follow(world, events)
    turn = Turning(tracked.world, tracked.changes, knowledge, limits, now, world.jobs, world.interruptions)
    turning.note_steps(turn, events)
    turning.note_resumed(turn)
    turning.group(turn, events)
    turning.link_interruptions(turn, events)
    turning.ask_ranks(turn, events)
    for incident_id in list(turn.world.incidents):
        _advance(turn, incident_id)
    turning.note_nodes(turn)
    turning.return_nodes(turn)
    turning.call_people(turn, events)
    return Turn(turning.world_after(turn), turning.changes_of(turn), min(turn.wake_ups, default=None))


def _advance(turn: Turning, incident_id: str) -> None:
    """Diagnose, settle, decide and close one incident, as far as it has come."""
    diagnosis = turning.diagnose(turn, turn.world.incidents[incident_id])
    turning.settle(turn, turn.world.incidents[incident_id], diagnosis)
    incident = turn.world.incidents[incident_id]
    if incident.state is IncidentState.DIAGNOSED:
        for situation in turning.situations(turn.world, incident, diagnosis):
            turning.decide(turn, situation)
    turning.follow_plan(turn, turn.world.incidents[incident_id])
    turning.settle_again(turn, turn.world.incidents[incident_id])
    turning.close_if_over(turn, turn.world.incidents[incident_id])


__all__ = [
    "Limits",
    "Situation",
    "Turn",
    "account",
    "built_in_policy",
    "compile_policy",
    "decide",
    "observe",
    "respond",
    "watch",
]
