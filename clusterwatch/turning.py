"""One turn of the responder, method by method: the stages composed over the open state.

What `pipeline.respond` says in one line each is done here. Everything is a value; a turn that is not committed never
happened.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from clusterwatch import classify, correlate, detect, policy, track
from clusterwatch.model import (
    ENDED_STEP_STATES,
    NODE_STEP_KINDS,
    PLANNED_CAUSES,
    Attempt,
    Cause,
    Changes,
    ComponentKind,
    Decision,
    Diagnosis,
    Edge,
    Event,
    Evidence,
    Hold,
    Incident,
    IncidentState,
    Interruption,
    Job,
    JobState,
    Knowledge,
    Mode,
    Node,
    Placement,
    Role,
    Severity,
    Step,
    StepKind,
    StepState,
    Trust,
    World,
    kinds,
)
from clusterwatch.model.job import names_in
from clusterwatch.model.making import replace
from clusterwatch.model.world import world_with

_ADDRESS = re.compile(r"[\d.]{7,15}|[\da-fA-F]{0,4}:[\da-fA-F:.]{2,40}")

AT_ONCE = timedelta(seconds=60)
"""Evidence this near to the moment a job stopped goes before evidence that the job outlived for longer."""

_CARE = NODE_STEP_KINDS - {StepKind.CHECK}
"""Steps that are due however the job does: a check before a restart is not."""

TOLD_WITHIN = timedelta(minutes=2)
"""Processes that ClusterWatch ended have said so by then."""

TOLD_LATE = timedelta(minutes=20)
"""So long after it began, an incident whose cause is not clear waits for what schedulers and controllers tell late."""

COMES_BACK_WITHIN = timedelta(minutes=5)
"""A job that stops again so soon after it made new steps has not gone on: what stopped it before may do so still."""

CLEAR_FROM = 0.8
"""With this confidence nothing more is waited for."""

MOST_UNEXPLAINED = 500
"""Warnings that are kept because they may explain what follows; a storm of them explains nothing."""

_FORGOTTEN = 0.05

_ENDING = frozenset({StepKind.HOLD, StepKind.REQUEUE, StepKind.STOP})
"""Steps that end the processes of a job."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Every limit of the path, by the stage that keeps it."""

    correlate: correlate.Limits = field(default_factory=correlate.Limits)
    settle: classify.SettleLimits = field(default_factory=classify.SettleLimits)
    policy: policy.Limits = field(default_factory=policy.Limits)
    hang: detect.HangLimits = field(default_factory=detect.HangLimits)
    overdue: detect.OverdueLimits = field(default_factory=detect.OverdueLimits)
    quiet: timedelta = timedelta(minutes=10)
    """An incident that interrupts no job is closed after this long without new evidence."""


