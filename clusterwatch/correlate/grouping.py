"""Put each event into the one incident it belongs to.

The rules:

1. An event joins the best-fitting open incident that touches its component, its job or its neighbourhood, from
   10 minutes before the incident's evidence to 5 minutes after.
2. Two faults are one incident only if they strike the same component, or the same cause strikes the same node.
   Symptoms and suspects join whatever explains them.
3. An event that fits nowhere opens an incident if it is grave enough; what only gives context never does.
4. Alike events on one component fold into one piece of evidence; symptoms of a job fold across its ranks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from clusterwatch.model import (
    Cause,
    Component,
    ComponentKind,
    Event,
    Evidence,
    Incident,
    IncidentState,
    Job,
    Knowledge,
    Role,
    Sample,
    Severity,
    Signal,
    Topology,
)

SAMPLES_KEPT = 3
TEXT_KEPT = 400


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
    """
    grouping = _Grouping(dict(open_incidents), knowledge, _jobs_by_node(jobs), topology, limits, now)

    # What may open an incident goes first, so that a warning of the same moment finds the incident it belongs to.
    def order(event: Event) -> tuple[bool, datetime, str]:
        return knowledge[event.kind].severity < limits.opens_at, event.happened_at, event.id

    for event in sorted(events, key=order):
        grouping.add(event)
    changed = {incident_id: grouping.incidents[incident_id] for incident_id in grouping.changed}
    return Correlated(changed, tuple(grouping.memberships))


def incident_for_interruption(event: Event, limits: Limits, now: datetime) -> Incident:
    """Return a new incident for an interruption that no incident explains; *event* says the job stopped."""
    return _opened(event, Severity.ERROR, (event.job,) if event.job else (), limits, now)


