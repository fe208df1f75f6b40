"""Events to a piece of evidence: the first one is it, and what says the same folds into it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from clusterwatch.model import ComponentKind, Event, Evidence, Sample, Severity
from clusterwatch.model import ranks as ranges
from clusterwatch.model.making import replace

SAMPLES_KEPT = 3
TEXT_KEPT = 400


@dataclass(slots=True)
class Piece:
    """A piece of evidence; of two of the same time and kind, the one that came to its *place* first is first.

    What folds into it is kept beside it, because there may be thousands; `whole` is the piece with all of it.

    Attributes:
        ranks: Of a symptom of a job: who printed it beside the first, as ranges that may overlap.
    """

    evidence: Evidence
    place: int
    first_at: datetime
    last_at: datetime
    count: int
    samples: tuple[Sample, ...]
    ranks: set[tuple[int, int]] = field(default_factory=set)

    @classmethod
    def of(cls, evidence: Evidence, place: int) -> Piece:
        """Return *evidence* as a piece at *place*."""
        return cls(evidence, place, evidence.first_at, evidence.last_at, evidence.count, evidence.samples)

    @property
    def order(self) -> tuple[datetime, int]:
        """What comes first of the pieces that say the same."""
        return self.first_at, self.place

    @property
    def whole(self) -> Evidence:
        """The evidence with everything that folded into it."""
        fields = _with_ranks(self.evidence, self.ranks) if self.ranks else self.evidence.fields
        first_at, last_at, count, samples = self.first_at, self.last_at, self.count, self.samples
        return replace(self.evidence, fields=fields, first_at=first_at, last_at=last_at, count=count, samples=samples)

    def fold(self, event: Event) -> None:
        """Let *event*, which says the same, be part of it."""
        self.first_at = min(self.first_at, event.happened_at)
        self.last_at = max(self.last_at, event.last_at)
        self.count += event.count
        if len(self.samples) < SAMPLES_KEPT and event.text not in {sample.text for sample in self.samples}:
            self.samples = (*self.samples, _sample_of(event))

    def fold_of_many_ranks(self, event: Event) -> None:
        """Let *event* of other ranks be part of it; who was first stands for all, whichever came first."""
        is_first = event.happened_at < self.first_at
        if is_first or (event.happened_at == self.first_at and _voice(event) < _speaker(self.evidence)):
            self.ranks.update(_ranks_in(self.evidence))
            self.evidence = evidence_of(event, self.evidence.severity)
        self.fold(event)
        if "ranks" in event.fields:
            self.ranks.update(ranges.ranges_in(str(event.fields["ranks"])))
        elif event.rank is not None:
            self.ranks.add((event.rank, event.rank))


def evidence_of(event: Event, severity: Severity) -> Evidence:
    """Return the first piece of evidence that *event* gives."""
    return Evidence(
        kind=event.kind,
        component=event.component,
        severity=severity,
        trust=event.trust,
        first_at=event.happened_at,
        last_at=event.last_at,
        count=event.count,
        samples=(_sample_of(event),),
        fields=tuple(sorted((name, str(value)) for name, value in _fields_of(event).items() if value is not None)),
    )


def _fields_of(event: Event) -> dict[str, object]:
    return dict(event.fields) if event.rank is None else {**event.fields, "rank": event.rank}


def _sample_of(event: Event) -> Sample:
    return Sample(event.id, event.text[:TEXT_KEPT], event.source, event.origin, event.happened_at)


def _voice(event: Event) -> tuple[str, int]:
    return event.node, -1 if event.rank is None else event.rank


def _speaker(evidence: Evidence) -> tuple[str, int]:
    rank = evidence.component.id if evidence.component.kind is ComponentKind.RANK else evidence.field("rank")
    return evidence.component.node, int(rank) if rank is not None and rank.isdecimal() else -1


def _ranks_in(evidence: Evidence) -> ranges.Ranges:
    return ranges.ranges_in(evidence.field("ranks") or evidence.field("rank") or "")


def _with_ranks(evidence: Evidence, more: set[tuple[int, int]]) -> tuple[tuple[str, str], ...]:
    ranks = ranges.merged(more.union(_ranks_in(evidence)))
    others = [pair for pair in evidence.fields if pair[0] != "ranks"]
    return tuple(sorted([*others, *([("ranks", ranges.as_text(ranks))] if ranges.count(ranks) > 1 else [])]))
