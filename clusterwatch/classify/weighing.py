"""Evidence to a probability for each cause.

The rules:

1. Each kind of evidence speaks once, however often it was seen: a storm of one message is one witness.
2. A fault explains the symptoms around it: they no longer speak for causes of their own. Without a fault,
   what may be a cause itself (an exception, a CUDA error) explains what only ever follows from others.
   What the catalogue says follows from another kind (a peer's complaint about a node that was switched off) speaks a
   fifth as loud beside it, and so does what another line about the same part says more exactly.
3. Witnesses for one cause are not independent: the second speaks half as loud as the first, the third a quarter.
4. The earliest fault is the likelier cause: one that came later than clocks differ speaks half as loud.
5. What leaves open where a fault sits speaks for the place that another witness on its node names: an uncorrectable
   memory error is one of the GPU's HBM when a row of that is to be replaced. What follows from an event that was on its
   node before, as a connection breaks whose process has ended, is a symptom.
6. An expected signal that is absent speaks too, but only where its source was watching.
7. What a job lived on after for longer than clocks differ did not stop it, and is no witness.
8. Circumstances speak as well: announced work, a place that the struck nodes share, what was to blame before.
9. What comes all day and nothing follows says little, and the less the farther it is from the stop: `chance`.
   What speaks against a cause does so for the parts of its own node.
10. `unknown` stands at zero; base rates decide only between causes that the evidence leaves alike. They are those of
   Table 5 at first, and become the cluster's own as its history grows.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from clusterwatch.classify.base_rates import base_rates
from clusterwatch.classify.chance import CERTAIN, heard, nats_at_most
from clusterwatch.classify.circumstances import Circumstances, Remark, first_to_end, remarks
from clusterwatch.model import (
    HARDWARE_CAUSES,
    Cause,
    Component,
    ComponentKind,
    Evidence,
    Expectation,
    Incident,
    Knowledge,
    Role,
    Signal,
    kind_and_parents,
)
from clusterwatch.model.same import Same

CLOCK_SKEW = timedelta(seconds=60)
"""Clocks of two nodes differ by up to this, so a symptom can carry an earlier time than its cause."""

_OUTLIVED = 0.7
"""How loud is what the job lived on after for a while, where nothing nearer explains why it stopped."""

_SURE = 0.5
"""From how loud on a fault explains what is around it: below, it stands there as likely by chance."""

_FOLLOWS = 0.2
"""How loud is what follows from something else that is there."""

_PCI_FUNCTION = re.compile(r"\.[0-7]:?$")

_WHO_SPEAKS = frozenset({ComponentKind.RANK, ComponentKind.PROCESS, ComponentKind.JOB, ComponentKind.SERVICE})
"""Who tells of what others did, wherever that was: no part of a node."""

_EXPLAINED_BY_FAULT = {Role.FAULT: 1.0, Role.SUSPECT: 0.2, Role.SYMPTOM: 0.0, Role.CONTEXT: 0.0}
_EXPLAINED_BY_EARLIER = {**_EXPLAINED_BY_FAULT, Role.FAULT: 0.5}
_EXPLAINED_BY_SUSPECT = {Role.FAULT: 1.0, Role.SUSPECT: 1.0, Role.SYMPTOM: 0.2, Role.CONTEXT: 0.0}
_UNEXPLAINED = {Role.FAULT: 1.0, Role.SUSPECT: 1.0, Role.SYMPTOM: 1.0, Role.CONTEXT: 0.0}


@dataclass(frozen=True, slots=True)
class Witness:
    """A kind of evidence with what it means and how much of its weight counts (0-1).

    Attributes:
        told: The cause it comes to, as another witness tells more exactly; None where none does.
        nats: The most that each piece of its evidence may say beside what comes by chance; the loudest speaks for it.
        confirmed: The causes for which it speaks as loud as for its leading one, because others suspect them.
        is_explained: Whether it speaks for none but those, because it is certain that others suspect them.
    """

    signal: Signal
    evidence: tuple[Evidence, ...]
    loudness: float
    told: Cause | None = None
    nats: tuple[float, ...] = ()
    confirmed: frozenset[Cause] = frozenset()
    is_explained: bool = False

    @property
    def may_be_chance(self) -> bool:
        """Whether its like comes often enough that it may stand there by chance."""
        return max(self.nats, default=math.inf) < CERTAIN

    def weight(self, cause: Cause) -> float:
        """Return what it says for *cause*, in nats: everything for the cause that was told, where one was."""
        weights = self.signal.weights
        if cause is self.told or cause in self.confirmed:
            return max(weights.values(), default=0.0) * self.loudness
        return 0.0 if self.told is not None or self.is_explained else weights.get(cause, 0.0) * self.loudness


@dataclass(frozen=True, slots=True)
class Weighed:
    """The witnesses, the expected signals that are absent, what circumstances say, and how likely each cause is."""

    witnesses: tuple[Witness, ...]
    absent: tuple[Expectation, ...]
    remarks: tuple[Remark, ...]
    probabilities: Mapping[Cause, float]

    def by_likelihood(self) -> list[tuple[Cause, float]]:
        """Return causes with their probabilities, likeliest first; ties in the order of the names."""
        return sorted(self.probabilities.items(), key=lambda pair: (-pair[1], pair[0]))


def weigh(incident: Incident, knowledge: Knowledge, known: Circumstances) -> Weighed:
    """Return how likely each cause of *incident* is, by its evidence and what else is *known*."""
    witnesses = _witnesses(incident, knowledge, known)
    absent = _absent(witnesses, known.watched)
    beside = remarks((each for witness in witnesses for each in witness.evidence), knowledge, known)
    told = {cause for witness in witnesses for cause in witness.signal.weights}
    heard_of = [(witness, witness.may_be_chance) for witness in witnesses]
    scores, priors = {Cause.UNKNOWN: 0.0}, base_rates(Same(known.history))
    for cause in told.union(*(remark.weights for remark in beside)) - {Cause.UNKNOWN}:
        scores[cause] = _score(cause, heard_of, absent, beside) + priors[cause]
    if Cause.UNKNOWN in told:
        scores[Cause.UNKNOWN] = _score(Cause.UNKNOWN, heard_of, absent, beside)
    return Weighed(witnesses, absent, beside, _softmax(scores))


def _witnesses(incident: Incident, knowledge: Knowledge, known: Circumstances) -> tuple[Witness, ...]:
    by_meaning, outlived = _by_meaning(incident, knowledge, known.outlived_at)
    signals = {kind: knowledge[kind] for kind in by_meaning}
    roles = {kind: _role_beside(signals[kind], by_meaning) for kind in by_meaning}
    audible = _audible(incident.evidence, by_meaning, knowledge, known)
    loudest = {kind: heard(max(nats), signals[kind]) for kind, nats in audible.items()}
    faults = [kind for kind, role in roles.items() if role is Role.FAULT and loudest[kind] >= _SURE]
    first_fault = min((each.first_at for kind in faults for each in by_meaning[kind]), default=None)
    # A suspect that may stand there by chance explains no symptom: it has to speak louder than those.
    is_suspected = any(role is Role.SUSPECT and max(audible[kind]) >= CERTAIN for kind, role in roles.items())
    by_suspect = _EXPLAINED_BY_SUSPECT if is_suspected else _UNEXPLAINED

    told_by = {kind: _told(signals[kind], by_meaning, knowledge) for kind in by_meaning}
    # No fault explains away what says of it which one it is.
    told = (signals[kind].unless for kind, cause in told_by.items() if cause is not None)
    tells = {knowledge[found[0].kind].kind for kinds in told for found in _of_kinds(kinds, by_meaning)}
    confirmed = {kind: _confirmed(kind, by_meaning, signals, roles) for kind in by_meaning if signals[kind].confirms}
    tells |= set[str]().union(*confirmed.values())
    tells = {kind for kind in tells if roles[kind] is Role.SUSPECT}

    # What fell out of something else explains nothing itself.
    demoted = {kind for kind, role in roles.items() if role is Role.SYMPTOM and signals[kind].role is not Role.SYMPTOM}
    explaining = [kind for kind in by_meaning if kind not in demoted]

    def loudness(kind: str, found: Sequence[Evidence]) -> float:
        follows = any(
            _follows(kind, found, signals[other], by_meaning[other])
            or _says_more(other, by_meaning[other], kind, found)
            for other in explaining
            if other != kind
        )
        quieter = _FOLLOWS if follows or kind in demoted else 1.0
        return role_loudness(kind, found) * quieter * (_OUTLIVED if all(each.kind in outlived for each in found) else 1)

    def role_loudness(kind: str, found: Sequence[Evidence]) -> float:
        if first_fault is None or kind in tells or all(each.last_at < first_fault - CLOCK_SKEW for each in found):
            return by_suspect[roles[kind]]
        is_later = min(each.first_at for each in found) > first_fault + CLOCK_SKEW
        return (_EXPLAINED_BY_EARLIER if is_later else _EXPLAINED_BY_FAULT)[roles[kind]]

    def witness(kind: str, found: Sequence[Evidence]) -> Witness:
        heard_at, parts = loudness(kind, found) * loudest[kind], confirmed.get(kind, {})
        is_explained = any(max(audible[each]) >= CERTAIN for each in parts)
        causes = frozenset(parts.values())
        return Witness(signals[kind], tuple(found), heard_at, told_by[kind], audible[kind], causes, is_explained)

    return tuple(witness(kind, found) for kind, found in by_meaning.items())


def _by_meaning(
    incident: Incident, knowledge: Knowledge, outlived_at: datetime | None
) -> tuple[dict[str, list[Evidence]], frozenset[str]]:
    """Return the evidence by what it means, and the kinds that the job lived on after.

    Those are left out where what came nearer to the stop may be a cause.
    """
    fresh = [each for each in incident.evidence if outlived_at is None or each.last_at >= outlived_at - CLOCK_SKEW]
    is_told = any(_may_be_why(knowledge[each.kind]) for each in fresh)
    by_meaning: dict[str, list[Evidence]] = {}
    for evidence in fresh if is_told else incident.evidence:
        by_meaning.setdefault(knowledge[evidence.kind].kind, []).append(evidence)
    outlived = {each.kind for each in incident.evidence} - {each.kind for each in fresh}
    return by_meaning, frozenset() if is_told else frozenset(outlived)


def _may_be_why(signal: Signal) -> bool:
    """Return whether *signal* may tell of a cause by itself: what only confirms another is told after any of them."""
    return signal.role in (Role.FAULT, Role.SUSPECT) and not signal.confirms


def _audible(
    evidence: Sequence[Evidence],
    by_meaning: Mapping[str, Sequence[Evidence]],
    knowledge: Knowledge,
    known: Circumstances,
) -> dict[str, tuple[float, ...]]:
    """Return the most that each piece of evidence may say beside what comes by chance, by its kind."""
    near: dict[str, list[Evidence]] = {}
    for each in evidence:
        near.setdefault(each.component.node, []).append(each)
    first = first_to_end(evidence)
    ended_on = first.component.node if first is not None else ""
    return {
        kind: tuple(
            nats_at_most(each, knowledge, known, near[each.component.node], evidence, ended_on) for each in found
        )
        for kind, found in by_meaning.items()
    }


def _role_beside(signal: Signal, by_meaning: Mapping[str, Sequence[Evidence]]) -> Role:
    """Return the role of *signal* beside the other evidence: a symptom where it falls out of what came first."""
    if not (signal.after or signal.after_anywhere):
        return signal.role
    first = min(by_meaning[signal.kind], key=lambda evidence: evidence.first_at)
    on_its_node = (
        each
        for found in _of_kinds(signal.after, by_meaning)
        for each in found
        if each.component.node == first.component.node
    )
    anywhere = (each for found in _of_kinds(signal.after_anywhere, by_meaning) for each in found)
    follows = any(earlier.first_at <= first.first_at for earlier in (*on_its_node, *anywhere))
    return Role.SYMPTOM if follows else signal.role


def _told(signal: Signal, by_meaning: Mapping[str, Sequence[Evidence]], knowledge: Knowledge) -> Cause | None:
    """Return the cause that *signal* comes to by what says the same more exactly on its node; None without that."""
    if not signal.unless:
        return None
    said = [evidence.component for evidence in by_meaning[signal.kind]]
    nodes = {component.node for component in said}
    # What names an address is told only by who sits there.
    addresses = {_address(component) for component in said if component.kind is ComponentKind.SLOT and component.id}
    found = [
        evidence
        for pieces in _of_kinds(signal.unless, by_meaning)
        for evidence in pieces
        # An excerpt may not say on which node it was.
        if "" in nodes or evidence.component.node in {*nodes, ""}
        if not addresses or _address(evidence.component) in addresses
    ]
    # Of two of them, of which one follows from the other, that other is meant.
    explained = {kind for evidence in found for kind in knowledge[evidence.kind].explains}
    told = {
        (_meant(signal, knowledge[evidence.kind]), evidence.component)
        for evidence in found
        if explained.isdisjoint(kind_and_parents(evidence.kind))
    }
    causes, parts = {cause for cause, _ in told}, {part for _, part in told}
    # Where they disagree it stays open; and what strikes several parts at once sits in none of them.
    return causes.pop() if len(causes) == len(parts) == 1 else None


def _confirmed(
    confirming: str,
    by_meaning: Mapping[str, Sequence[Evidence]],
    signals: Mapping[str, Signal],
    roles: Mapping[str, Role],
) -> dict[str, Cause]:
    """Return the part that each other kind suspects on the nodes of the *confirming* one, which does not say which.

    Where faults are told there, what is only suspected beside them follows from those.
    """
    nodes = {each.component.node for each in by_meaning[confirming]}
    suspected = {
        kind: part
        for kind, found in by_meaning.items()
        if not signals[kind].confirms and roles[kind] in (Role.FAULT, Role.SUSPECT)
        if not nodes.isdisjoint(each.component.node for each in found)
        if (part := _meant(signals[confirming], signals[kind])) is not None
    }
    follow = {each for kind in suspected for each in signals[kind].explains}
    open_to_it = {kind: part for kind, part in suspected.items() if follow.isdisjoint(kind_and_parents(kind))}
    return {kind: part for kind, part in open_to_it.items() if roles[kind] is Role.FAULT} or open_to_it


def _meant(signal: Signal, special: Signal) -> Cause | None:
    """Return the cause that *special* speaks for most; beside a fault of a part its most likely part."""
    if signal.leading_cause not in HARDWARE_CAUSES:
        return special.leading_cause
    parts = {cause: weight for cause, weight in special.weights.items() if cause in HARDWARE_CAUSES}
    return max(parts, key=lambda cause: parts[cause], default=None)


def _address(component: Component) -> str:
    """Return the PCI address of *component* without its function."""
    return _PCI_FUNCTION.sub("", component.id.lower())


def _of_kinds(kinds: Iterable[str], by_meaning: Mapping[str, Sequence[Evidence]]) -> Iterator[Sequence[Evidence]]:
    """Yield the evidence of each of *kinds*, and of the more special ones under it."""
    wanted = tuple(kinds)
    for kind, found in by_meaning.items():
        if any(kind == each or kind.startswith(f"{each}.") for each in wanted):
            yield found


def _follows(kind: str, found: Sequence[Evidence], signal: Signal, reasons: Sequence[Evidence]) -> bool:
    """Return whether most of what was *found* of *kind* follows from *reasons*: of their nodes, if it names parts."""
    if not any(kind == each or kind.startswith(each + ".") for each in signal.explains):
        return False
    nodes = {each.component.node for each in reasons}
    # What holds no node of its own, as a switch, reaches any.
    named = [each for each in found if each.component.kind not in _WHO_SPEAKS] if "" not in nodes else []
    of_them = sum(each.count for each in named if each.component.node in nodes)
    return of_them * 2 >= sum(each.count for each in named)


def _says_more(special: str, told: Sequence[Evidence], kind: str, found: Sequence[Evidence]) -> bool:
    """Return whether *told*, of a *special* kind below *kind*, tells the same of the same parts more exactly."""
    if not special.startswith(f"{kind}.") or any(each.kind != kind for each in found):
        return False
    return {each.component for each in found} <= {each.component for each in told}


def _absent(witnesses: Iterable[Witness], watched: frozenset[str]) -> tuple[Expectation, ...]:
    """Return the expected signals that are not there although their source was watching."""
    witnesses = tuple(witnesses)
    told = {name for witness in witnesses for each in witness.evidence for name in kind_and_parents(each.kind)}
    expected = {
        expectation.kind: expectation
        for witness in witnesses
        if witness.loudness > 0
        for expectation in witness.signal.expects
        if expectation.source in watched
    }
    return tuple(each for each in expected.values() if told.isdisjoint((each.kind, *each.instead)))


def _score(
    cause: Cause,
    witnesses: Iterable[tuple[Witness, bool]],
    absent: Iterable[Expectation],
    beside: Iterable[Remark],
) -> float:
    """Return what *witnesses*, each with whether it may be chance, and all else say for *cause*."""
    weighed = [(witness, witness.weight(cause), may_be_chance) for witness, may_be_chance in witnesses]
    # One flap of a link is told by its driver, its port and NCCL: of what may be chance the loudest speaks for all.
    chance = sorted((weight for _, weight, may_be_chance in weighed if may_be_chance and weight > 0), reverse=True)[:1]
    certain = [weight for _, weight, may_be_chance in weighed if not may_be_chance]
    speaking_for = sorted((*chance, *(weight for weight in certain if weight > 0)), reverse=True)
    speaking_against = sum(_against([(witness, weight) for witness, weight, _ in weighed]))
    missing = sum(expectation.weights.get(cause, 0.0) for expectation in absent)
    supported = sum(weight / 2.0**place for place, weight in enumerate(speaking_for))
    return supported + speaking_against + missing + sum(remark.weights.get(cause, 0.0) for remark in beside)


def _against(weighed: Sequence[tuple[Witness, float]]) -> Iterator[float]:
    """Yield what speaks against a cause: what a node says of its parts is no word about those of another node."""
    speaking_for = [witness for witness, weight in weighed if weight > 0]
    for witness, weight in weighed:
        if weight < 0 and (not speaking_for or any(_is_of_one_node(witness, other) for other in speaking_for)):
            yield weight


def _is_of_one_node(one: Witness, other: Witness) -> bool:
    nodes = {_node_of_part(each.component) for each in one.evidence}
    return "" in nodes or not nodes.isdisjoint(_node_of_part(each.component) for each in other.evidence)


def _node_of_part(component: Component) -> str:
    return "" if component.kind in _WHO_SPEAKS else component.node


def _softmax(scores: Mapping[Cause, float]) -> dict[Cause, float]:
    highest = max(scores.values())
    odds = {cause: math.exp(score - highest) for cause, score in scores.items()}
    total = sum(odds.values())
    return {cause: value / total for cause, value in odds.items()}