def _jobs_by_node(jobs: Mapping[str, Job]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for job in jobs.values():
        for name in job.nodes:
            found.setdefault(name, set()).add(job.id)
    return {name: frozenset(ids) for name, ids in found.items()}


@dataclass(slots=True)
class _Grouping:
    incidents: dict[str, Incident]
    knowledge: Knowledge
    jobs_on: Mapping[str, frozenset[str]]
    topology: Topology
    limits: Limits
    now: datetime
    changed: dict[str, None] = field(default_factory=dict)
    memberships: list[tuple[str, str]] = field(default_factory=list)

    def add(self, event: Event) -> None:
        signal = self.knowledge[event.kind]
        if signal.role is Role.CONTEXT:
            return
        incident = self._best_fit(event, signal)
        if incident is not None:
            self._put(_with_event(incident, event, signal, self._jobs_of(event, signal), self.now), event)
        elif signal.severity >= self.limits.opens_at:
            opened = _opened(event, signal.severity, self._jobs_of(event, signal), self.limits, self.now)
            self._put(self.incidents.get(opened.id, opened), event)

    def _put(self, incident: Incident, event: Event) -> None:
        self.incidents[incident.id] = incident
        self.changed[incident.id] = None
        self.memberships.append((incident.id, event.id))

    def _jobs_of(self, event: Event, signal: Signal) -> tuple[str, ...]:
        if event.job is not None:
            return (event.job,)
        touches_jobs = signal.severity >= Severity.ERROR
        return tuple(sorted(self.jobs_on.get(event.node, ()))) if touches_jobs else ()

    def _best_fit(self, event: Event, signal: Signal) -> Incident | None:
        fits = (
            (self._fit(incident, event, signal), incident)
            for incident in self.incidents.values()
            if incident.is_open and self._in_window(incident, event)
        )
        best = max(fits, key=lambda pair: (pair[0], pair[1].updated_at, pair[1].id), default=(0.0, None))
        return best[1] if best[0] > 0 else None

    def _in_window(self, incident: Incident, event: Event) -> bool:
        first = min(evidence.first_at for evidence in incident.evidence)
        last = max(evidence.last_at for evidence in incident.evidence)
        return first - self.limits.before <= event.last_at and event.happened_at <= last + self.limits.after

    def _fit(self, incident: Incident, event: Event, signal: Signal) -> float:
        """Return how well *event* fits *incident*; 0 when it does not."""
        if not self._one_fault(incident, event, signal):
            return 0.0
        fit = 0.0
        if any(evidence.component == event.component for evidence in incident.evidence):
            fit += 4.0
        if event.job is not None and event.job in incident.jobs:
            fit += 2.0
        elif event.job is None and set(self.jobs_on.get(event.node, ())) & set(incident.jobs):
            fit += 1.5
        if event.node and event.node in incident.nodes:
            fit += 1.0 if event.job is None or not incident.jobs else 0.25
        if fit and signal.role is not Role.FAULT and self._faults(incident):
            fit += 0.5
        if fit and signal.leading_cause in self._causes(incident):
            fit += 0.75
        return fit or self._near(incident, event, signal)

    def _near(self, incident: Incident, event: Event, signal: Signal) -> float:
        """Return a small fit when the same cause strikes a neighbour under the same switch, rack or power."""
        places = self.topology.near(event.node)
        shared = any(places & self.topology.near(name) for name in incident.nodes)
        return 0.5 if shared and signal.leading_cause in self._causes(incident) else 0.0

    def _causes(self, incident: Incident) -> set[Cause]:
        leading = (self.knowledge[evidence.kind].leading_cause for evidence in incident.evidence)
        return {cause for cause in leading if cause is not None}

    def _faults(self, incident: Incident) -> list[tuple[Component, Cause | None]]:
        return [
            (evidence.component, self.knowledge[evidence.kind].leading_cause)
            for evidence in incident.evidence
            if self.knowledge[evidence.kind].role is Role.FAULT
        ]

    def _one_fault(self, incident: Incident, event: Event, signal: Signal) -> bool:
        if signal.role is not Role.FAULT:
            return True
        faults = self._faults(incident)
        return not faults or any(
            component == event.component or cause == signal.leading_cause for component, cause in faults
        )


def _opened(event: Event, severity: Severity, jobs: Sequence[str], limits: Limits, now: datetime) -> Incident:
    return Incident(
        id=f"inc-{event.id[:12]}",
        state=IncidentState.SETTLING,
        opened_at=event.happened_at,
        updated_at=now,
        observed_at=event.observed_at,
        evidence=(_evidence_of(event, event.component, severity),),
        jobs=tuple(jobs),
        nodes=(event.node,) if event.node else (),
        stale=now - event.last_at > limits.stale_after,
        simulated=event.simulated,
    )


def _evidence_of(event: Event, component: Component, severity: Severity) -> Evidence:
    return Evidence(
        kind=event.kind,
        component=component,
        severity=severity,
        trust=event.trust,
        first_at=event.happened_at,
        last_at=event.last_at,
        count=event.count,
        samples=(_sample_of(event),),
        fields=tuple(sorted((name, str(value)) for name, value in _fields_of(event).items() if value is not None)),
    )


def _fields_of(event: Event) -> dict[str, object]:
    return dict(event.fields) if event.rank is None else {**event.fields, "rank": event.rank}


def _sample_of(event: Event) -> Sample:
    return Sample(event.id, event.text[:TEXT_KEPT], event.source, event.origin, event.happened_at)


def _with_event(incident: Incident, event: Event, signal: Signal, jobs: Sequence[str], now: datetime) -> Incident:
    """Return *incident* with *event* folded into its evidence."""
    folds_by_job = signal.role is Role.SYMPTOM and event.job is not None
    component = Component(ComponentKind.JOB, event.job or "") if folds_by_job else event.component
    kept = list(incident.evidence)
    index = next(
        (
            at
            for at, known in enumerate(kept)
            if (known.kind, known.trust) == (event.kind, event.trust)
            and (known.component == component or (folds_by_job and _belongs_to(known, incident, event)))
        ),
        None,
    )
    if index is None:
        kept.append(_evidence_of(event, event.component, signal.severity))
    else:
        kept[index] = _folded(kept[index], event)
    kept.sort(key=lambda evidence: (evidence.first_at, evidence.kind))
    return replace(
        incident,
        evidence=tuple(kept),
        jobs=tuple(sorted({*incident.jobs, *jobs})),
        nodes=tuple(sorted({*incident.nodes, event.node} - {""})),
        opened_at=min(incident.opened_at, event.happened_at),
        updated_at=now,
    )


def _belongs_to(known: Evidence, incident: Incident, event: Event) -> bool:
    """Say whether *known* is a symptom of the same job as *event*: the first rank's line stands for all."""
    return event.job in incident.jobs and known.component.kind in (ComponentKind.RANK, ComponentKind.JOB)


def _folded(evidence: Evidence, event: Event) -> Evidence:
    samples = evidence.samples
    if len(samples) < SAMPLES_KEPT and event.text not in {sample.text for sample in samples}:
        samples = (*samples, _sample_of(event))
    return replace(
        evidence,
        first_at=min(evidence.first_at, event.happened_at),
        last_at=max(evidence.last_at, event.last_at),
        count=evidence.count + event.count,
        samples=samples,
    )
