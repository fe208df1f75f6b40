"""What a kind of event means: the knowledge that correlation, classification and policy share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from clusterwatch.model.causes import Cause
from clusterwatch.model.component import ComponentKind
from clusterwatch.model.event import Severity, kind_and_parents


class Role(StrEnum):
    """What part an event plays in an incident.

    FAULT: names a broken part or a deliberate act; explains symptoms around it.
    SUSPECT: may be the cause itself or fall out of one (an exception, a CUDA error).
    SYMPTOM: never a cause (a collective that timed out, a peer that closed its connection).
    CONTEXT: worth showing beside an incident, opens none.
    """

    FAULT = "fault"
    SUSPECT = "suspect"
    SYMPTOM = "symptom"
    CONTEXT = "context"


@dataclass(frozen=True, slots=True)
class Expectation:
    """A signal that should accompany another; its absence is evidence where *source* was watching.

    *instead* are kinds that tell the same another way: a daemon that ends what grows before memory is full is none of
    the kernel's.
    """

    kind: str
    source: str
    if_absent: str
    weights: Mapping[Cause, float] = field(default_factory=dict)
    instead: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Signal:
    """What one kind of event means.

    Attributes:
        kind: Dotted name, applies to itself and to more special kinds that have no entry of their own.
        meaning: One sentence in an operator's words.
        weights: Evidence for (positive) or against each cause, in nats (natural-log likelihood ratios against
            "this signal would be there anyway"). 4 is close to proof, 1 a hint.
        suspect: Kind of component the evidence points to; None for the event's own component.
        action: What an operator does about it, as a short imperative; "" when nothing.
        expects: Signals that should be there too.
        unless: Kinds that say the same more exactly: beside one of them on its node it speaks for their cause.
        confirms: Whether it says that a part of its node is broken, and not which: it speaks as loud for each part that
            faults there, or else suspicions, are of as for the likeliest.
        after: Kinds that it falls out of: where one of them was on its node before, it is a symptom.
        after_anywhere: The same, where what it tells of is shared by a whole job: on whichever node it was before.
        explains: Kinds that follow from it, with all kinds below them: beside it, they say little of their own.
        looks_back: How long before it what it tells of may have happened: a scheduler waits before it gives a node up,
            a node that was switched off says so when it is back.
        over_by: Kinds that say it is over, of the same part; itself where it says so in the same breath.
        borne: For how long what it tells of harms nobody, where `over_by` ends it: connections try again that long.
        harm: Kinds that tell where it did harm all the same, or that it goes on, of its node or of ranks there.
        slows: Whether it only slows a job: a hint at most where that stood still at once and nothing tells of `harm`.
        per_node_day: How often in a day a healthy node tells it and nothing follows, until a cluster counted its own.
        sources: Where the meaning is documented (URL or document name).
    """

    kind: str
    meaning: str
    severity: Severity
    role: Role
    weights: Mapping[Cause, float] = field(default_factory=dict)
    suspect: ComponentKind | None = None
    action: str = ""
    expects: tuple[Expectation, ...] = ()
    unless: tuple[str, ...] = ()
    confirms: bool = False
    after: tuple[str, ...] = ()
    after_anywhere: tuple[str, ...] = ()
    explains: tuple[str, ...] = ()
    looks_back: timedelta = timedelta(0)
    over_by: tuple[str, ...] = ()
    borne: timedelta = timedelta(0)
    harm: tuple[str, ...] = ()
    slows: bool = False
    per_node_day: float = 0.0
    sources: tuple[str, ...] = ()

    leading_cause: Cause | None = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Find the leading cause once: it is asked for with each event."""
        leading = max(self.weights, key=lambda cause: self.weights[cause]) if self.weights else None
        object.__setattr__(self, "leading_cause", leading)


LOOKED_UP_KEPT = 4096
"""How many kinds' signals are kept at hand."""

UNLISTED = Signal("", "an event the catalogue has no entry for", Severity.INFO, Role.CONTEXT)


class Knowledge:
    """Signals by kind; a kind without an entry means what its nearest more general name means.

    Attributes:
        endings: The kinds that say of another that it is over.
    """

    def __init__(self, signals: Iterable[Signal]) -> None:
        self._by_kind = {signal.kind: signal for signal in signals}
        self.endings = frozenset(kind for signal in self._by_kind.values() for kind in signal.over_by)
        self._looked_up: dict[str, Signal] = {}

    def __getitem__(self, kind: str) -> Signal:
        """Return what *kind* means; UNLISTED when not even a parent is known."""
        known = self._looked_up.get(kind)
        return known if known is not None else self._look_up(kind)

    def _look_up(self, kind: str) -> Signal:
        found = next((self._by_kind[name] for name in kind_and_parents(kind) if name in self._by_kind), UNLISTED)
        # A kind may end in what a line holds: there is no end of those.
        if len(self._looked_up) < LOOKED_UP_KEPT:
            self._looked_up[kind] = found
        return found

    def __iter__(self) -> Iterator[Signal]:
        return iter(self._by_kind.values())

    def __len__(self) -> int:
        return len(self._by_kind)
