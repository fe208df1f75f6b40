"""Lines of training progress to how far a job has come: each step once, a few events a second at most."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from clusterwatch.detect.state import Trail
from clusterwatch.model import Event, Scalar

PROGRESS_FOLD = timedelta(seconds=1)
"""Progress goes out at most this often per job, but for the first of an attempt and before anything grave."""

# What the groups of a progress rule are called, and what one of them is in the event's unit.
_STEP_SECONDS_OF = {"step_seconds": 1.0, "step_ms": 0.001}


def progress_fields(groups: Mapping[str, Scalar]) -> dict[str, Scalar] | None:
    """Return step, loss, tokens and step_seconds as numbers from a rule's groups; None when there is no step."""
    step = number(groups.get("step"))
    if step is None or step < 0:
        return None
    known: dict[str, Scalar] = {"step": int(step), "loss": number(groups.get("loss"))}
    known["tokens"] = number(groups.get("tokens"))
    known["step_seconds"] = _step_seconds(groups)
    return {name: value for name, value in known.items() if value is not None}


def number(text: Scalar) -> float | None:
    """Return the finite number in *text* ("1,234", "8.2E+00"); None when there is none."""
    try:
        value = float(str(text).replace(",", ""))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def advance(trail: Trail | None, event: Event) -> tuple[Trail, Event | None]:
    """Return the trail after *event* of progress, and what goes out at once.

    A step counts once however many ranks print it; it goes back only where a new attempt begins.
    The trail must be settled before an event of a new attempt is added, see `is_new_attempt`.
    """
    step = int(number(event.fields.get("step")) or 0)
    first = replace(event, fields=_with_first(event, event))
    if trail is None or is_new_attempt(trail, event):
        return Trail(event.attempt, step), first
    if step <= trail.step or event.attempt != trail.attempt:
        return trail, None
    if trail.folded is None:
        return replace(trail, step=step, folded=first, closes_at=event.observed_at + PROGRESS_FOLD), None
    known = {**trail.folded.fields, **event.fields}
    return replace(trail, step=step, folded=replace(event, fields={**known, **_first_of(trail.folded)})), None


def is_new_attempt(trail: Trail, event: Event) -> bool:
    """Return whether *event* belongs to a later attempt than the trail's."""
    return event.attempt is not None and (trail.attempt is None or event.attempt > trail.attempt)


def settle(trail: Trail) -> tuple[Trail, Event | None]:
    """Return the trail with nothing untold, and the event that tells it."""
    return replace(trail, closes_at=None, folded=None), trail.folded


def _with_first(event: Event, first: Event) -> dict[str, Scalar]:
    return {**event.fields, "first_step": first.fields["step"], "first_at": first.happened_at.isoformat()}


def _first_of(event: Event) -> dict[str, Scalar]:
    return {name: event.fields[name] for name in ("first_step", "first_at")}


def _step_seconds(groups: Mapping[str, Scalar]) -> float | None:
    for name, unit in _STEP_SECONDS_OF.items():
        value = number(groups.get(name))
        if value is not None:
            return round(value * unit, 6)
    rate = number(groups.get("steps_per_second"))
    return round(1 / rate, 6) if rate else None
