"""Lines of training progress to how far a job has come: each step once, a few events a second at most.

1. The counter that was reported first in an attempt is the one that counts; another one takes its place once it is
   silent. A bar of the same rule that counts to another total (an evaluation) is a sign of life and no counter.
   What the training loop reports itself takes the place of what was read from its log at once.
2. A step that is not above the attempt's highest is told as a sign of life: the field ``restarted`` is true.
3. A step far ahead counts only if the next one goes on from it.
4. Steps that were read at one time, and lines that were cut, tell no times.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta

from clusterwatch.detect.state import Counter, Trail
from clusterwatch.model import Event, Scalar
from clusterwatch.model.making import maker, replace

PROGRESS_FOLD = timedelta(seconds=1)
"""Progress goes out at most this often per job, but for the first of an attempt and before anything grave."""

SILENT_INTERVALS = 10
LONGEST_SILENCE_SECONDS = 600.0
"""A counter that was not reported for as many of its intervals, or for so long, gives way to another one."""

FAR_STRIDES = 1_000
"""A step is far ahead if it is more than as many times the usual stride ahead."""

REPORT_RULE = "report"
"""Stands for a rule in what a training loop reports of itself."""

# Before this many reports nothing is usual.
_REPORTS_TO_KNOW = 3
# Files are looked at once a second: what is reported more often cannot be told from what is reported each second.
_SHORTEST_INTERVAL_SECONDS = 1.0
# Whole numbers from here on are not exact as JSON's numbers, and no step or token was ever counted so far.
_TOO_MANY = 2**53

# What the groups of a progress rule are called, and what one of them is in the event's unit.
_STEP_SECONDS_OF = {"step_seconds": 1.0, "step_ms": 0.001}

_counter = maker(Counter)


def progress_fields(groups: Mapping[str, Scalar]) -> dict[str, Scalar] | None:
    """Return step, total, loss, tokens and step_seconds as numbers from a rule's groups; None when there is no step."""
    step = _count(groups.get("step"))
    if step is None:
        return None
    known: dict[str, Scalar] = {"step": step, "total": _count(groups.get("total")), "loss": number(groups.get("loss"))}
    known["tokens"] = _count(groups.get("tokens"))
    known["step_seconds"] = _step_seconds(groups)
    return {name: value for name, value in known.items() if value is not None}


def number(text: Scalar) -> float | None:
    """Return the finite number in *text* ("1,234", "8.2E+00"); None when there is none."""
    try:
        value = float(str(text).replace(",", ""))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def advance(trail: Trail | None, event: Event, stream: str = "", *, is_cut: bool = False) -> tuple[Trail, Event | None]:
    """Return the trail after *event* of progress, and what goes out at once.

    A step counts once however many ranks print it; the highest goes back only where a new attempt begins.
    The trail must be settled before an event of a new attempt is added, see `is_new_attempt`.

    Args:
        stream: Where the line stands: two counters of one rule in two streams are two.
        is_cut: The line was read before its end was written: only its step is believed, and not its time.
    """
    if is_cut:
        event = replace(event, fields={name: event.fields[name] for name in ("step", "total") if name in event.fields})
    voice = f"{event.rule}|{stream}"
    step = _step_of(event)
    if trail is None or is_new_attempt(trail, event):
        first = _begun(event, is_timed=not is_cut)
        return Trail(event.attempt, step, counter=_heard(Counter(), event, voice)), first
    if event.attempt != trail.attempt or not _is_listened_to(trail.counter, event, voice):
        return trail, None
    if _is_aside(trail.counter, event):
        # What the bar counts is no step of the training, which stands where it stood.
        return _with_sign_of_life(trail, replace(event, fields={"step": trail.counter.step})), None
    return _moved(trail, event, voice, is_timed=not is_cut), None


def _moved(trail: Trail, event: Event, voice: str, *, is_timed: bool) -> Trail:
    known, step = trail.counter, _step_of(event)
    if _is_far_ahead(known, step):
        return replace(trail, counter=replace(known, doubted=step))
    moved = replace(trail, counter=_heard(known, event, voice))
    if step == known.step:
        return moved
    if step <= trail.step:
        return _with_sign_of_life(moved, event)
    is_flushed = event.happened_at == event.observed_at == known.heard_at
    return _with_step(replace(moved, step=step), event, is_timed=is_timed and not is_flushed)


