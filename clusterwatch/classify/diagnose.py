"""Say why an incident happened, how sure, who is suspect, and what to do."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from clusterwatch.classify.chance import CERTAIN, heard
from clusterwatch.classify.circumstances import Circumstances
from clusterwatch.classify.weighing import Weighed, Witness, weigh
from clusterwatch.model import (
    UNDETERMINED_CAUSES,
    Alternative,
    Cause,
    Component,
    ComponentKind,
    Diagnosis,
    Evidence,
    Incident,
    Knowledge,
    Placement,
    Role,
    Suspect,
    Trust,
    WeighedLine,
    node_component,
)

ALTERNATIVES_FROM = 0.03
"""Causes less likely than this are not worth an operator's time."""

_NO_PARTS = frozenset({ComponentKind.JOB, ComponentKind.NODE, ComponentKind.PROCESS, ComponentKind.SERVICE})
"""What a job's log stands on anyway: to be named by it is no suspicion."""

_PORT_OF_DISK = re.compile(r"ata\d{1,3}(?:\.\d{1,2})?")

RANKS_OF_A_NODE = 8
"""What is said no more often may be what one node says."""

LINES_KEPT = 12
SUSPECTS_KEPT = 8


def diagnose(incident: Incident, knowledge: Knowledge, known: Circumstances, revision: int, now: datetime) -> Diagnosis:
    """Return revision *revision* of why *incident* happened.

    Args:
        incident: With its folded evidence.
        knowledge: What kinds mean.
        known: What is known beside the evidence.
        revision: Number of this revision, from 1.
        now: When it is made.
    """
    weighed = weigh(incident, knowledge, known)
    (cause, confidence), *others = weighed.by_likelihood()
    witnesses = _by_weight(cause, weighed)
    suspects = _suspects(cause, weighed, {placement.rank: placement for placement in known.placements})
    return Diagnosis(
        incident_id=incident.id,
        revision=revision,
        cause=cause,
        confidence=round(min(confidence, 0.99), 3),
        alternatives=tuple(
            Alternative(other, round(likelihood, 3)) for other, likelihood in others if likelihood >= ALTERNATIVES_FROM
        ),
        suspects=suspects,
        evidence=_lines(cause, witnesses),
        absent=tuple(expectation.if_absent for expectation in weighed.absent),
        explanation=_explanation(cause, confidence, weighed, witnesses, suspects),
        advice=_advice(witnesses),
        made_at=now,
        node_confirmed=_is_confirmed(cause, weighed, suspects),
    )


def _is_confirmed(cause: Cause, weighed: Weighed, suspects: Sequence[Suspect]) -> bool:
    """Return whether the node of the first suspect says so itself.

    Another node's word of itself is not its own, and neither is the silence of the whole job.
    """
    place = next((each.component.node for each in suspects[:1]), "")
    own = {
        (evidence.kind, evidence.component)
        for witness in weighed.witnesses
        if witness.weight(cause) > 0
        for evidence, nats in zip(witness.evidence, witness.nats, strict=True)
        if nats >= CERTAIN and evidence.trust is Trust.NODE and place in ("", evidence.component.node)
    }
    return bool(own) and not (cause is Cause.NETWORK_SWITCH_CABLE and _is_about_several_links(own))


def _is_about_several_links(told: Iterable[tuple[str, Component]]) -> bool:
    """Return whether the same is told of several adapters of a node: they share a switch, and no cable."""
    links = Counter(kind for kind, component in told if component.kind is ComponentKind.NIC)
    return any(total > 1 for total in links.values())


def _by_weight(cause: Cause, weighed: Weighed) -> list[Witness]:
    """Return the witnesses, those that speak loudest for *cause* first, then the earliest."""
    return sorted(weighed.witnesses, key=lambda witness: (-witness.weight(cause), witness.evidence[0].first_at))


def _lines(cause: Cause, witnesses: Iterable[Witness]) -> tuple[WeighedLine, ...]:
    lines = (
        WeighedLine(
            source=sample.source,
            origin=sample.origin,
            text=sample.text,
            event=evidence.kind,
            event_id=sample.event_id,
            weight=round(witness.weight(cause), 2),
            count=evidence.count,
            node=evidence.component.node,
        )
        for witness in witnesses
        for evidence in witness.evidence
        for sample in evidence.samples[:1]
    )
    return tuple(islice(lines, LINES_KEPT))


@dataclass(frozen=True, slots=True)
class _Blame:
    component: Component
    rank: int | None
    weight: float