@dataclass(slots=True)
class Turning:
    """The state of one turn; the methods run in the order in which they stand.

    Attributes:
        named: The events of the turn, with nodes by their names.
    """

    world: World
    tracked: Changes
    knowledge: Knowledge
    limits: Limits
    now: datetime
    jobs_before: Mapping[str, Job]
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

    def note_steps(self, events: Iterable[Event]) -> None:
        """Take over what actuators report of steps."""
        states = {
            str(event.fields.get("step_id")): StepState(str(event.fields["state"]))
            for event in events
            if event.kind == kinds.STEP_CHANGED
        }
        if states:
            decisions = {
                incident_id: tuple(_with_states(decision, states) for decision in made)
                for incident_id, made in self.world.decisions.items()
            }
            recent = tuple(_with_states(decision, states) for decision in self.world.recent)
            self.world = world_with(self.world, decisions=decisions, recent=recent)

    def note_resumed(self) -> None:
        """Take over from which checkpoint an attempt was to go on where its start did not tell: no scheduler does."""
        for attempt in self.tracked.attempts:
            chosen = self._chosen_for(attempt) if attempt.number > 1 and not attempt.resumed_checkpoint else None
            if chosen is not None:
                step, path = int(chosen.arguments.get("step") or 0), str(chosen.arguments.get("checkpoint") or "")
                self._put_attempt(replace(attempt, resumed_step=step, resumed_checkpoint=path))

    def _chosen_for(self, attempt: Attempt) -> Step | None:
        made = (
            each for each in self.world.recent if (each.job_id, each.attempt) == (attempt.job_id, attempt.number - 1)
        )
        steps = (step for decision in made for step in decision.steps)
        chosen = (each for each in steps if each.kind is StepKind.CHOOSE_CHECKPOINT and each.state is StepState.DONE)
        return max(chosen, key=lambda each: each.not_after, default=None)

    def _put_attempt(self, attempt: Attempt) -> None:
        self.attempts[attempt.job_id, attempt.number] = attempt
        known = self.world.attempts.get(attempt.job_id, ())
        told = tuple(attempt if each.number == attempt.number else each for each in known)
        self.world = world_with(self.world, attempts={**self.world.attempts, attempt.job_id: told})

    def group(self, events: Iterable[Event]) -> None:
        """Put the events into incidents, but for what ClusterWatch made happen itself: that is nobody's fault."""
        ours = self._acted_on()
        # Who is named by address is no other node.
        self.named = self._by_name(events)
        events = [event for event in self.named if not self._is_of_our_doing(event, ours)]
        self._correlate(events)
        known = self.world.unexplained
        if self.incidents and known:
            self._correlate(known)
        joined = {event_id for _, event_id in self.memberships}
        since = self.now - self.limits.correlate.before
        left = [event for event in (*known, *filter(self._may_matter, events)) if event.id not in joined]
        self._count_murmurs((event.kind, event.node) for event in left if event.happened_at < since)
        waiting = [event for event in left if event.happened_at >= since]
        self.world = world_with(self.world, unexplained=tuple(waiting[-MOST_UNEXPLAINED:]))

    def _count_murmurs(self, told: Iterable[tuple[str, str]]) -> None:
        """Count what nothing came of on nodes with jobs, by kind; what was counted fades within a day or two.

        What nodes without a job do, such as being rebooted, says nothing of how often it happens where one runs.
        """
        passed = (self.now - (self.world.murmured_at or self.now)) / timedelta(days=1)
        counted = {kind: count * math.exp(-passed) for kind, count in self.world.murmurs.items()}
        for kind, node in told:
            if not any(node in names_in(job.nodes) for job in self.world.jobs.values()):
                continue
            counted[kind] = counted.get(kind, 0.0) + 1.0
        kept = {kind: count for kind, count in counted.items() if count > _FORGOTTEN}
        self.world = world_with(self.world, murmurs=kept, murmured_at=self.now)

    def _correlate(self, events: Iterable[Event]) -> None:
        jobs = {**self.jobs_before, **self.world.jobs}
        grouped = correlate.add_events(
            self.world.incidents,
            events,
            self.knowledge,
            jobs,
            self.world.topology,
            self.limits.correlate,
            self.now,
            self._over(),
            self._run_again(),
        )
        self.memberships += grouped.memberships
        for incident in grouped.incidents.values():
            self._put(incident)

    def _over(self) -> frozenset[str]:
        """Return the open incidents whose jobs go on again, and not only just."""
        waiting = {each.incident_id for each in self.world.interruptions.values()}
        acted_on = (key for key, made in self.world.decisions.items() if any(each.attempt for each in made))
        gone_on = frozenset(acted_on) - waiting
        return frozenset(key for key in gone_on if self._may_come_back_until(key) <= self.now)

    def _run_again(self) -> dict[str, datetime]:
        """Return since when the jobs run again that open incidents had stopped, by incident."""
        found: dict[str, datetime] = {}
        for incident_id, made in self.world.decisions.items():
            for decision in made:
                latest = next(iter(self.world.attempts.get(decision.job_id or "", ())[-1:]), None)
                if decision.attempt and latest is not None and latest.number > decision.attempt:
                    # What was hit tells of it for some time yet.
                    found[incident_id] = latest.running_at or latest.started_at + AT_ONCE
        return found

    def _may_come_back_until(self, incident_id: str) -> datetime:
        """Return until when a stop of a job may be this incident again: while its cause is not clear, and soon."""
        diagnosis = self.world.diagnoses.get(incident_id)
        if diagnosis is None or diagnosis.confidence >= CLEAR_FROM:
            return self.now
        decided = {each.job_id: each.attempt or 0 for each in self.world.decisions.get(incident_id, ())}
        went_on = (
            attempts[-1].first_new_step_at
            for job_id, number in decided.items()
            if (attempts := self.world.attempts.get(job_id or "", ())) and attempts[-1].number == number + 1
        )
        return max((at + COMES_BACK_WITHIN for at in went_on if at is not None), default=self.now)

    def _may_matter(self, event: Event) -> bool:
        """Say whether an event that opened no incident may yet explain one."""
        signal = self.knowledge[event.kind]
        return signal.severity >= Severity.WARNING and signal.role is not Role.CONTEXT

    def _by_name(self, events: Iterable[Event]) -> list[Event]:
        """Return *events* with nodes by their names where a log names them by address."""
        events = list(events)
        unknown = frozenset(name for name in {event.node for event in events} - {""} if self._may_be_address(name))
        names = self._names_of(unknown) if unknown else {}
        if not names:
            return events
        return [_renamed(event, names[event.node]) if event.node in names else event for event in events]

    def _may_be_address(self, name: str) -> bool:
        node = self.world.nodes.get(name)
        return node is None or (not node.addresses and _ADDRESS.fullmatch(name) is not None)

    def _names_of(self, addresses: frozenset[str]) -> dict[str, str]:
        told = (node for node in self.world.nodes.values() if not addresses.isdisjoint(node.addresses))
        return {address: node.name for node in told for address in addresses.intersection(node.addresses)}

    def _acted_on(self) -> dict[str, datetime]:
        """Return when ClusterWatch last ended the processes of a job, by job id."""
        return {
            decision.job_id: step.changed_at
            for made in self.world.decisions.values()
            for decision in made
            for step in decision.steps
            if decision.job_id and step.kind in _ENDING and step.state in _under_way(decision)
            if step.changed_at is not None
        }

    def _is_of_our_doing(self, event: Event, ours: Mapping[str, datetime]) -> bool:
        acted_at = ours.get(event.job or "")
        if acted_at is None or not -AT_ONCE <= event.happened_at - acted_at <= TOLD_WITHIN:
            return False
        return self.knowledge[event.kind].leading_cause is Cause.PREEMPTION_OR_OPERATOR

    def link_interruptions(self, events: Sequence[Event]) -> None:
        """Give each interruption the incident that explains it best, until something is decided about it.

        An attempt that fails on its way back may fail of something else than the first one.
        """
        self.interruptions = {interruption.id: interruption for interruption in self.tracked.interruptions}
        for interruption in list(self.world.interruptions.values()):
            job = self.world.jobs[interruption.job_id]
            if interruption.incident_id is None or not self._was_decided(interruption.incident_id, job):
                self._link(interruption, events)

    def advance(self, incident_id: str) -> None:
        """Diagnose, settle, decide and close one incident, as far as it has come."""
        diagnosis = self._diagnose(self.world.incidents[incident_id])
        self._settle(self.world.incidents[incident_id], diagnosis)
        if self.world.incidents[incident_id].state is IncidentState.DIAGNOSED:
            for situation in self._situations(self.world.incidents[incident_id], diagnosis):
                self._decide(situation)
        self._follow_plan(self.world.incidents[incident_id])
        self._settle_again(self.world.incidents[incident_id])
        self._close_if_over(self.world.incidents[incident_id])

    def _cancel_what_waits(self, incident: Incident) -> None:
        """Cancel recorded steps of an incident that is over: what they were to mend is mended, or gone."""
        made = self.world.decisions.get(incident.id, ())
        self.cancelled += [
            replace(step, state=StepState.CANCELLED, changed_at=self.now, detail="the incident is over")
            for decision in made
            for step in decision.steps
            if step.state is StepState.RECORDED and (decision.job_id is None or step.kind not in _CARE)
        ]

    def note_nodes(self) -> None:
        """Take over which nodes were seen, which are suspect and which were taken out."""
        # Incidents that were closed in this turn still count: what they blame stays suspect.
        blamed = _blamed_by(self.world.diagnoses[key] for key in self.world.incidents)
        doubted = {(name, each.incident_id) for each in self.doubted for name in _blamed_by([each])}
        self.nodes = track.node_states(self.world, self.named, blamed, doubted, self.now)
        known = {node.name: node for node in self.nodes}
        if known or self.world.heard:
            self.world = world_with(self.world, nodes={**self.world.nodes, **known}, heard=frozenset())

    def world_after(self) -> World:
        """Return the world without what has ended."""
        open_incidents = {key: incident for key, incident in self.world.incidents.items() if incident.is_open}
        ended = [value for key, value in self.world.diagnoses.items() if key not in open_incidents]
        return world_with(
            self.world,
            history=self.world.history.after(ended) if ended else self.world.history,
            incidents=open_incidents,
            diagnoses={key: value for key, value in self.world.diagnoses.items() if key in open_incidents},
            decisions={key: value for key, value in self.world.decisions.items() if key in open_incidents},
            recent=self._still_recent(),
        )

    def _still_recent(self) -> tuple[Decision, ...]:
        """Return the decisions of the last day, and those that drained what is drained still."""
        since = self.now - policy.DAY
        kept = tuple([each for each in self.world.recent if each.made_at > since or self._has_drained(each)])
        # The very same ones, if all are: what follows from them need not be found out again.
        return kept if len(kept) < len(self.world.recent) else self.world.recent

    def _has_drained(self, decision: Decision) -> bool:
        named = (self.world.nodes.get(str(step.arguments.get("node"))) for step in decision.steps)
        return any(node is not None and node.drained_by == decision.id for node in named)

    def return_nodes(self) -> None:
        """Have drained nodes checked, and brought back if they pass."""
        decisions, wake_at = policy.care(self._cluster(), self.limits.policy, self.now)
        for decision in decisions:
            self._record(decision)
        self.wake_ups += [wake_at] if wake_at is not None else []

    def call_people(self, events: Iterable[Event]) -> None:
        """Call a person for steps that no plan waits for and of which nobody can tell whether they were done."""
        for event in events:
            decision = policy.call_for(event, self.limits.policy, self.now)
            if decision is not None:
                self._record(decision)

    def changes_of_turn(self) -> Changes:
        """Return everything to be written."""
        attempts = {(attempt.job_id, attempt.number): attempt for attempt in self.tracked.attempts} | self.attempts
        return replace(
            self.tracked,
            attempts=tuple(attempts.values()),
            interruptions=tuple(map(self._told_apart, self.interruptions.values())),
            nodes=self.nodes,
            incidents=tuple(self.incidents.values()),
            memberships=tuple(self.memberships),
            diagnoses=tuple(self.diagnoses.values()),
            decisions=tuple(self.decisions.values()),
            steps=tuple(self.cancelled),
            holds=tuple(self.holds),
        )

    def _told_apart(self, interruption: Interruption) -> Interruption:
        """Return *interruption* as planned if that is what its incident comes to."""
        diagnosis = self.world.diagnoses.get(interruption.incident_id or "")
        return replace(interruption, planned=diagnosis is not None and diagnosis.cause in PLANNED_CAUSES)

    def _put(self, incident: Incident) -> None:
        self.incidents[incident.id] = incident
        self.world = world_with(self.world, incidents={**self.world.incidents, incident.id: incident})

    def _move(self, incident: Incident, state: IncidentState) -> None:
        if incident.state is not state:
            self._put(incident.moved_to(state, self.now))

    def _link(self, interruption: Interruption, events: Sequence[Event]) -> None:
        attempts = self.world.attempts.get(interruption.job_id, ())
        began_at = (attempts[-1].interrupted_at if attempts else None) or interruption.edges[Edge.FIRST_EVENT]
        # What was there before this attempt began stopped an earlier one.
        recent_from = max([began_at - AT_ONCE, *(each.running_at or each.started_at for each in attempts[1:])])
        incident = self._explaining(interruption, began_at, recent_from)
        if incident is None and interruption.incident_id is not None:
            return
        if incident is None:
            whose = [event for event in events if event.job == interruption.job_id]
            ending = min(whose, key=lambda event: abs(event.happened_at - began_at), default=None)
            if ending is None:
                return
            incident = correlate.incident_for_interruption(ending, self.limits.correlate, self.now)
            self.memberships.append((incident.id, ending.id))
            self._put(incident)
        if incident.id == interruption.incident_id:
            return
        linked = replace(interruption, incident_id=incident.id)
        self.interruptions[linked.id] = linked
        self.world = world_with(self.world, interruptions={**self.world.interruptions, linked.job_id: linked})

    def _explaining(self, interruption: Interruption, at: datetime, recent_from: datetime) -> Incident | None:
        """Return the incident that best explains that a job stopped *at*.

        What is recent and may be a cause goes before what it lived on after, and that before mere symptoms; then a
        fault before a suspect, then the one that explains it so far, then the latest.
        """
        before, after = self.limits.correlate.before, self.limits.correlate.after
        attempts = self.world.attempts.get(interruption.job_id, ())
        # What an earlier attempt ended of is no reason of this one.
        since = max([at - before, *(each.running_at or each.started_at for each in attempts[1:])])
        over = self._over()
        candidates = [
            incident
            for incident in self.world.incidents.values()
            if incident.is_open
            and incident.id not in over
            and interruption.job_id in incident.jobs
            and any(at - before <= each.last_at and each.first_at <= at + after for each in incident.evidence)
        ]

        def fitness(incident: Incident) -> tuple[int, int, bool, datetime, str]:
            recent = [evidence for evidence in incident.evidence if evidence.last_at >= recent_from]
            weight = max(self._weight(evidence) for evidence in recent or incident.evidence)
            is_kept = incident.id == interruption.incident_id
            return (self._grade(incident, recent, since), round(weight), is_kept, incident.updated_at, incident.id)

        return max(candidates, key=fitness, default=None)

    def _grade(self, incident: Incident, recent: Sequence[Evidence], since: datetime) -> int:
        """Return how near *incident* comes to a reason: 3 for a recent one, 2 for one before, 1 for recent symptoms."""
        if any(self._may_be_cause(evidence) for evidence in recent):
            return 3
        earlier = (each for each in incident.evidence if each.last_at >= since and each.trust is Trust.NODE)
        if any(self._may_be_cause(each) and each.severity >= Severity.ERROR for each in earlier):
            return 2
        return 1 if recent else 0

    def _may_be_cause(self, evidence: Evidence) -> bool:
        return self.knowledge[evidence.kind].role in (Role.FAULT, Role.SUSPECT)

    def _weight(self, evidence: Evidence) -> float:
        return max(self.knowledge[evidence.kind].weights.values(), default=0.0)

    def _diagnose(self, incident: Incident) -> Diagnosis:
        """Return the latest diagnosis; a new revision when the evidence says something else than before."""
        before = self.world.diagnoses.get(incident.id)
        if before is not None and incident.id not in self.incidents and not self._goes_on(incident):
            return before
        made = classify.diagnose(
            replace(incident, evidence=self._evidence_that_counts(incident)),
            self.knowledge,
            self._circumstances(incident),
            incident.revision + 1,
            self.now,
        )
        if before is not None and _says_the_same(before, made):
            return before
        self.doubted += [before] if before is not None else []
        self.diagnoses[incident.id] = made
        self.world = world_with(self.world, diagnoses={**self.world.diagnoses, incident.id: made})
        self._put(replace(incident, revision=made.revision))
        return made

    def _circumstances(self, incident: Incident) -> classify.Circumstances:
        return classify.Circumstances(
            watched=self._watched(incident),
            placements=self._placements(incident),
            outlived_at=self._outlived(incident),
            planned=self._planned(incident),
            topology=self.world.topology,
            history=self.world.history,
            stops=self._stops(incident),
            slowed=self._slowed(incident),
            restarted_at=self._run_again().get(incident.id),
            cured_without=self._cured_without(incident),
            murmurs=self.world.murmurs,
        )

    def _ended_by(self, incident: Incident) -> set[tuple[str, int]]:
        """Return the attempts that *incident* ended, as (job id, number)."""
        decided = {(each.job_id or "", each.attempt or 0) for each in self.world.decisions.get(incident.id, ())}
        explained = (each for each in self.world.interruptions.values() if each.incident_id == incident.id)
        return decided | {(each.job_id, each.attempt) for each in explained}

    def _slowed(self, incident: Incident) -> tuple[datetime, ...]:
        """Return since when those of the attempts that *incident* ended were slow that were."""
        return tuple(each.slowed_at for each in self._attempts_ended_by(incident) if each.slowed_at is not None)

    def _stops(self, incident: Incident) -> tuple[datetime, ...]:
        """Return when the attempts that *incident* ended made their last steps, or from when on those were slow."""
        ended = self._attempts_ended_by(incident)
        stopped = (each.slowed_at or each.last_step_at or each.interrupted_at for each in ended)
        return tuple(at for at in stopped if at is not None)

    def _attempts_ended_by(self, incident: Incident) -> Iterator[Attempt]:
        ended = self._ended_by(incident)
        attempts = (each for job_id in incident.jobs for each in self.world.attempts.get(job_id, ()))
        return (each for each in attempts if (each.job_id, each.number) in ended)

    def _cured_without(self, incident: Incident) -> frozenset[str]:
        """Return the nodes without which a job makes new steps that it did not make with them, time and again."""
        restarts = [
            each
            for each in self.world.decisions.get(incident.id, ())
            if any(step.kind is StepKind.REQUEUE for step in each.steps)
        ]
        if len(restarts) < 2 or not self._goes_on(incident):
            return frozenset()
        left_out = (step for step in restarts[-1].steps if step.kind is StepKind.EXCLUDE)
        return frozenset(str(step.arguments.get("node")) for step in left_out if step.state is StepState.DONE)

    def _goes_on(self, incident: Incident) -> bool:
        """Say whether a job makes new steps since this turn that *incident* had interrupted."""
        return any(each.is_over for each in self.interruptions.values() if each.incident_id == incident.id)

    def _planned(self, incident: Incident) -> frozenset[str]:
        """Return the nodes on which work was announced for when the incident began."""
        windows = (each for each in self.world.maintenance if each.starts_at <= incident.opened_at < each.ends_at)
        return frozenset(name for window in windows for name in window.nodes)

    def _watched(self, incident: Incident) -> frozenset[str]:
        """Return the collectors that work on every node of the incident, or of its jobs when it names no node."""
        jobs = [self.world.jobs[job_id] for job_id in incident.jobs if job_id in self.world.jobs]
        nodes = incident.nodes or tuple(name for job in jobs for name in job.nodes)
        watched = [self.world.watched.get(name, frozenset()) for name in nodes]
        return frozenset.intersection(*watched) if watched else frozenset()

    def _evidence_that_counts(self, incident: Incident) -> tuple[Evidence, ...]:
        """Return the evidence without that of nodes which a job failed again without: those are ruled out."""
        ruled_out = {
            str(step.arguments.get("node"))
            for job in self._interrupted_jobs(incident)
            if job.state is JobState.INTERRUPTED
            for decision in self.world.decisions.get(incident.id, ())
            if decision.job_id == job.id and (decision.attempt or 0) < job.attempt
            for step in decision.steps
            if step.kind is StepKind.EXCLUDE and step.state is StepState.DONE
        }
        counts = (each for each in incident.evidence if each.component.node not in ruled_out or self._is_proven(each))
        return tuple(counts) or incident.evidence

    def _is_proven(self, evidence: Evidence) -> bool:
        """Say whether a fault that the node told of itself is meant: it happened, whatever came after."""
        return self.knowledge[evidence.kind].role is Role.FAULT and evidence.trust is Trust.NODE

    def _outlived(self, incident: Incident) -> datetime | None:
        """Return until when the jobs that the incident interrupted still made steps; None when it interrupted none."""
        return min(self._stops(incident), default=None)

    def _placements(self, incident: Incident) -> tuple[Placement, ...]:
        """Return where ranks ran in the attempt that the incident ended first: as seen, else as the scheduler says."""
        ended = self._ended_by(incident)
        return tuple(each for job_id in incident.jobs for each in self._placements_of(job_id, ended, incident))

    def _placements_of(
        self, job_id: str, ended: AbstractSet[tuple[str, int]], incident: Incident
    ) -> Iterator[Placement]:
        attempts = self.world.attempts.get(job_id, ())
        whose = next((each for each in attempts if (job_id, each.number) in ended), next(iter(attempts[-1:]), None))
        seen = [each for each in self.world.placements.get(job_id, ()) if whose is None or each.attempt == whose.number]
        yield from seen
        unseen = _ranks_named(incident.evidence) - {placement.rank for placement in seen}
        told = (whose.placement(rank) for rank in sorted(unseen)) if whose is not None else ()
        yield from (placement for placement in told if placement is not None)

    def _settle(self, incident: Incident, diagnosis: Diagnosis) -> None:
        if incident.state is not IncidentState.SETTLING:
            return
        situations = self._situations(incident, diagnosis)
        settling = classify.settling(
            incident,
            diagnosis,
            self.knowledge,
            alternatives_agree=all(_alternatives_agree(each, self.limits.policy, self.now) for each in situations),
            limits=self.limits.settle,
            now=self.now,
        )
        if settling.is_over or incident.stale:
            self._move(incident, IncidentState.DIAGNOSED)
        else:
            self.wake_ups.append(max(settling.wake_at, self.now))

    def _situations(self, incident: Incident, diagnosis: Diagnosis) -> list[policy.Situation]:
        """Return what is to be decided: for each job the incident interrupts, or once when it interrupts none."""
        jobs = self._interrupted_jobs(incident)
        return [self._situation(incident, diagnosis, job) for job in jobs or (None,)]

    def _situation(self, incident: Incident, diagnosis: Diagnosis, job: Job | None) -> policy.Situation:
        if job is None:
            return policy.Situation(incident, diagnosis, None)
        attempts, checkpoints = self.world.attempts.get(job.id, ()), self.world.checkpoints.get(job.id, ())
        return policy.Situation(incident, diagnosis, job, attempts, checkpoints, self._cluster())

    def _cluster(self) -> policy.Cluster:
        world = self.world
        return policy.Cluster(
            world.nodes, world.jobs, world.topology, world.maintenance, world.holds, world.history, world.recent
        )

    def _interrupted_jobs(self, incident: Incident) -> list[Job]:
        """Return the jobs whose open interruption this incident explains."""
        explained = [each.job_id for each in self.world.interruptions.values() if each.incident_id == incident.id]
        return [self.world.jobs[job_id] for job_id in sorted(explained) if job_id in self.world.jobs]

    def _was_decided(self, incident_id: str, job: Job | None) -> bool:
        """Say whether anything was decided about the attempt that *job* is in, failed or not."""
        return any(self._decisions_about(incident_id, job))

    def _is_decided(self, incident_id: str, job: Job | None) -> bool:
        """Say whether nothing is left to decide: a plan that failed is made again."""
        return any(not policy.has_failed(decision) for decision in self._decisions_about(incident_id, job))

    def _decisions_about(self, incident_id: str, job: Job | None) -> list[Decision]:
        attempts = self.world.attempts.get(job.id, ()) if job is not None else ()
        made = self.world.decisions.get(incident_id, ())
        is_held = job is not None and bool(policy.held_by(job, self._cluster()))
        return [each for each in made if _is_about(each, job, attempts) and (is_held or each.rule != policy.HELD)]

    def _decide(self, situation: policy.Situation) -> None:
        """Record one plan for each attempt that the incident interrupted, and one when it interrupted none."""
        incident = self.world.incidents[situation.incident.id]
        if self._is_decided(incident.id, situation.job):
            return
        due_at = policy.due_at(situation, self.limits.policy, self.now)
        if due_at > self.now:
            self.paused.add(incident.id)
            self.wake_ups.append(due_at)
            return
        decision = policy.decide(situation, self.limits.policy, self.now)
        self._record(decision)
        if situation.job is not None:
            self._note_decided(situation.job)
        if any(step.state is StepState.RECORDED for step in decision.steps):
            self._move(incident, IncidentState.ACTING)

    def _record(self, decision: Decision) -> None:
        breaker = policy.breaker_before(self._cluster(), self.limits.policy, self.now)
        if breaker is not None and breaker.made_at == self.now:
            self.holds.append(breaker)
            self.world = world_with(self.world, holds={**self.world.holds, breaker.subject: breaker})
        self.decisions[decision.id] = decision
        made = self.world.decisions.get(decision.incident_id, ())
        decisions = {**self.world.decisions, decision.incident_id: _with(made, decision)}
        self.world = world_with(self.world, decisions=decisions, recent=_with(self.world.recent, decision))

    def _note_decided(self, job: Job) -> None:
        attempts = self.world.attempts.get(job.id, ())
        if attempts and attempts[-1].decided_at is None:
            decided = replace(attempts[-1], decided_at=self.now)
            self.attempts[decided.job_id, decided.number] = decided
            self.world = world_with(self.world, attempts={**self.world.attempts, job.id: (*attempts[:-1], decided)})
        interruption = self.world.interruptions[job.id]
        if Edge.DECIDED not in interruption.edges:
            marked = replace(interruption, edges={**interruption.edges, Edge.DECIDED: self.now})
            self.interruptions[marked.id] = marked
            self.world = world_with(self.world, interruptions={**self.world.interruptions, job.id: marked})

    def _follow_plan(self, incident: Incident) -> None:
        """Move on when the steps of all plans have ended: to recovering, or back to a person."""
        made = self.world.decisions.get(incident.id, ())
        if incident.state is not IncidentState.ACTING or not made:
            return
        latest = {decision.job_id: decision for decision in made if decision.steps and decision.job_id}
        # The job does not wait for what is done to nodes once it is on its way.
        states = {step.state for decision in latest.values() for step in decision.steps if step.kind not in _CARE}
        if states <= {StepState.DONE}:
            self._move(incident, IncidentState.RECOVERING)
        elif states <= ENDED_STEP_STATES:
            self._move(incident, IncidentState.DIAGNOSED)
            self.wake_ups.append(self.now)

    def _settle_again(self, incident: Incident) -> None:
        """Wait for evidence anew when the incident interrupts an attempt that nothing was decided about."""
        undecided = any(not self._was_decided(incident.id, job) for job in self._interrupted_jobs(incident))
        if (
            not undecided
            or incident.id in self.paused
            or incident.state not in (IncidentState.DIAGNOSED, IncidentState.RECOVERING)
        ):
            return
        self._move(incident, IncidentState.DIAGNOSED)
        settling = self.world.incidents[incident.id].moved_to(IncidentState.SETTLING, self.now)
        self._put(replace(settling, observed_at=self.now))
        self.wake_ups.append(self.now + self.limits.settle.minimum)

    def _close_if_over(self, incident: Incident) -> None:
        if not incident.is_open or incident.state is IncidentState.OPEN:
            return
        waiting = any(each.incident_id == incident.id for each in self.world.interruptions.values())
        if waiting:
            return
        interrupted = any(
            each.incident_id == incident.id for each in self.interruptions.values() if each.is_over
        ) or incident.state in (IncidentState.ACTING, IncidentState.RECOVERING)
        quiet_at = max(evidence.last_at for evidence in incident.evidence) + self.limits.quiet
        ended_job = any(job_id in self.jobs_before and job_id not in self.world.jobs for job_id in incident.jobs)
        late_at = incident.opened_at + TOLD_LATE if self._may_be_told_late(incident) else self.now
        late_at = max(late_at, self._may_come_back_until(incident.id))
        if interrupted and self.now < late_at:
            self.wake_ups.append(late_at)
        elif interrupted or ended_job or incident.stale or self.now >= quiet_at:
            if not interrupted and not ended_job:
                self._count_murmurs((evidence.kind, evidence.component.node) for evidence in incident.evidence)
            self._cancel_what_waits(incident)
            self._move(incident, IncidentState.CLOSED)
        else:
            self.wake_ups.append(quiet_at)

    def _may_be_told_late(self, incident: Incident) -> bool:
        """Say whether the cause is not clear, and what was hit may yet tell."""
        if incident.stale or incident.state is IncidentState.SETTLING:
            return not incident.stale
        diagnosis = self.world.diagnoses.get(incident.id)
        return bool(incident.nodes) and diagnosis is not None and diagnosis.confidence < CLEAR_FROM


