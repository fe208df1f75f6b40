"""A recording as a fleet that can only be watched; meets `clusterwatch.seams.TraceFleet`.

What happens next is what happened, whatever is decided. A step that was carried out then gives what it gave then; one
that was not is refused: nobody knows what would have come of it.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from threading import RLock

from clusterwatch.model import (
    Collected,
    Decision,
    Event,
    MaintenanceWindow,
    Outcome,
    Reading,
    Scalar,
    Step,
    StepState,
    Topology,
    WorldState,
)
from clusterwatch.seams import Site
from simulators.trace.recording.records import Noticed, Record, Recording, Seen, topology_of

_ANSWERS = frozenset({StepState.DONE, StepState.REFUSED, StepState.FAILED, StepState.UNKNOWN})
_LEFT = "the recording does not know what comes of this: nothing like it was done then"

What = tuple[str, str, Scalar, Scalar]
"""What a step does: its kind, target, attempt and node."""


class RecordingFleet:
    """The cluster of one recording, as it was."""

    every_seconds = 1.0
    deadline_seconds = 60.0
    is_operated = False
    is_recorded = True
    manual_total = 0

    def __init__(self, recording: Recording) -> None:
        """Take what happened."""
        self._recording = recording
        self._header = recording.header
        self.is_followed = True
        self.name = self._header.actuator or "recording"
        self.mode = self._header.mode
        self._made = tuple(each.decision for each in recording.decisions())
        self._given = _given(recording)
        self._outcomes: dict[str, Outcome] = {}
        self._coming = recording.records()
        self._next: Record | None = next(self._coming, None)
        # Whoever noticed events noticed silence too; readings have to be listened to.
        self.tells_silence = not isinstance(self._next, Seen)
        self._readings: list[Reading] = []
        self._events: list[Event] = []
        self._lock = RLock()

    @property
    def start(self) -> datetime:
        """When the recording begins."""
        return self._header.start

    @property
    def ends_at(self) -> datetime:
        """When it is over."""
        return self.start + timedelta(days=self._header.days)

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """What was decided then, oldest first."""
        return self._made

    def about(self) -> Mapping[str, object]:
        """Return what a summary tells of the recording."""
        header = self._header
        size = {"nodes": header.nodes, "gpus": header.gpus, "job": header.job}
        return {"trace": header.name, "seed": self._recording.seed, "days": header.days, **size}

    def topology(self) -> Topology:
        """Return who was near whom."""
        return topology_of(self._header)

    def watched(self) -> None:
        """Return None: a recording does not tell which collectors worked."""

    def maintenance(self) -> tuple[MaintenanceWindow, ...]:
        """Return the work that was announced."""
        return self._header.maintenance

    def next_at(self) -> datetime | None:
        """Return when the next record is due; None when there is none."""
        return None if self._next is None else self._at(self._next.at)

    def collect(self, site: Site, position: Mapping[str, object], now: datetime) -> Collected:
        """Return the readings up to *now*; *site* and *position* do not matter."""
        with self._lock:
            self._advance(now)
            taken, self._readings = tuple(self._readings), []
            return Collected(taken)

    def noticed(self, now: datetime) -> tuple[Event, ...]:
        """Return the events that were noticed up to *now*, marked as not of the present."""
        with self._lock:
            self._advance(now)
            taken, self._events = tuple(self._events), []
            return taken

    def close(self) -> None:
        """Do nothing: there is nothing to give back."""

    def perform(self, step: Step, now: datetime) -> Outcome:
        """Return what came of *step* then; refused where nothing like it was done."""
        with self._lock:
            if step.id not in self._outcomes:
                given = self._given.get(_what(step))
                self.is_followed &= bool(given)
                told = given.popleft() if given else Outcome("", StepState.REFUSED, now, _LEFT)
                self._outcomes[step.id] = replace(told, step_id=step.id, at=now)
            return self._outcomes[step.id]

    def state_of(self, step: Step) -> WorldState:
        """Return whether *step* was carried out."""
        with self._lock:
            return WorldState.DONE if step.id in self._outcomes else WorldState.NOT_DONE

    def targets(self) -> None:
        """Return None: steps on anything are answered."""

    def call_person(self, now: datetime) -> None:
        """Do nothing: whoever came then comes again."""

    def could_train(self, now: datetime) -> bool:
        """Return whether silence need not be waited for: that a job hung is among events, and not among readings."""
        return self.tells_silence

    def truth(self) -> Mapping[str, str]:
        """Return nothing: what really happened stands in a file of its own, if anywhere."""
        return {}

    def truth_lines(self) -> Iterator[str]:
        """Yield nothing, as `truth`."""
        yield from ()

    def _advance(self, now: datetime) -> None:
        while self._next is not None and self._at(self._next.at) <= now:
            if isinstance(self._next, Noticed):
                self._events.append(replace(self._next.event, received_at=None, simulated=True))
            elif isinstance(self._next, Seen):
                self._readings.append(replace(self._next.reading, simulated=True))
            self._next = next(self._coming, None)

    def _at(self, seconds: float) -> datetime:
        return self.start + timedelta(seconds=seconds)


def _given(recording: Recording) -> dict[What, deque[Outcome]]:
    """Return what steps gave, by what they do, the first first."""
    found: dict[What, deque[Outcome]] = defaultdict(deque)
    for each in recording.decisions():
        for step in each.decision.steps:
            if step.state in _ANSWERS:
                facts = each.facts.get(step.id, {})
                at = step.changed_at or each.decision.made_at
                found[_what(step)].append(Outcome(step.id, step.state, at, step.detail, facts))
    return found


def _what(step: Step) -> What:
    return step.kind.value, step.target, step.arguments.get("attempt"), step.arguments.get("node")