_Whom = tuple[Component, int | None]


def _suspects(cause: Cause, weighed: Weighed, placements: Mapping[int, Placement]) -> tuple[Suspect, ...]:
    blames: dict[_Whom, float] = {}
    since: dict[_Whom, datetime] = {}
    struck = _tell_of_themselves(cause, weighed)
    for witness in weighed.witnesses:
        for evidence, share in _shares(witness, placements):
            blame = _blame(cause, witness, evidence, placements)
            if blame is not None and not _is_other_end(evidence, struck, placements):
                key = (blame.component, blame.rank)
                blames[key] = max(blames.get(key, 0.0), blame.weight * share)
                since[key] = min(since.get(key, evidence.first_at), evidence.first_at)
    for remark in weighed.remarks:
        for component in remark.suspects if remark.weights.get(cause, 0.0) > 0 else ():
            blames[component, None] = blames.get((component, None), 0.0) + remark.weights[cause]
    total = sum(blames.values())
    last = max(since.values(), default=None)
    # Of those who are blamed alike, the one that spoke first is likelier to have hit the others.
    ordered = sorted(
        blames.items(),
        key=lambda pair: (
            -pair[1],
            _is_port_of_disk(pair[0][0]),
            since.get(pair[0], last),
            pair[0][0],
            pair[0][1] or 0,
        ),
    )
    return tuple(
        Suspect(component, round(weight / total, 3), rank, _gpu_of(component, _placement(rank, placements)))
        for (component, rank), weight in ordered[:SUSPECTS_KEPT]
    )


def _tell_of_themselves(cause: Cause, weighed: Weighed) -> frozenset[str]:
    """Return the nodes that tell of a part of their own that *cause* is likely in."""
    return frozenset(
        evidence.component.node
        for witness in weighed.witnesses
        if witness.weight(cause) > 0 and witness.signal.role is not Role.SYMPTOM
        for evidence, nats in zip(witness.evidence, witness.nats, strict=True)
        if evidence.trust is Trust.NODE and nats >= CERTAIN
    )


def _is_other_end(evidence: Evidence, struck: Set[str], placements: Mapping[int, Placement]) -> bool:
    """Return whether the ranks of one of the *struck* nodes alone name a peer: it is the other end of their link."""
    placement = _placement(_rank_of(evidence), placements)
    is_alone = evidence.count <= RANKS_OF_A_NODE and evidence.component.node not in struck
    return is_alone and placement is not None and placement.node in struck and _names_a_peer(evidence, placements)


def _shares(witness: Witness, placements: Mapping[int, Placement]) -> Iterator[tuple[Evidence, float]]:
    """Yield the evidence of *witness* that is heard at all, and each one's share in the blame.

    Who says the same as many others is one of the many that were hit, hardly the one that hit them.
    """
    heard_of = [(each, heard(nats, witness.signal)) for each, nats in zip(witness.evidence, witness.nats, strict=True)]
    loudest = max((part for _, part in heard_of), default=0.0)
    told = [(each, part / loudest) for each, part in heard_of if part]
    voices: dict[_Whom, float] = {}
    for each, part in told:
        voice = (each.component, _rank_of(each))
        voices[voice] = max(voices.get(voice, 0.0), part)
    said_total = sum(each.count for each, _ in told)
    for each, part in told:
        # Of the peers that ranks name, the one that most of them name hit them.
        share = each.count / said_total if _names_a_peer(each, placements) else 1 / sum(voices.values())
        yield each, share * part


def _is_port_of_disk(component: Component) -> bool:
    """Return whether *component* is a disk by its port, as libata names it: the name to pull it by stands beside it."""
    return component.kind is ComponentKind.DISK and _PORT_OF_DISK.fullmatch(component.id) is not None


def _placement(rank: int | None, placements: Mapping[int, Placement]) -> Placement | None:
    return None if rank is None else placements.get(rank)


def _blame(cause: Cause, witness: Witness, evidence: Evidence, placements: Mapping[int, Placement]) -> _Blame | None:
    """Return whom one piece of evidence blames; None when it names nobody in particular."""
    weight = witness.weight(cause)
    if cause in UNDETERMINED_CAUSES:
        # Nothing is proven, but a rank that was killed or stopped is where to look first.
        weight = max(weight, max(witness.signal.weights.values(), default=0.0) * witness.loudness)
    rank = None if _means_its_node(evidence, placements) else _rank_of(evidence)
    if evidence.component.kind is ComponentKind.JOB and rank is None:
        return None
    names_a_part = rank is not None or evidence.component.kind not in _NO_PARTS or _means_its_node(evidence, placements)
    if weight <= 0 or (witness.signal.role is Role.SYMPTOM and evidence.trust is Trust.USER and not names_a_part):
        return None
    return _Blame(_suspected(witness, evidence, rank, placements), rank, weight)


