"""One underlying fault and everything it caused: the object people see."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from clusterwatch.model.component import Component
from clusterwatch.model.event import Severity
from clusterwatch.model.making import replace
from clusterwatch.model.reading import Trust


class IncidentState(StrEnum):
    """Where an incident is in its life."""

    OPEN = "open"
    SETTLING = "settling"
    DIAGNOSED = "diagnosed"
    ACTING = "acting"
    RECOVERING = "recovering"
    CLOSED = "closed"
    REOPENED = "reopened"
    MERGED = "merged"


NEXT_STATES: dict[IncidentState, frozenset[IncidentState]] = {
    IncidentState.OPEN: frozenset({IncidentState.SETTLING, IncidentState.MERGED}),
    IncidentState.SETTLING: frozenset({IncidentState.DIAGNOSED, IncidentState.CLOSED, IncidentState.MERGED}),
    IncidentState.DIAGNOSED: frozenset(
        {IncidentState.SETTLING, IncidentState.ACTING, IncidentState.CLOSED, IncidentState.MERGED}
    ),
    IncidentState.ACTING: frozenset({IncidentState.DIAGNOSED, IncidentState.RECOVERING, IncidentState.CLOSED}),
    IncidentState.RECOVERING: frozenset({IncidentState.ACTING, IncidentState.DIAGNOSED, IncidentState.CLOSED}),
    IncidentState.CLOSED: frozenset({IncidentState.REOPENED}),
    IncidentState.REOPENED: frozenset({IncidentState.SETTLING, IncidentState.MERGED}),
    IncidentState.MERGED: frozenset(),
}
"""The life cycle. docs/architecture.md draws its picture from this table."""

ENDED_STATES = frozenset({IncidentState.CLOSED, IncidentState.MERGED})


@dataclass(frozen=True, slots=True)
class Sample:
    """One evidence line, kept as an example: what it says, where it stands, which event holds it."""

    event_id: str
    text: str
    source: str
    origin: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Evidence:
    """Events of one kind on one component, folded.

    Attributes:
        count: Occurrences, not events.
        samples: The first few lines, oldest first.
        fields: Values of the first line that later stages read ("rank", "signal", "step", ...).
    """

    kind: str
    component: Component
    severity: Severity
    trust: Trust
    first_at: datetime
    last_at: datetime
    count: int
    samples: tuple[Sample, ...]
    fields: tuple[tuple[str, str], ...] = ()

    def field(self, name: str) -> str | None:
        """Return the value of *name* in the first line; None if it held none."""
        return next((value for key, value in self.fields if key == name), None)


@dataclass(frozen=True, slots=True)
class Incident:
    """One fault with everything it caused.

    Attributes:
        id: "inc-" and the last 12 hexadecimal digits of its first event's id: the same after a crash and a re-read.
        evidence: In the order of first occurrence.
        jobs: Ids of the jobs it touches, sorted.
        nodes: Names of the nodes its evidence comes from, sorted.
        stale: Opened by events older than the acting limit; shown, never acted on.
        revision: Of its latest diagnosis; 0 before the first.
        merged_into: Id of the incident that absorbed it.
    """

    id: str
    state: IncidentState
    opened_at: datetime
    updated_at: datetime
    observed_at: datetime
    evidence: tuple[Evidence, ...]
    jobs: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    stale: bool = False
    revision: int = 0
    closed_at: datetime | None = None
    merged_into: str | None = None
    simulated: bool = False

    @property
    def is_open(self) -> bool:
        """Whether the incident still takes evidence and actions."""
        return self.state not in ENDED_STATES

    @property
    def severity(self) -> Severity:
        """The gravest of its evidence."""
        return max((evidence.severity for evidence in self.evidence), default=Severity.INFO)

    def moved_to(self, state: IncidentState, now: datetime) -> Incident:
        """Return the incident in *state*.

        Raises:
            ValueError: If the life cycle does not allow the step.
        """
        if state is self.state:
            return self
        if state not in NEXT_STATES[self.state]:
            raise ValueError(f"incident {self.id} cannot go from {self.state} to {state}")
        return replace(self, state=state, updated_at=now, closed_at=now if state in ENDED_STATES else None)
