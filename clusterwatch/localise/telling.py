"""What localising found to events: evidence like any other, on the word of the job's own processes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from clusterwatch.localise.result import Culprit, CulpritKind, Localisation, Status
from clusterwatch.model import Component, ComponentKind, Event, Severity, Step, Trust, event_id, kinds

SOURCE = "flight_recorder"

NAMED_AT_MOST = 16
"""More culprits than two nodes have ranks name nobody: what many ranks have in common is no rank's fault."""

_KINDS = {
    CulpritKind.MISMATCHED: kinds.COLLECTIVE_MISMATCH,
    CulpritKind.ABSENT: kinds.COLLECTIVE_ABSENT,
    CulpritKind.HOST_STUCK: kinds.COLLECTIVE_ABSENT,
    CulpritKind.DEVICE_STUCK: kinds.COLLECTIVE_DEVICE_STUCK,
    CulpritKind.DIED: kinds.COLLECTIVE_NO_ANSWER,
    CulpritKind.NO_DUMP: kinds.COLLECTIVE_NO_ANSWER,
}


def events_of(answer: Localisation, step: Step, at: datetime) -> Iterator[Event]:
    """Yield what *answer*, which *step* asked for, says: an event for each culprit, else one of the group."""
    if answer.status in (Status.OK, Status.STRAGGLER) or answer.collective_seq is None:
        return
    if 0 < len(answer.culprits) <= NAMED_AT_MOST:
        yield from (_of_culprit(each, answer, step, at) for each in answer.culprits)
    elif answer.culprits:
        # Many that left no dump are no sign that any of them is behind.
        is_told = answer.status is not Status.INCOMPLETE
        kind = kinds.COLLECTIVE_MANY_BEHIND if is_told else kinds.COLLECTIVE_STALLED
        yield _of_group(kind, None, answer, step, at)
    else:
        kind = _kind_of_group(answer.stuck_together, step)
        rank = None if kind == kinds.COLLECTIVE_STALLED else answer.stuck_together[0]
        yield _of_group(kind, rank, answer, step, at)


def _kind_of_group(ranks: tuple[int, ...], step: Step) -> str:
    """Return what it means that only *ranks* stand still: within a node they speak over its own links."""
    per_node = step.arguments.get("ranks_per_node")
    if not 0 < len(ranks) <= NAMED_AT_MOST:
        return kinds.COLLECTIVE_STALLED
    is_one_node = isinstance(per_node, int) and per_node > 0 and len({rank // per_node for rank in ranks}) == 1
    return kinds.COLLECTIVE_STUCK_IN_NODE if is_one_node else kinds.COLLECTIVE_STUCK_TOGETHER


def _of_culprit(culprit: Culprit, answer: Localisation, step: Step, at: datetime) -> Event:
    text = f"rank {culprit.rank} {culprit.why} ({answer.operation} {answer.collective_seq} of {answer.process_group})"
    return _event(_KINDS[culprit.kind], culprit.rank, text, answer, step, at)


def _of_group(kind: str, rank: int | None, answer: Localisation, step: Step, at: datetime) -> Event:
    return _event(kind, rank, answer.explanation, answer, step, at)


def _event(kind: str, rank: int | None, text: str, answer: Localisation, step: Step, at: datetime) -> Event:
    attempt = step.arguments.get("attempt")
    of_rank = rank is not None
    return Event(
        id=event_id("", "", SOURCE, f"{step.id}/{rank}", kind),
        kind=kind,
        component=Component(ComponentKind.RANK, str(rank)) if of_rank else Component(ComponentKind.JOB, step.target),
        happened_at=at,
        observed_at=at,
        source=SOURCE,
        origin=f"step {step.id}",
        trust=Trust.USER,
        severity=Severity.ERROR,
        text=text[:500],
        fields={
            "process_group": answer.process_group,
            "sequence": answer.collective_seq,
            "operation": answer.operation,
            "waiting": answer.waiting,
            **({"rank": rank} if of_rank else {}),
        },
        job=step.target,
        attempt=attempt if isinstance(attempt, int) else None,
        rank=rank,
    )
