"""What came and went and harmed nobody: a link that is up again before a connection on it has been given up.

A connection tries again for some seconds before it breaks. A link that is back by then has stopped no job, however near
to the stop it flapped: where it did, those tell that had a connection over it, its node or the ranks there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from clusterwatch.model import ComponentKind, Evidence, Knowledge, Placement
from clusterwatch.model.event import kind_and_parents


def passed(evidence: Evidence, beside: Iterable[Evidence], knowledge: Knowledge) -> bool:
    """Return whether what *evidence* tells of was over before it could harm, by what its node tells *beside* it."""
    signal = knowledge[evidence.kind]
    if not signal.over_by:
        return False
    ends = [
        each.last_at
        for each in (evidence, *beside)
        if each.component == evidence.component and _is_of(each.kind, signal.over_by)
    ]
    # What comes again later is not over when it first is.
    return any(evidence.last_at <= at <= evidence.first_at + signal.borne for at in ends)


def did_harm(
    evidence: Evidence, others: Iterable[Evidence], knowledge: Knowledge, placements: Collection[Placement]
) -> bool:
    """Return whether any of the *others* tells of the harm that *evidence* does: of its node, or by ranks there."""
    harm, node = knowledge[evidence.kind].harm, evidence.component.node
    if not harm:
        # It is not known how its harm would be told.
        return True
    return any(_is_of(each.kind, harm) and node in (each.component.node, _speaker(each, placements)) for each in others)


def _speaker(evidence: Evidence, placements: Iterable[Placement]) -> str:
    """Return the node of the rank that speaks, where another than the evidence's own is meant; "" if none is known."""
    rank = evidence.component.id if evidence.component.kind is ComponentKind.RANK else evidence.field("rank")
    return next((each.node for each in placements if str(each.rank) == rank), "")


def _is_of(kind: str, wanted: Collection[str]) -> bool:
    return any(name in wanted for name in kind_and_parents(kind))
