"""An incident while events join it: what it touches is indexed, so that an event costs the same however much is there.

1. Alike events on one component fold into one piece of evidence; symptoms of a job fold across its ranks.
2. What may be a cause itself is kept by rank, for the first `RANKS_KEPT` of a job; the later ones fold into one piece
   of the whole job. Who was first matters; ten thousand ranks that say the same after it do not.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from clusterwatch.correlate.pieces import Piece, evidence_of
from clusterwatch.model import (
    Cause,
    Component,
    ComponentKind,
    Event,
    Evidence,
    Incident,
    Knowledge,
    Role,
    Signal,
    Topology,
    Trust,
)
from clusterwatch.model.making import replace

RANKS_KEPT = 32

_OF_JOBS = frozenset({ComponentKind.RANK, ComponentKind.JOB})


class Draft:
    """An incident that events join; `incident` gives it whole again.

    Attributes:
        jobs, nodes: Those it touches.
        places: The neighbourhoods of its nodes.
        components: Those its evidence names.
        causes: Those its evidence speaks for most.
        fault_components, fault_causes: The same, of faults alone; None for a fault that speaks for no cause.
        fault_times: From when to when each node had faults.
        suspected: The nodes of suspects, by the cause that they speak for most.
        job_told_at: When a job or a rank of it was told of last.
        updated_at: When the last event joined.
    """

    def __init__(self, incident: Incident, knowledge: Knowledge, topology: Topology) -> None:
        self.id = incident.id
        self.is_open = incident.is_open
        self.jobs = set(incident.jobs)
        self.nodes = set(incident.nodes)
        self.places = topology.places(incident.nodes)
        self.components: set[Component] = set()
        self.causes: set[Cause] = set()
        self.fault_components: set[Component] = set()
        self.fault_causes: set[Cause | None] = set()
        self.fault_times: dict[str, tuple[datetime, datetime]] = {}
        self.suspected: dict[Cause | None, set[str]] = {}
        self.job_told_at: datetime | None = None
        self.updated_at = incident.updated_at
        self._incident = incident
        self._knowledge = knowledge
        self._topology = topology
        self._opened_at = incident.opened_at
        self._first_at = min(evidence.first_at for evidence in incident.evidence)
        self._last_at = max(evidence.last_at for evidence in incident.evidence)
        self._pieces: list[Piece] = []
        self._alike: dict[tuple[str, Trust, Component | None], list[Piece]] = {}
        self._places_given = 0
        for evidence in incident.evidence:
            self._append(evidence)

    @property
    def incident(self) -> Incident:
        """The incident with everything that joined."""
        pieces = sorted(self._pieces, key=lambda piece: (piece.first_at, piece.evidence.kind, piece.place))
        return replace(
            self._incident,
            evidence=tuple(piece.whole for piece in pieces),
            jobs=tuple(sorted(self.jobs)),
            nodes=tuple(sorted(self.nodes)),
            opened_at=self._opened_at,
            updated_at=self.updated_at,
        )

    def is_near(self, event: Event, before: timedelta, after: timedelta) -> bool:
        """Return whether *event* happened from *before* the first evidence to *after* the last, or tells of then."""
        reach = max(after, self._knowledge[event.kind].looks_back)
        return self._first_at - before <= event.last_at and event.happened_at <= self._last_at + reach

    def add(self, event: Event, signal: Signal, jobs: Iterable[str], now: datetime) -> None:
        """Fold *event* into the evidence; it touches *jobs*."""
        piece = self._alike_to(event, signal)
        if piece is not None:
            self._fold(piece, event, signal)
        elif self._is_one_of_many(event, signal):
            self._append(_of_the_job(evidence_of(event, signal.severity), event))
        else:
            self._append(evidence_of(event, signal.severity))
        self.jobs.update(jobs)
        if event.node and event.node not in self.nodes:
            self.nodes.add(event.node)
            self.places |= self._topology.near(event.node)
        self._opened_at = min(self._opened_at, event.happened_at)
        self._first_at = min(self._first_at, event.happened_at)
        self._last_at = max(self._last_at, event.last_at)
        self.updated_at = now

    def _alike_to(self, event: Event, signal: Signal) -> Piece | None:
        """Return the earliest piece that says the same; of a job's symptom, the first rank's line stands for all."""
        component: Component | None = event.component
        if signal.role is Role.SYMPTOM and event.job is not None:
            component = None if event.job in self.jobs else Component(ComponentKind.JOB, event.job)
        found = self._alike.get((event.kind, event.trust, component), ())
        earliest = min(found, key=lambda piece: piece.order) if len(found) > 1 else next(iter(found), None)
        if earliest is None and self._is_one_of_many(event, signal):
            return next(iter(self._alike.get((event.kind, event.trust, _job_of(event)), ())), None)
        return earliest

    def _is_one_of_many(self, event: Event, signal: Signal) -> bool:
        """Return whether enough ranks have said the same before; who says it first of all is never one of many."""
        said = self._alike.get((event.kind, event.trust, None), ())
        is_first = event.happened_at < self._first_at
        return signal.role is Role.SUSPECT and event.job is not None and len(said) >= RANKS_KEPT and not is_first

    def _append(self, evidence: Evidence) -> None:
        piece = Piece.of(evidence, self._next_place())
        self._pieces.append(piece)
        self._alike.setdefault((evidence.kind, evidence.trust, evidence.component), []).append(piece)
        if evidence.component.kind in _OF_JOBS:
            self._alike.setdefault((evidence.kind, evidence.trust, None), []).append(piece)
            self._note_job(evidence.last_at)
        signal = self._knowledge[evidence.kind]
        cause = signal.leading_cause
        self.components.add(evidence.component)
        if cause is not None:
            self.causes.add(cause)
        if signal.role is Role.FAULT:
            self.fault_components.add(evidence.component)
            self.fault_causes.add(cause)
            self._note_fault(evidence.component.node, evidence.first_at, evidence.last_at)
        elif signal.role is Role.SUSPECT:
            self.suspected.setdefault(cause, set()).add(evidence.component.node)

    def _fold(self, piece: Piece, event: Event, signal: Signal) -> None:
        if event.happened_at < piece.first_at:
            # It moves forward, behind what stands at that time already.
            piece.place = self._next_place()
        if event.component.kind in _OF_JOBS:
            self._note_job(event.last_at)
        if signal.role is Role.SYMPTOM and event.job is not None and event.component.kind in _OF_JOBS:
            piece.fold_of_many_ranks(event)
            self.components.add(piece.evidence.component)
        else:
            piece.fold(event)
        if signal.role is Role.FAULT:
            self._note_fault(event.node, event.happened_at, event.last_at)

    def _note_job(self, told_at: datetime) -> None:
        self.job_told_at = max(self.job_told_at or told_at, told_at)

    def _note_fault(self, node: str, first_at: datetime, last_at: datetime) -> None:
        since, until = self.fault_times.get(node, (first_at, last_at))
        self.fault_times[node] = min(since, first_at), max(until, last_at)

    def _next_place(self) -> int:
        self._places_given += 1
        return self._places_given


def _job_of(event: Event) -> Component:
    return Component(ComponentKind.JOB, event.job or "")


def _of_the_job(evidence: Evidence, event: Event) -> Evidence:
    """Return *evidence* of one rank as that of its whole job: no rank is named by it."""
    fields = tuple(pair for pair in evidence.fields if pair[0] != "rank")
    return replace(evidence, component=_job_of(event), fields=fields)
