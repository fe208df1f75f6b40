"""A recording to its figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from simulators.trace.recording.records import KIND, Decided, Noticed, Record, Recording, Seen


@dataclass(frozen=True, slots=True)
class Counted:
    """The figures of a recording.

    Attributes:
        nodes, gpus: Of the job that it is about.
        events_by_kind: How many of each, the most frequent first.
    """

    kind: str
    name: str
    seed: int
    days: float
    job: str
    mode: str
    nodes: int
    gpus: int
    events: int
    readings: int
    decisions: int
    events_by_kind: Mapping[str, int]


def counted(recording: Recording) -> Counted:
    """Return the figures of *recording*, which is gone through once."""
    types: Counter[type[Record]] = Counter()
    kinds: Counter[str] = Counter()
    for record in recording.records():
        types[type(record)] += 1
        if isinstance(record, Noticed):
            kinds[record.event.kind] += 1
    header = recording.header
    return Counted(
        KIND,
        header.name,
        recording.seed,
        header.days,
        header.job,
        header.mode.value,
        header.nodes,
        header.gpus,
        events=types[Noticed],
        readings=types[Seen],
        decisions=types[Decided],
        events_by_kind=dict(kinds.most_common()),
    )
