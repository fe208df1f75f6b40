"""Something happened to one component at one time, with its evidence; immutable."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from functools import lru_cache

from clusterwatch.model.component import Component
from clusterwatch.model.reading import Scalar, Trust


class Severity(IntEnum):
    """How bad an event is for the component it happened to; ordered."""

    INFO = 0
    WARNING = 1
    ERROR = 2
    FATAL = 3


BY_ACTOR = "actor"
"""Source of events that tell what ClusterWatch found itself, in carrying out a step."""

OF_INCIDENT = "incident"
"""Field of such an event: the id of the incident because of which ClusterWatch looked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened.

    Attributes:
        id: 32 hexadecimal digits, see `event_id`; the same event has the same id after a crash and a re-read.
        kind: Dotted name, from general to special ("gpu.xid.79"); what it means stands in the catalogue.
        component: What it happened to.
        happened_at, observed_at, received_at: By the source's clock, at the collector, at the store; UTC.
        source: Collector that saw it.
        origin: Where a person finds the line again, such as "/dev/kmsg:1234" or "train.log:88".
        text: The evidence line, cut to a few hundred characters.
        fields: Values taken from the line ("xid": 79).
        count: How many alike occurrences this event stands for; 1 unless folded.
        until: Time of the last of them; None when count is 1.
        rule: Name of the rule that noticed it; "" for states.
    """

    id: str
    kind: str
    component: Component
    happened_at: datetime
    observed_at: datetime
    received_at: datetime | None = None
    source: str
    origin: str = ""
    trust: Trust = Trust.NODE
    severity: Severity = Severity.INFO
    text: str = ""
    rule: str = ""
    fields: Mapping[str, Scalar] = field(default_factory=dict)
    job: str | None = None
    attempt: int | None = None
    rank: int | None = None
    count: int = 1
    until: datetime | None = None
    boot_id: str = ""
    simulated: bool = False

    @property
    def node(self) -> str:
        """Name of the node that holds the component; "" when none does."""
        return self.component.node

    @property
    def last_at(self) -> datetime:
        """Time of the last occurrence this event stands for."""
        return self.until or self.happened_at


def event_id(node: str, boot_id: str, source: str, position: str, kind: str) -> str:
    """Return the id of the event of *kind* at *position* of *source*: the same however often it is read.

    What a source tells one after the other has ids one after the other: a database finds their place in one page of its
    index, and not in as many as there are events. The last 16 digits alone tell events apart.
    """
    number = position.rpartition(":")[2]
    place = number[-8:].zfill(8) if number.isascii() and number.isdigit() else "00000000"
    # In a third of the time that SHA-256 takes for a text as short as this.
    itself = hashlib.blake2b(f"{node}\x1f{boot_id}\x1f{source}\x1f{position}\x1f{kind}".encode(), digest_size=8)
    return _stream(node, boot_id, source) + place + itself.hexdigest()


@lru_cache(maxsize=16_384)
def _stream(node: str, boot_id: str, source: str) -> str:
    return hashlib.blake2b(f"{node}\x1f{boot_id}\x1f{source}".encode(), digest_size=4).hexdigest()


@lru_cache(maxsize=4096)
def kind_and_parents(kind: str) -> tuple[str, ...]:
    """Return *kind* and its more general names, special first: "gpu.xid.79", "gpu.xid", "gpu"."""
    parts = kind.split(".")
    return tuple(".".join(parts[:length]) for length in range(len(parts), 0, -1))
