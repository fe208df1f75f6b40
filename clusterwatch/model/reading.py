"""What a collector saw: a log line, a sample, a change of state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

Scalar = str | int | float | bool | None
"""What a reading's or an event's field may hold: JSON's scalars."""

LINE = "line"
"""Subject of a reading that is one line of a log."""


class Trust(StrEnum):
    """Whose word a reading is.

    NODE sources (the kernel's own records, NVML, a BMC, the scheduler) speak for their node. USER sources
    (job logs, dumps, records that any user can write) may stop or restart that job, and never drain a node.
    """

    NODE = "node"
    USER = "user"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One thing a collector saw.

    Attributes:
        source: Name of the collector, such as "kernel_log".
        node: Host the reading speaks about.
        position: Where in the source; with node, boot and source it names the reading for ever.
        observed_at: When the collector saw it, UTC.
        happened_at: When the source says it happened, UTC; None if it does not say.
        boot_id: Boot of the node; positions of a kernel log repeat after a reboot.
        subject: LINE, or the kind of state or sample, such as "process.exit".
        text: The line, decoded, without control characters; for states a short sentence.
        fields: Values of a sample or a state.
        job, attempt, rank: What the reading belongs to, where the source knows.
        simulated: Made by a simulator. A daemon on the real clock refuses it.
    """

    source: str
    node: str
    position: str
    observed_at: datetime
    happened_at: datetime | None = None
    boot_id: str = ""
    trust: Trust = Trust.NODE
    subject: str = LINE
    text: str = ""
    fields: Mapping[str, Scalar] = field(default_factory=dict)
    job: str | None = None
    attempt: int | None = None
    rank: int | None = None
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class Collected:
    """What one collection gave.

    Attributes:
        readings: In the order of the source.
        position: Where the collector goes on next time (JSON-serialisable); committed together with the events.
        condition: A stated condition, such as "no NVIDIA driver here"; "" when all is well. Not an error.
        more: The source holds more than this batch; collect again at once.
    """

    readings: tuple[Reading, ...] = ()
    position: Mapping[str, object] = field(default_factory=dict)
    condition: str = ""
    more: bool = False
