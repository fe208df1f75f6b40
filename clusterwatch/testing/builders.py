"""Events as they come out of detection, with everything a test does not care about filled in."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from clusterwatch.model import (
    Component,
    ComponentKind,
    Event,
    Scalar,
    Severity,
    Trust,
    event_id,
    kinds,
    node_component,
)

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
"""A time to begin a test at."""


def seconds(count: float) -> timedelta:
    """Return *count* seconds, to add to a time."""
    return timedelta(seconds=count)


def event(
    kind: str,
    component: Component | str = "node001",
    at: datetime = NOON,
    *,
    job: str | None = None,
    attempt: int | None = None,
    rank: int | None = None,
    severity: Severity = Severity.ERROR,
    trust: Trust = Trust.NODE,
    text: str = "",
    count: int = 1,
    observed_at: datetime | None = None,
    **fields: Scalar,
) -> Event:
    """Return an event of *kind*; *component* may be a node's name. The same arguments give the same id."""
    where = node_component(component) if isinstance(component, str) else component
    position = f"{where}/{at.isoformat()}/{job}/{attempt}/{rank}/{text}/{sorted(fields.items())}"
    return Event(
        id=event_id(where.node, "", "test", position, kind),
        kind=kind,
        component=where,
        happened_at=at,
        observed_at=observed_at or at,
        source="test",
        origin=f"test:{at:%H%M%S}",
        trust=trust,
        severity=severity,
        text=text or kind,
        fields=fields,
        job=job,
        attempt=attempt,
        rank=rank,
        count=count,
    )


def training_job(job: str = "job-1", at: datetime = NOON, nodes: str = "node001", actuator: str = "") -> list[Event]:
    """Return the events of a job whose first attempt starts at *at*."""
    where = Component(ComponentKind.JOB, job, nodes.split(",")[0])
    return [
        event(kinds.JOB_STARTED, where, at, job=job, name="llama", nodes=nodes, gpus=8, actuator=actuator),
        event(kinds.ATTEMPT_STARTED, where, at, job=job, attempt=1, resumed_step=0),
    ]


def progress(job: str, attempt: int, step: int, at: datetime, **fields: Scalar) -> Event:
    """Return the event of one finished step."""
    where = Component(ComponentKind.JOB, job, "node001")
    made = event(kinds.PROGRESS, where, at, job=job, attempt=attempt, step=step, text=f"step {step} {fields}")
    return replace(made, fields={**made.fields, **fields})