def _is_listened_to(counter: Counter, event: Event, voice: str) -> bool:
    if counter.heard_at is None or counter.voice == voice:
        return True
    if event.rule == REPORT_RULE and not counter.voice.startswith(f"{REPORT_RULE}|"):
        return True
    usual = max(counter.interval_seconds, _SHORTEST_INTERVAL_SECONDS) * SILENT_INTERVALS
    patience = min(usual, LONGEST_SILENCE_SECONDS) if counter.interval_seconds else LONGEST_SILENCE_SECONDS
    return event.observed_at - counter.heard_at > timedelta(seconds=patience)


def _is_aside(counter: Counter, event: Event) -> bool:
    """Whether *event* is of a bar that comes between two steps of the counter."""
    total = event.fields.get("total")
    if total == counter.total or counter.total is None or counter.heard_at is None:
        return False
    return event.observed_at - counter.heard_at <= timedelta(seconds=LONGEST_SILENCE_SECONDS)


def _is_far_ahead(counter: Counter, step: int) -> bool:
    far = FAR_STRIDES * counter.stride
    goes_on = counter.doubted is not None and 0 < step - counter.doubted <= far
    return counter.reports >= _REPORTS_TO_KNOW and step - counter.step > far and not goes_on


def _heard(counter: Counter, event: Event, voice: str) -> Counter:
    """Return the counter after *event*, which is believed."""
    step, total = _step_of(event), event.fields.get("total")
    before = counter.step if counter.doubted is None or step <= counter.doubted else counter.doubted
    reports, stride = counter.reports + (step != counter.step), counter.stride
    if counter.reports and step > before:
        stride += (step - before - stride) / min(counter.reports, _REPORTS_TO_KNOW)
    seconds, counts_to = _interval_seconds(counter, event), total if isinstance(total, int) else None
    return _counter((voice, event.observed_at, seconds, step, counts_to, reports, max(stride, 1.0), None))


def _interval_seconds(counter: Counter, event: Event) -> float:
    if counter.heard_at is None or event.observed_at <= counter.heard_at:
        return counter.interval_seconds
    seconds = (event.observed_at - counter.heard_at).total_seconds()
    # A pause is believed at once, haste only after a while: an evaluation comes again.
    return max(seconds, 0.7 * counter.interval_seconds + 0.3 * seconds)


def _with_step(trail: Trail, event: Event, *, is_timed: bool) -> Trail:
    told = trail.folded
    if told is None or "restarted" in told.fields:
        return _opened(trail, event, _begun(event, is_timed=is_timed))
    fields = {**told.fields, **event.fields, "first_step": told.fields["first_step"]}
    if not is_timed or event.happened_at <= told.happened_at:
        fields.pop("first_at", None)
    return replace(trail, folded=replace(event, fields=fields))


def _with_sign_of_life(trail: Trail, event: Event) -> Trail:
    if trail.folded is not None and "restarted" not in trail.folded.fields:
        return trail  # a step of the same second says as much, and more
    return _opened(trail, event, replace(event, fields={**event.fields, "restarted": True}))


def _opened(trail: Trail, event: Event, told: Event) -> Trail:
    return replace(trail, folded=told, closes_at=trail.closes_at or event.observed_at + PROGRESS_FOLD)


def _begun(event: Event, *, is_timed: bool) -> Event:
    fields = {**event.fields, "first_step": event.fields["step"]}
    if "first_step" in event.fields:
        # Folded already where it was printed.
        return event
    if is_timed:
        fields["first_at"] = event.happened_at.isoformat()
    return replace(event, fields=fields)


def is_new_attempt(trail: Trail, event: Event) -> bool:
    """Return whether *event* belongs to a later attempt than the trail's."""
    return event.attempt is not None and (trail.attempt is None or event.attempt > trail.attempt)


def is_open(trail: Trail) -> bool:
    """Return whether something of *trail* is untold."""
    return trail.closes_at is not None or trail.folded is not None


def settle(trail: Trail) -> tuple[Trail, Event | None]:
    """Return the trail with nothing untold, and the event that tells it."""
    return replace(trail, closes_at=None, folded=None), trail.folded


def _step_of(event: Event) -> int:
    return _count(event.fields.get("step")) or 0


def _count(text: Scalar) -> int | None:
    value = number(text)
    return int(value) if value is not None and 0 <= value < _TOO_MANY else None


def _step_seconds(groups: Mapping[str, Scalar]) -> float | None:
    for name, unit in _STEP_SECONDS_OF.items():
        value = number(groups.get(name))
        if value is not None:
            return round(value * unit, 6)
    rate = number(groups.get("steps_per_second"))
    return round(1 / rate, 6) if rate else None