def _names_a_peer(evidence: Evidence, placements: Mapping[int, Placement]) -> bool:
    """Return whether a rank names another node than its own: that node is meant, and the rank only the witness."""
    placement = _placement(_rank_of(evidence), placements)
    component = evidence.component
    return component.kind is ComponentKind.NODE and placement is not None and placement.node != component.node


def _means_its_node(evidence: Evidence, placements: Mapping[int, Placement]) -> bool:
    return _names_a_peer(evidence, placements) or _is_numbered_otherwise(evidence, placements)


def _is_numbered_otherwise(evidence: Evidence, placements: Mapping[int, Placement]) -> bool:
    """Return whether the line names a node on which no rank of that number ran: Slurm counts tasks, not ranks."""
    placement = _placement(_rank_of(evidence), placements)
    node = evidence.component.node
    return placement is not None and node != "" and evidence.field("node") == node and placement.node != node


def _rank_of(evidence: Evidence) -> int | None:
    if evidence.component.kind is ComponentKind.RANK and evidence.component.id.isdigit():
        return int(evidence.component.id)
    named = evidence.field("rank")
    return int(named) if named is not None and named.isdigit() else None


def _suspected(
    witness: Witness, evidence: Evidence, rank: int | None, placements: Mapping[int, Placement]
) -> Component:
    placement = _placement(rank, placements)
    node = placement.node if placement is not None else evidence.component.node
    if witness.signal.suspect is ComponentKind.NODE and node:
        return node_component(node)
    if rank is not None:
        return Component(ComponentKind.RANK, str(rank), node)
    return evidence.component if evidence.component.kind is not ComponentKind.RANK else node_component(node)


def _gpu_of(component: Component, placement: Placement | None) -> str | None:
    if component.kind is ComponentKind.GPU:
        return component.id
    return placement.gpu or None if placement is not None else None


def _advice(witnesses: Iterable[Witness]) -> str:
    actions = (witness.signal.action for witness in witnesses if witness.signal.action)
    return next(actions, "Restart from the last complete checkpoint and watch whether it comes back.")


def _explanation(
    cause: Cause, confidence: float, weighed: Weighed, witnesses: Iterable[Witness], suspects: Iterable[Suspect]
) -> str:
    telling = [witness for witness in witnesses if witness.loudness > 0] or list(weighed.witnesses)
    sentences = [_sentence(witness) for witness in telling[:3]]
    silenced = [each for each in weighed.witnesses if not each.loudness and each not in telling and _may_follow(each)]
    explained = sum(evidence.count for witness in silenced for evidence in witness.evidence)
    if explained:
        sentences.append(f"{explained} other signal{'s' if explained > 1 else ''} around it follow from that.")
    sentences += [f"{remark.words}." for remark in weighed.remarks]
    if weighed.absent:
        sentences.append(f"Expected but not there: {'; '.join(each.if_absent for each in weighed.absent)}.")
    first = next(iter(suspects), None)
    if first is not None:
        sentences.append(f"First suspect: {_named(first)}.")
    if cause in UNDETERMINED_CAUSES:
        sentences.append("The evidence does not tell the cause.")
    elif confidence < 0.6:
        sentences.append("The evidence allows other causes as well.")
    return " ".join(sentences)


def _may_follow(witness: Witness) -> bool:
    return witness.signal.role is not Role.CONTEXT


def _named(suspect: Suspect) -> str:
    gpu = f", GPU {suspect.gpu}" if suspect.gpu and suspect.component.kind is not ComponentKind.GPU else ""
    return f"{suspect.component}{gpu}"


def _sentence(witness: Witness) -> str:
    first = min(witness.evidence, key=lambda evidence: evidence.first_at)
    places = {str(evidence.component) for evidence in witness.evidence}
    where = str(first.component) if len(places) == 1 else f"{first.component} and {len(places) - 1} more"
    rank = _rank_of(first)
    of_rank = f" (rank {rank})" if rank is not None and first.component.kind is not ComponentKind.RANK else ""
    meaning = witness.signal.meaning.rstrip(".")
    return f"{meaning[:1].upper()}{meaning[1:]}: {where}{of_rank} at {first.first_at:%H:%M:%S} UTC."
