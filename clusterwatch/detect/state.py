"""What detection remembers between two calls: small, and JSON, so that it is committed with the source's position."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from clusterwatch.detect.losses import UsualLoss
from clusterwatch.model import Event, Scalar
from clusterwatch.model.ranks import Ranges


@dataclass(frozen=True, slots=True)
class Repeats:
    """Occurrences of one kind on one component.

    Attributes:
        seen: How many went out one by one.
        seconds: Length of the next window.
        closes_at: When the open window ends; None while there is none.
        folded: The event that opened the window.
        more: How many occurrences the window holds beside that event's own.
        first_at, until: Times of the first and the last of all of them; None while there are no more.
        ranks: Of a symptom that the ranks of a node print alike, the ranks that did.
    """

    seen: int
    last_at: datetime
    seconds: float = 1.0
    closes_at: datetime | None = None
    folded: Event | None = None
    more: int = 0
    first_at: datetime | None = None
    until: datetime | None = None
    ranks: Ranges = ()


@dataclass(frozen=True, slots=True)
class Counter:
    """What counts the steps of an attempt, and how it usually moves.

    Attributes:
        voice: The rule and the stream that report it; "" before the first report.
        heard_at: When it was last reported, as it was observed.
        interval_seconds: Between two reports; 0 until there were two at different times.
        step: As last printed; it goes back where the counter starts again.
        total: What it counts to, where that is printed.
        reports: How often it moved.
        stride: Steps between two reports.
        doubted: A step so far ahead that it counts only if the next one goes on from it.
    """

    voice: str = ""
    heard_at: datetime | None = None
    interval_seconds: float = 0.0
    step: int = -1
    total: int | None = None
    reports: int = 0
    stride: float = 1.0
    doubted: int | None = None


@dataclass(frozen=True, slots=True)
class Trail:
    """How far one job has come: its attempt, its highest step in it, and progress not yet told."""

    attempt: int | None
    step: int
    closes_at: datetime | None = None
    folded: Event | None = None
    counter: Counter = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Assembly:
    """A text of several lines that is still open.

    Attributes:
        form: "traceback", "ignored" (announces one that does not count), "elastic" (torchelastic's table of failures)
            or "heading" (names what the lines are about).
        prefix: What stands before it on each line, with its digits as zeros.
        rank: Whose it is, where the lines say so.
        values: What was read so far ("where", "rank", "exitcode", ...); of a heading the component's id by its kind.
        strangers: Lines of others since its last line.
    """

    form: str
    prefix: str = ""
    rank: int | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    strangers: int = 0


@dataclass(frozen=True, slots=True)
class ObserverState:
    """Everything `notice` remembers; empty at first.

    Attributes:
        samples: The previous sample of each device, mount and host, by source, node and instance.
        assemblies: Open texts of several lines, by stream.
        trails: Progress, by job.
        losses: What is usual of the loss, by job.
        repeats: Repeated events without an open window, by kind and component; the one last seen stands last.
        windows: Repeated events with an open window, likewise.
    """

    samples: Mapping[str, Mapping[str, Scalar]] = field(default_factory=dict)
    assemblies: Mapping[str, Assembly] = field(default_factory=dict)
    trails: Mapping[str, Trail] = field(default_factory=dict)
    losses: Mapping[str, UsualLoss] = field(default_factory=dict)
    repeats: Mapping[str, Repeats] = field(default_factory=dict)
    windows: Mapping[str, Repeats] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the state as values that JSON can hold."""
        dumped: dict[str, Any] = _adapter().dump_python(self, mode="json")
        return dumped

    @staticmethod
    def from_json(stored: Mapping[str, Any]) -> ObserverState:
        """Return the state that `to_json` gave; {} is the empty one.

        Raises:
            ValueError: If *stored* is not such a state.
        """
        state = _adapter().validate_python(stored)
        # An earlier version kept both in one place.
        windows = {key: known for key, known in state.repeats.items() if known.closes_at is not None}
        repeats = {key: known for key, known in state.repeats.items() if known.closes_at is None}
        return replace(state, repeats=repeats, windows={**windows, **state.windows}) if windows else state


@cache
def _adapter() -> TypeAdapter[ObserverState]:
    return TypeAdapter(ObserverState)
