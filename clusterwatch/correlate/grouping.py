"""Put each event into the one incident it belongs to.

The rules:

1. An event joins the best-fitting open incident that touches its component, its job or its neighbourhood, from
   10 minutes before the incident's evidence to 5 minutes after.
2. What ClusterWatch looked for because of an incident joins that one, while it is open. All else joins only what it
   may be one fault with: `sameness`. What a job tells when it has only just begun to run again joins the incident that
   had stopped it and that nothing explains, however long the restart took.
3. A warning of a node on which the job runs again is kept for its next stop.
4. An event that fits nowhere opens an incident if it is grave enough; what only gives context never does, and joins one
   only where it says that something is over.
5. An incident that is over takes only what tells late of a node: a scheduler that gives it up, a node that is back.
6. Alike events on one component fold into one piece of evidence; symptoms of a job fold across its ranks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from clusterwatch.correlate.folding import Draft
from clusterwatch.correlate.pieces import evidence_of
from clusterwatch.correlate.sameness import Suspected, is_one_fault
from clusterwatch.model import (
    BY_ACTOR,
    OF_INCIDENT,
    Component,
    Event,
    Incident,
    IncidentState,
    Job,
    Knowledge,
    Role,
    Severity,
    Signal,
    Topology,
)
from clusterwatch.model.job import names_in, names_of_jobs

Touched = str | Component
"""What an incident and an event can have in common: a job, a place or a component no node holds."""


_NONE: frozenset[str] = frozenset()
_NEVER: Mapping[str, datetime] = {}
_NOWHERE: Mapping[str, Suspected] = {}


@dataclass(frozen=True, slots=True)
class Limits:
    """How near in time and how grave; the window is Meta's published one (arXiv 2410.21680)."""

    before: timedelta = timedelta(minutes=10)
    after: timedelta = timedelta(minutes=5)
    opens_at: Severity = Severity.ERROR
    stale_after: timedelta = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Correlated:
    """The incidents that changed, whole, and which event joined which as (incident id, event id)."""

    incidents: Mapping[str, Incident] = field(default_factory=dict)
    memberships: tuple[tuple[str, str], ...] = ()


def add_events(
    open_incidents: Mapping[str, Incident],
    events: Iterable[Event],
    knowledge: Knowledge,
    jobs: Mapping[str, Job],
    topology: Topology,
    limits: Limits,
    now: datetime,
    over: AbstractSet[str] = _NONE,
    run_again: Mapping[str, datetime] = _NEVER,
    suspected: Mapping[str, Suspected] = _NOWHERE,
) -> Correlated:
    """Return the incidents that *events* opened or joined, and the memberships.

    Args:
        open_incidents: By id; those that do not fit any event come back untouched, that is not at all.
        events: In any order within the window.
        knowledge: What kinds mean.
        jobs: Active jobs by id, to know which job a node's event touches.
        topology: Who is near whom.
        limits: Window and gravity.
        now: To know which events are too old to act on.
        over: Ids of open incidents that only wait for what may be told late.
        run_again: Since when the jobs that open incidents had stopped run again, by the incident's id.
        suspected: Where open incidents are by their diagnoses, by the incident's id.
    """
    telling = _telling(tuple(events), knowledge)
    if not telling:
        return Correlated()
    jobs_on = _jobs_by_node(jobs, {event.node for event in telling if event.job is None})
    grouping = _Grouping(open_incidents, knowledge, jobs, jobs_on, topology, limits, now, over, run_again, suspected)
    grouping.index(telling)

    # What may open an incident goes first, so that a warning of the same moment finds the incident it belongs to.
    # Of the same moment, not the ids decide, which are others when the same is read from folded lines.
    def order(event: Event) -> tuple[bool, datetime, str, int, str]:
        rank = -1 if event.rank is None else event.rank
        return knowledge[event.kind].severity < limits.opens_at, event.happened_at, event.component.node, rank, event.id

    for event in sorted(telling, key=order):
        grouping.add(event)
    changed = {incident_id: grouping.drafts[incident_id].incident for incident_id in grouping.changed}
    return Correlated(changed, tuple(grouping.memberships))


def _telling(events: Sequence[Event], knowledge: Knowledge) -> list[Event]:
    """Return those of *events*, thousands of few kinds, that may belong to an incident."""
    kinds = {event.kind for event in events}
    told = {kind for kind in kinds if knowledge[kind].role is not Role.CONTEXT or kind in knowledge.endings}
    return [event for event in events if event.kind in told] if told else []