def _blamed_by(diagnoses: Iterable[Diagnosis]) -> dict[str, Diagnosis]:
    """Return the nodes whose own sources blame their hardware, and the diagnosis that says so."""
    return {
        suspect.component.node: diagnosis
        for diagnosis in diagnoses
        if diagnosis.blames_hardware and diagnosis.node_confirmed
        for suspect in diagnosis.suspects[:1]
    }


def _under_way(decision: Decision) -> tuple[StepState, ...]:
    """Return the states of a step that is being done, as far as is known here: that it was begun is not told."""
    begun = (StepState.BEGUN, StepState.DONE)
    return (StepState.RECORDED, *begun) if decision.mode is Mode.AUTO else begun


def _ranks_named(evidence: Sequence[Evidence]) -> set[int]:
    """Return the ranks that *evidence* is of or names."""
    components = (each.component for each in evidence if each.component.kind is ComponentKind.RANK)
    named = [component.id for component in components] + [each.field("rank") or "" for each in evidence]
    return {int(rank) for rank in named if rank.isdecimal()}


def _with(made: tuple[Decision, ...], decision: Decision) -> tuple[Decision, ...]:
    """Return *made* with *decision*, instead of an earlier one with its id."""
    return (*(each for each in made if each.id != decision.id), decision)


