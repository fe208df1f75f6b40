"""An incident to everything its post-mortem is made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from clusterwatch.app.reckoning import present_of, whole_ledger
from clusterwatch.goodput import Cost, costs
from clusterwatch.model import Decision, Diagnosis, Edge, Event, Incident, Interruption
from clusterwatch.store import IncidentView, JobView, Reader

_EVENTS = 200

_EDGES: dict[Edge, str] = {
    Edge.LAST_STEP: "its last step ended",
    Edge.FIRST_EVENT: "the first event of what stopped it",
    Edge.DECIDED: "a plan was recorded",
    Edge.ACCEPTED: "the scheduler accepted it",
    Edge.RUNNING: "processes run again",
    Edge.COMMUNICATORS_READY: "its ranks found each other",
    Edge.CHECKPOINT_LOADED: "the checkpoint was loaded",
    Edge.FIRST_REPEATED_STEP: "the first repeated step ended",
    Edge.FIRST_NEW_STEP: "the first new step ended: it is over",
}


@dataclass(frozen=True, slots=True)
class Happening:
    """One line of the timeline. *source* is who says so, *where* a person finds it again."""

    at: datetime
    what: str
    source: str
    where: str = ""


@dataclass(frozen=True, slots=True)
class Postmortem:
    """An incident with its timeline, oldest first, and what it cost each job.

    Attributes:
        costs: With the job they are of.
        events: The first ones, oldest first.
    """

    view: IncidentView
    timeline: tuple[Happening, ...]
    costs: tuple[tuple[JobView, Cost], ...]
    events: tuple[Event, ...]
    until: datetime

    @property
    def incident(self) -> Incident:
        """The incident."""
        return self.view.incident

    @property
    def diagnosis(self) -> Diagnosis | None:
        """Its latest diagnosis."""
        return self.view.diagnosis


def postmortem_of(read: Reader, view: IncidentView, now: datetime) -> Postmortem:
    """Return the post-mortem of an incident as it stands *now*."""
    jobs = {name: job for name in _jobs_of(view) if (job := read.job(name)) is not None}
    own = {stop.id for stop in view.interruptions}
    paid = tuple(
        (job, cost)
        for job in jobs.values()
        for cost in costs(whole_ledger(job, now), job.interruptions)
        if cost.interruption.id in own
    )
    events = tuple(read.incident_events(view.incident.id, _EVENTS))
    return Postmortem(
        view=view,
        timeline=tuple(sorted(_timeline(view, events), key=lambda each: each.at)),
        costs=paid,
        events=events,
        until=max((present_of(job.job, now) for job in jobs.values()), default=now),
    )


def _jobs_of(view: IncidentView) -> tuple[str, ...]:
    names = (*view.incident.jobs, *(stop.job_id for stop in view.interruptions))
    return tuple(dict.fromkeys(names))


def _timeline(view: IncidentView, events: tuple[Event, ...]) -> Iterator[Happening]:
    for event in events:
        times = f" (x{event.count})" if event.count > 1 else ""
        yield Happening(
            event.happened_at, f"{event.component}: {event.text or event.kind}{times}", event.source, event.origin
        )
    for stop in view.interruptions:
        yield from _edges(stop)
    for diagnosis in view.diagnoses:
        what = f"diagnosis {diagnosis.revision}: {diagnosis.cause.value}, {diagnosis.confidence:.0%} sure"
        yield Happening(diagnosis.made_at, what, "diagnosis")
    for decision in view.decisions:
        yield from _plan(decision)
    if view.incident.closed_at is not None:
        yield Happening(view.incident.closed_at, f"the incident is {view.incident.state.value}", "incident")


def _edges(stop: Interruption) -> Iterator[Happening]:
    for edge, at in stop.edges.items():
        yield Happening(at, f"job {stop.job_id}, attempt {stop.attempt}: {_EDGES[edge]}", "progress")


def _plan(decision: Decision) -> Iterator[Happening]:
    yield Happening(decision.made_at, f"decided ({decision.mode.value}): {decision.reason}", "policy")
    for step in decision.steps:
        if step.changed_at is not None:
            detail = f": {step.detail}" if step.detail else ""
            what = f"{step.kind.value} of {step.target} is {step.state.value}{detail}"
            yield Happening(step.changed_at, what, step.actuator)
