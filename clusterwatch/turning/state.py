"""The state of one turn: the world as it changes, and everything that is to be written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from clusterwatch.model import (
    Attempt,
    Changes,
    Decision,
    Diagnosis,
    Event,
    Hold,
    Incident,
    IncidentState,
    Interruption,
    Job,
    Knowledge,
    Node,
    Step,
    World,
)
from clusterwatch.model.world import world_with
from clusterwatch.turning.limits import Limits


@dataclass(slots=True)
class Turning:
    """The state of one turn: what is put here changes the world of the turn and what it writes, together.

    Attributes:
        world: The open state, as far as the turn has come.
        tracked: What following the jobs changed before.
        knowledge: What kinds of events mean.
        limits: Of every stage.
        now: The present.
        jobs_before: The jobs before the turn, by id: some have ended in it.
        interruptions_before: The interruptions that were open before the turn, by job id.
        named: The events of the turn, with nodes by their names.
        wake_ups: When to look again.
        incidents: The incidents that the turn changed, by id.
        memberships: Which event joined which incident, as (incident id, event id).
        diagnoses: The revisions made in this turn, by incident.
        doubted: The diagnoses that they replaced.
        decisions: The decisions made in this turn, by id.
        attempts: The attempts that the turn changed beyond following them, by job and number.
        interruptions: The interruptions that changed, by id; those that are over among them.
        nodes: The nodes that changed.
        cancelled: The steps that the turn cancelled without a new plan.
        holds: The holds that the breaker placed.
        paused: The incidents, by id, whose plan waits for a rule or a brake.
    """

    world: World
    tracked: Changes
    knowledge: Knowledge
    limits: Limits
    now: datetime
    jobs_before: Mapping[str, Job]
    interruptions_before: Mapping[str, Interruption] = field(default_factory=dict)
    named: list[Event] = field(default_factory=list)
    wake_ups: list[datetime] = field(default_factory=list)
    incidents: dict[str, Incident] = field(default_factory=dict)
    memberships: list[tuple[str, str]] = field(default_factory=list)
    diagnoses: dict[str, Diagnosis] = field(default_factory=dict)
    doubted: list[Diagnosis] = field(default_factory=list)
    decisions: dict[str, Decision] = field(default_factory=dict)
    attempts: dict[tuple[str, int], Attempt] = field(default_factory=dict)
    interruptions: dict[str, Interruption] = field(default_factory=dict)
    nodes: tuple[Node, ...] = ()
    cancelled: list[Step] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    paused: set[str] = field(default_factory=set)

    def put(self, incident: Incident) -> None:
        """Take *incident* as it is now."""
        self.incidents[incident.id] = incident
        self.world = world_with(self.world, incidents={**self.world.incidents, incident.id: incident})

    def move(self, incident: Incident, state: IncidentState) -> None:
        """Move *incident* on to *state*, if it is in another."""
        if incident.state is not state:
            self.put(incident.moved_to(state, self.now))

    def put_diagnosis(self, diagnosis: Diagnosis) -> None:
        """Take *diagnosis* for the latest of its incident."""
        self.diagnoses[diagnosis.incident_id] = diagnosis
        self.world = world_with(self.world, diagnoses={**self.world.diagnoses, diagnosis.incident_id: diagnosis})

    def put_decision(self, decision: Decision) -> None:
        """Record *decision*, instead of an earlier one with its id."""
        self.decisions[decision.id] = decision
        made = self.world.decisions.get(decision.incident_id, ())
        decisions = {**self.world.decisions, decision.incident_id: _with(made, decision)}
        # One without steps only says why nothing is done: there is nothing in it to count.
        recent = _with(self.world.recent, decision) if decision.steps else self.world.recent
        self.world = world_with(self.world, decisions=decisions, recent=recent)

    def put_attempt(self, attempt: Attempt) -> None:
        """Take *attempt* as it is now, instead of the one of its job with its number."""
        self.attempts[attempt.job_id, attempt.number] = attempt
        known = self.world.attempts.get(attempt.job_id, ())
        told = tuple(attempt if each.number == attempt.number else each for each in known)
        self.world = world_with(self.world, attempts={**self.world.attempts, attempt.job_id: told})

    def put_interruption(self, interruption: Interruption) -> None:
        """Take *interruption*, which is open, as it is now."""
        self.interruptions[interruption.id] = interruption
        interruptions = {**self.world.interruptions, interruption.job_id: interruption}
        self.world = world_with(self.world, interruptions=interruptions)

    def put_hold(self, hold: Hold) -> None:
        """Have *hold* kept from now on."""
        self.holds.append(hold)
        self.world = world_with(self.world, holds={**self.world.holds, hold.subject: hold})


def _with(made: tuple[Decision, ...], decision: Decision) -> tuple[Decision, ...]:
    """Return *made* with *decision*, instead of an earlier one with its id."""
    return (*(each for each in made if each.id != decision.id), decision)
