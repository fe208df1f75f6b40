"""What localising found, in an operator's words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from clusterwatch.localise.origin import Origin
from clusterwatch.localise.result import Culprit, CulpritKind, Status
from clusterwatch.model.ranks import as_text, merged

_CULPRITS_NAMED = 4
_RUNS_NAMED = 12


def nothing_found(dumps: int, missing: Sequence[int]) -> str:
    """Return what is said where nobody is held up, as far as the dumps tell."""
    if not dumps:
        return "No dump holds a call: was the recorder on (TORCH_FR_BUFFER_SIZE > 0)?"
    if missing:
        return f"Nothing holds up the {_count(dumps, 'rank')} with a dump; {_without(missing)}."
    return f"Nothing holds up any of the {_count(dumps, 'rank')}."


def told(status: Status, origin: Origin, culprits: Sequence[Culprit], waiting: int, missing: Sequence[int]) -> str:
    """Return where it began, who is at fault, and what the dumps do not tell."""
    stop = origin.stop
    where = f"{stop.operation} number {stop.sequence} of process group {stop.group or 'default'} ({stop.size} ranks)"
    sentences = [f"{_VERBS[status]} at {where}", *_about(culprits)]
    if not culprits:
        sentences.append("All of its ranks have called it alike, none is behind the others: look at the network")
    if waiting:
        sentences.append(f"{_count(waiting, 'rank')} wait{'s' if waiting == 1 else ''} for it")
    if origin.is_circle:
        sentences.append("Ranks wait for each other in different groups: some call them in another order")
    if missing:
        sentences.append(_without(missing).capitalize())
    return ". ".join(sentences) + "."


_VERBS = {
    Status.MISMATCH: "Ranks asked for different collectives",
    Status.STALLED: "The job stands still",
    Status.STRAGGLER: "Ranks wait, not for long yet,",
    Status.INCOMPLETE: "Every rank with a dump waits",
}


def _about(culprits: Sequence[Culprit]) -> Iterable[str]:
    by_why: dict[tuple[CulpritKind, str], list[int]] = {}
    for culprit in culprits:
        by_why.setdefault((culprit.kind, culprit.why), []).append(culprit.rank)
    for (_, why), ranks in list(by_why.items())[:_CULPRITS_NAMED]:
        yield f"{_named(ranks)} {why}"
    if len(by_why) > _CULPRITS_NAMED:
        yield f"{len(by_why) - _CULPRITS_NAMED} more did likewise"


def _named(ranks: Sequence[int]) -> str:
    runs = merged((rank, rank) for rank in ranks)
    more = " and others" if len(runs) > _RUNS_NAMED else ""
    return f"Rank{'s' if len(ranks) > 1 else ''} {as_text(runs[:_RUNS_NAMED])}{more}"


def _without(missing: Sequence[int]) -> str:
    return f"there is no dump of {_named(missing).lower()}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
