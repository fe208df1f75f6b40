"""What the page shows: words only, in the order in which they are read. Text from logs is not escaped yet."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Tone(StrEnum):
    """How something is meant. The page adds a mark and a colour; the words say the same without them."""

    GOOD = "good"
    BUSY = "busy"
    DOUBTFUL = "doubtful"
    BAD = "bad"
    QUIET = "quiet"


@dataclass(frozen=True, slots=True)
class Badge:
    """A word or two with a tone."""

    text: str
    tone: Tone


@dataclass(frozen=True, slots=True)
class Moment:
    """A time: how long ago, and in full."""

    ago: str
    stamp: str


@dataclass(frozen=True, slots=True)
class EvidenceLine:
    """A line for or against the cause, with where a person finds it. *times* is "" for a single one."""

    text: str
    source: str
    speaks: str
    times: str


@dataclass(frozen=True, slots=True)
class PlanStep:
    """One step of a plan, on what, and what became of it."""

    words: str
    target: str
    state: Badge
    detail: str


@dataclass(frozen=True, slots=True)
class PlanView:
    """What is being done: the reason, how far automation may go, the steps."""

    mode: str
    reason: str
    steps: tuple[PlanStep, ...]


@dataclass(frozen=True, slots=True)
class IncidentCard:
    """An open incident. *alternatives*, *absent* and *jobs* may be empty; *plan* is None before a decision."""

    id: str
    cause: str
    confidence: str
    state: Badge
    opened: Moment
    suspects: tuple[str, ...]
    jobs: str
    explanation: str
    advice: str
    alternatives: str
    evidence: tuple[EvidenceLine, ...]
    absent: tuple[str, ...]
    plan: PlanView | None
    is_stale: bool


@dataclass(frozen=True, slots=True)
class AskedRow:
    """What a person is asked, and since when."""

    question: str
    incident: str
    since: Moment


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job that wants to train."""

    name: str
    id: str
    state: Badge
    step: str
    last_step: Moment
    checkpoint: str
    last_checkpoint: Moment
    ettr: str
    attempt: str
    last_interruption: str


@dataclass(frozen=True, slots=True)
class ClosedRow:
    """An incident that is over."""

    id: str
    cause: str
    confidence: str
    suspect: str
    jobs: str
    closed: Moment
    lasted: str


@dataclass(frozen=True, slots=True)
class NodeRow:
    """A node that does not simply work."""

    name: str
    state: Badge
    reason: str
    seen: Moment


@dataclass(frozen=True, slots=True)
class CollectorRow:
    """A collector that does not simply work."""

    name: str
    node: str
    state: Badge
    words: str
    last_success: Moment


@dataclass(frozen=True, slots=True)
class Counted:
    """How many there are of what only the first are shown of; *hidden* is "" when all are."""

    total: int
    hidden: str


@dataclass(frozen=True, slots=True)
class PageView:
    """The whole page. *is_empty*: nothing was ever recorded."""

    verdict: Badge
    details: tuple[Badge, ...]
    at: str
    version: str
    is_simulated: bool
    is_empty: bool
    asked: tuple[AskedRow, ...]
    incidents: tuple[IncidentCard, ...]
    incidents_count: Counted
    jobs: tuple[JobRow, ...]
    jobs_count: Counted
    closed: tuple[ClosedRow, ...]
    nodes: tuple[NodeRow, ...]
    nodes_count: Counted
    nodes_total: int
    collectors: tuple[CollectorRow, ...]
    collectors_count: Counted
    collectors_total: int