def _renamed(event: Event, node: str) -> Event:
    component = event.component
    own_name = node if component.kind is ComponentKind.NODE else component.id
    return replace(event, component=replace(component, id=own_name, node=node))


def _with_states(decision: Decision, states: Mapping[str, StepState]) -> Decision:
    if states.keys().isdisjoint(step.id for step in decision.steps):
        return decision
    steps = tuple(replace(step, state=states.get(step.id, step.state)) for step in decision.steps)
    failed = any(step.state in ENDED_STEP_STATES - {StepState.DONE} for step in steps)
    return replace(decision, steps=tuple(_cancelled(step) if failed else step for step in steps))


def _cancelled(step: Step) -> Step:
    """Return a step that waited behind one that was not done: the store cancelled it too."""
    return replace(step, state=StepState.CANCELLED) if step.state is StepState.RECORDED else step


def _says_the_same(before: Diagnosis, after: Diagnosis) -> bool:
    return replace(after, revision=before.revision, made_at=before.made_at) == before


def _is_about(decision: Decision, job: Job | None, attempts: Sequence[Attempt]) -> bool:
    """Say whether *decision* was made for the attempt that *job* is in now, as it stands now."""
    if job is None or job.state is not JobState.INTERRUPTED:
        return True
    if (decision.job_id, decision.attempt) != (job.id, job.attempt):
        return False
    ended_at = attempts[-1].ended_at if attempts else None
    # Where nothing was to be done while it ran, something may be to do now that it has ended.
    return bool(decision.steps) or ended_at is None or decision.made_at >= ended_at


def _alternatives_agree(situation: policy.Situation, limits: policy.Limits, now: datetime) -> bool:
    """Say whether every cause that is still likely leads to the same steps."""
    diagnosis = situation.diagnosis
    likely: list[Cause] = [each.cause for each in diagnosis.alternatives if each.confidence >= 0.1]
    plans = {
        policy.plan_for(replace(situation, diagnosis=replace(diagnosis, cause=cause)), limits, now).steps
        for cause in (diagnosis.cause, *likely)
    }
    return len(plans) == 1
