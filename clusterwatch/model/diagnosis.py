"""Why an incident happened: one revision of its explanation, append-only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from clusterwatch.model.causes import HARDWARE_CAUSES, UNDETERMINED_CAUSES, Cause
from clusterwatch.model.component import Component


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another cause and how likely it is."""

    cause: Cause
    confidence: float


@dataclass(frozen=True, slots=True)
class Suspect:
    """A component that may be to blame. *score* is the share of the blame, 0-1; most suspect first."""

    component: Component
    score: float
    rank: int | None = None
    gpu: str | None = None


@dataclass(frozen=True, slots=True)
class WeighedLine:
    """One line of evidence: where it stands, what it says, and what it weighs.

    *weight* is in nats for the diagnosed cause; negative speaks against it. *node* is the one it was said on or of, ""
    where that is not known.
    """

    source: str
    origin: str
    text: str
    event: str
    event_id: str
    weight: float
    count: int = 1
    node: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Revision *revision* of an incident's explanation.

    Attributes:
        confidence: Probability that *cause* is right, 0-1. With the alternatives it adds up to at most 1.
        alternatives: Other causes, likeliest first.
        suspects: Components to blame, most suspect first.
        evidence: Lines for and against, heaviest first.
        absent: Expected signals that are not there, in words.
        explanation: One paragraph in an operator's words.
        advice: What to do next, in words.
        node_confirmed: A node's own source (kernel, NVML, ...) speaks for the cause, not only a user's log.
    """

    incident_id: str
    revision: int
    cause: Cause
    confidence: float
    alternatives: tuple[Alternative, ...]
    suspects: tuple[Suspect, ...]
    evidence: tuple[WeighedLine, ...]
    absent: tuple[str, ...]
    explanation: str
    advice: str
    made_at: datetime
    node_confirmed: bool = False

    @property
    def blames_hardware(self) -> bool:
        """Whether a part of the cluster is said to be broken."""
        return self.cause in HARDWARE_CAUSES

    @property
    def is_undetermined(self) -> bool:
        """Whether the evidence does not tell."""
        return self.cause in UNDETERMINED_CAUSES

    @property
    def margin(self) -> float:
        """How far the cause leads the next best, 0-1."""
        return self.confidence - (self.alternatives[0].confidence if self.alternatives else 0.0)