def incident_for_interruption(event: Event, limits: Limits, now: datetime) -> Incident:
    """Return a new incident for an interruption that no incident explains; *event* says the job stopped."""
    return _opened(event, Severity.ERROR, (event.job,) if event.job else (), limits, now)


def _jobs_by_node(jobs: Mapping[str, Job], nodes: Iterable[str]) -> dict[str, frozenset[str]]:
    """Return the ids of the jobs on each of *nodes*, those of events that do not tell their job."""
    found: dict[str, set[str]] = {name: set() for name in nodes}
    for job in jobs.values() if found else ():
        for name in names_in(job.nodes).intersection(found):
            found[name].add(job.id)
    return {name: frozenset(ids) for name, ids in found.items()}


@dataclass(slots=True)
class _Grouping:
    open_incidents: Mapping[str, Incident]
    knowledge: Knowledge
    jobs: Mapping[str, Job]
    jobs_on: Mapping[str, frozenset[str]]
    topology: Topology
    limits: Limits
    now: datetime
    over: AbstractSet[str] = _NONE
    run_again: Mapping[str, datetime] = field(default_factory=dict)
    suspected: Mapping[str, Suspected] = field(default_factory=dict)
    drafts: dict[str, Draft] = field(default_factory=dict)
    touching_job: dict[Touched, set[str]] = field(default_factory=dict)
    touching_place: dict[Touched, set[str]] = field(default_factory=dict)
    touching_component: dict[Touched, set[str]] = field(default_factory=dict)
    near: dict[str, frozenset[str]] = field(default_factory=dict)
    changed: dict[str, None] = field(default_factory=dict)
    memberships: list[tuple[str, str]] = field(default_factory=list)

    def index(self, events: Iterable[Event]) -> None:
        """Note what the open incidents have in common with any of *events*; what else they touch finds no event."""
        nodes = {event.node for event in events}
        self.near = {name: self.topology.near(name) if name else frozenset() for name in nodes}
        jobs = {event.job for event in events}.union(*self.jobs_on.values())
        places = set[str]().union(*self.near.values())
        components = {event.component for event in events if not event.node}
        for incident in self.open_incidents.values():
            _note(self.touching_job, jobs.intersection(incident.jobs), incident.id)
            _note(self.touching_place, places & self.topology.places(incident.nodes), incident.id)
            # What a node holds is found by its node.
            if components:
                mine = {evidence.component for evidence in incident.evidence}
                _note(self.touching_component, components & mine, incident.id)

    def add(self, event: Event) -> None:
        signal = self.knowledge[event.kind]
        jobs = self._jobs_of(event, signal)
        draft = self._best_fit(event, signal)
        if draft is not None:
            draft.add(event, signal, jobs, self.now)
            self._put(draft, event, jobs)
        elif signal.severity >= self.limits.opens_at:
            opened = _opened(event, signal.severity, jobs, self.limits, self.now)
            self._put(self._draft(self.open_incidents.get(opened.id, opened)), event, jobs)

    def _put(self, draft: Draft, event: Event, jobs: Iterable[str]) -> None:
        _note(self.touching_job, jobs, draft.id)
        if event.node:
            _note(self.touching_place, self.near[event.node], draft.id)
        else:
            _note(self.touching_component, (event.component,), draft.id)
        self.changed[draft.id] = None
        self.memberships.append((draft.id, event.id))

    def _draft(self, incident: Incident) -> Draft:
        if incident.id not in self.drafts:
            self.drafts[incident.id] = Draft(incident, self.knowledge, self.topology)
        return self.drafts[incident.id]

    def _jobs_of(self, event: Event, signal: Signal) -> tuple[str, ...]:
        if event.job is not None:
            return (event.job,)
        touches_jobs = signal.severity >= Severity.ERROR
        return tuple(sorted(self.jobs_on.get(event.node, ()))) if touches_jobs else ()

    def _candidates(self, event: Event) -> list[Draft]:
        """Return the incidents that have anything in common with *event*: no other can fit."""
        ids: set[str] = set()
        for job in (event.job,) if event.job is not None else self.jobs_on.get(event.node, ()):
            ids |= self.touching_job.get(job, _NONE)
        for place in self.near[event.node]:
            ids |= self.touching_place.get(place, _NONE)
        if not event.node:
            ids |= self.touching_component.get(event.component, _NONE)
        return [self.drafts.get(each) or self._draft(self.open_incidents[each]) for each in ids]

    def _best_fit(self, event: Event, signal: Signal) -> Draft | None:
        return self._looked_for(event) or self._fitting(event, signal)

    def _looked_for(self, event: Event) -> Draft | None:
        """Return the open incident because of which ClusterWatch looked for *event*."""
        named = event.fields.get(OF_INCIDENT) if event.source == BY_ACTOR else None
        return self._draft(self.open_incidents[str(named)]) if named in self.open_incidents else None

    def _fitting(self, event: Event, signal: Signal) -> Draft | None:
        fits = [
            (fit, draft.updated_at, draft.id)
            for draft in self._candidates(event)
            if draft.is_open and self._is_near(draft, event)
            if signal.looks_back or draft.id not in self.over
            if (fit := self._fit(draft, event, signal)) > 0
        ]
        return self.drafts[max(fits)[-1]] if fits else None

    def _is_near(self, draft: Draft, event: Event) -> bool:
        is_unexplained = event.job is not None and event.job in draft.jobs and not draft.fault_components
        comes_back = is_unexplained and self._runs_again(draft, event)
        return comes_back or draft.is_near(event, self.limits.before, self.limits.after)

    def _runs_again(self, draft: Draft, event: Event) -> bool:
        """Return whether *event* happened after the job that the incident had stopped was started again."""
        since = self.run_again.get(draft.id)
        return since is not None and event.happened_at >= since

    def _may_stop_it_next(self, draft: Draft, event: Event, signal: Signal, nodes: AbstractSet[str]) -> bool:
        """Return whether *event* is a warning of one of the *nodes* of a job that has not stopped again so far.

        It is kept for that stop: it tells of this one only if the job stops again.
        """
        has_stopped = draft.job_told_at is not None and draft.job_told_at >= self.run_again[draft.id]
        return event.job is None and event.node in nodes and signal.severity < self.limits.opens_at and not has_stopped

    def _nodes_of(self, jobs: Iterable[str]) -> frozenset[str]:
        return names_of_jobs(self.jobs[name] for name in jobs if name in self.jobs)

    def _fit(self, draft: Draft, event: Event, signal: Signal) -> float:
        """Return how well *event* fits the incident; 0 when it does not."""
        # What is told late tells of before the restart.
        runs_again = not signal.looks_back and self._runs_again(draft, event)
        on_nodes = self._nodes_of(draft.jobs) if runs_again else None
        if on_nodes is not None and self._may_stop_it_next(draft, event, signal, on_nodes):
            return 0.0
        if not is_one_fault(draft, event, signal, self.topology, on_nodes, self.suspected.get(draft.id)):
            return 0.0
        fit = 4.0 if event.component in draft.components else 0.0
        if event.job is not None and event.job in draft.jobs:
            fit += 2.0
        elif event.job is None and not draft.jobs.isdisjoint(self.jobs_on.get(event.node, ())):
            fit += 1.5
        if event.node in draft.nodes:
            fit += 1.0 if event.job is None or not draft.jobs else 0.25
        if fit and signal.role is not Role.FAULT and draft.fault_components:
            fit += 0.5
        if fit and signal.leading_cause in draft.causes:
            fit += 0.75
        return fit or self._near(draft, event, signal)

    def _near(self, draft: Draft, event: Event, signal: Signal) -> float:
        """Return a small fit when the same cause strikes a neighbour under the same switch, rack or power."""
        is_shared = not draft.places.isdisjoint(self.topology.near(event.node))
        return 0.5 if is_shared and signal.leading_cause in draft.causes else 0.0


def _note(touching: dict[Touched, set[str]], touched: Iterable[Touched | None], incident_id: str) -> None:
    for each in touched:
        if each is not None:
            touching.setdefault(each, set()).add(incident_id)


def _opened(event: Event, severity: Severity, jobs: Sequence[str], limits: Limits, now: datetime) -> Incident:
    return Incident(
        id=f"inc-{event.id[-12:]}",
        state=IncidentState.SETTLING,
        opened_at=event.happened_at,
        updated_at=now,
        observed_at=event.observed_at,
        evidence=(evidence_of(event, severity),),
        jobs=tuple(jobs),
        nodes=(event.node,) if event.node else (),
        stale=now - event.last_at > limits.stale_after,
        simulated=event.simulated,
    )
