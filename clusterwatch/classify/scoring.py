"""How often a diagnosis is right: predictions against cases whose cause is known.

1. A prediction is right when it names the case's cause; leniently, also when it names one that is acceptable too.
2. `unknown` says the same as `nccl_timeout_unknown`: the evidence does not tell.
3. Precision and recall take an acceptable prediction for the cause itself: what an operator would not call wrong is no
   confusion. Causes with few cases are pooled, because one case would swing their figure.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from clusterwatch.model import HARDWARE_CAUSES, Cause, ComponentKind, Suspect

FEW_CASES = 5
"""Causes with fewer cases than this are pooled in the macro-average."""

RELIABILITY_EDGES = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)

_PCI_FUNCTION = re.compile(r"\.[0-7]$")


@dataclass(frozen=True, slots=True)
class Culprit:
    """A component that is to blame, as a label names it; what the label leaves out is None."""

    kind: str
    id: str
    node: str | None = None
    gpu: str | None = None
    rank: int | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """What a log excerpt is known to show.

    Attributes:
        culprits: Any of them is right; empty where the label names none.
        source: Where it comes from (URL); "" where that is not told.
    """

    id: str
    text: str
    cause: Cause
    also_acceptable: frozenset[Cause] = frozenset()
    culprits: tuple[Culprit, ...] = ()
    source: str = ""

    def accepts(self, cause: Cause) -> bool:
        """Return whether *cause* is the case's or acceptable too."""
        return _counted_as(cause) in {_counted_as(each) for each in (self.cause, *self.also_acceptable)}


@dataclass(frozen=True, slots=True)
class Prediction:
    """What was said of a case: cause, how sure (0-1), whom to blame, most suspect first."""

    cause: Cause
    confidence: float
    suspects: tuple[Suspect, ...] = ()


@dataclass(frozen=True, slots=True)
class Answered:
    """A case and what was said of it."""

    case: Case
    prediction: Prediction

    @property
    def is_right(self) -> bool:
        """Whether the cause is the case's."""
        return _counted_as(self.prediction.cause) is _counted_as(self.case.cause)

    @property
    def is_acceptable(self) -> bool:
        """Whether the cause is the case's or acceptable too."""
        return self.case.accepts(self.prediction.cause)

    @property
    def blames_hardware_falsely(self) -> bool:
        """Whether a part was blamed where no part may be."""
        return self.prediction.cause in HARDWARE_CAUSES and not self.may_blame_hardware

    @property
    def may_blame_hardware(self) -> bool:
        """Whether any acceptable cause is a broken part."""
        return bool(HARDWARE_CAUSES & {self.case.cause, *self.case.also_acceptable})

    @property
    def names_culprit(self) -> bool:
        """Whether the first suspect is one of the culprits."""
        first = next(iter(self.prediction.suspects), None)
        return first is not None and any(is_named(culprit, first) for culprit in self.case.culprits)


Counted = Callable[[Answered], tuple[str, str]]
"""What a case is and what it was said to be, as the counts name them."""


@dataclass(frozen=True, slots=True)
class Tally:
    """One cause: cases that have it, predictions of it, and both at once."""

    cases: int
    predicted: int
    correct: int

    @property
    def precision(self) -> float:
        """Share of its predictions that are right; 0 without any."""
        return _share(self.correct, self.predicted)

    @property
    def recall(self) -> float:
        """Share of its cases that are found; 0 without any."""
        return _share(self.correct, self.cases)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return _share(2 * self.correct, self.cases + self.predicted)


@dataclass(frozen=True, slots=True)
class Bin:
    """Predictions whose confidence is from *low* to below *high*: how sure they were, and how often right.

    Attributes:
        right: Share that named the cause or an acceptable one.
        exact: Share that named the very cause of the case: what the confidence estimates.
    """

    low: float
    high: float
    n: int
    confidence: float
    right: float
    exact: float


@dataclass(frozen=True, slots=True)
class Scores:
    """All figures of one evaluation; shares are 0-1.

    Attributes:
        by_cause: Per cause, leniently.
        macro_f1: Over the causes with `FEW_CASES` or more and the pool of the others, leniently as `by_cause`.
        macro_f1_strict: The same, where an acceptable prediction that is not the cause is a confusion.
        confusion: Cause of the case to cause predicted to count, strictly.
        false_hardware_blame: Of the cases where no part may be blamed.
        culprit_accuracy: Of the cases that have a culprit.
    """

    n: int
    top1: float
    top1_lenient: float
    macro_f1: float
    macro_f1_strict: float
    false_hardware_blame: float
    culprit_accuracy: float
    by_cause: Mapping[str, Tally]
    confusion: Mapping[str, Mapping[str, int]]
    reliability: tuple[Bin, ...]


def score(answers: Iterable[Answered]) -> Scores:
    """Return how well *answers* fit their cases."""
    answered = tuple(answers)
    by_cause = _tallies(answered, _lenient)
    unblamed = [each for each in answered if not each.may_blame_hardware]
    with_culprit = [each for each in answered if each.case.culprits]
    return Scores(
        n=len(answered),
        top1=_share(sum(each.is_right for each in answered), len(answered)),
        top1_lenient=_share(sum(each.is_acceptable for each in answered), len(answered)),
        macro_f1=_macro_f1(by_cause),
        macro_f1_strict=_macro_f1(_tallies(answered, _strict)),
        false_hardware_blame=_share(sum(each.blames_hardware_falsely for each in unblamed), len(unblamed)),
        culprit_accuracy=_share(sum(each.names_culprit for each in with_culprit), len(with_culprit)),
        by_cause=by_cause,
        confusion=_confusion(answered),
        reliability=_reliability(answered),
    )


def is_named(culprit: Culprit, suspect: Suspect) -> bool:
    """Return whether *suspect* is *culprit*: the same rank, the same node, or a part of one kind and name."""
    component = suspect.component
    if culprit.rank is not None:
        own = component.id if component.kind is ComponentKind.RANK else suspect.rank
        return str(own) == str(culprit.rank)
    if culprit.kind == ComponentKind.NODE:
        return _plain(culprit.node or culprit.id) in {_plain(component.node), _plain(component.id)}
    names = {_plain(name) for name in (culprit.id, culprit.gpu) if name}
    if suspect.gpu is not None and culprit.kind == ComponentKind.GPU and _plain(suspect.gpu) in names:
        return True
    return component.kind.value == culprit.kind and _plain(component.id) in names


def _plain(name: str) -> str:
    return _PCI_FUNCTION.sub("", name.strip().lower())


def _counted_as(cause: Cause) -> Cause:
    return Cause.NCCL_TIMEOUT_UNKNOWN if cause is Cause.UNKNOWN else cause


def _lenient(answered: Answered) -> tuple[str, str]:
    label, said = _strict(answered)
    return label, label if answered.is_acceptable else said


def _strict(answered: Answered) -> tuple[str, str]:
    return _counted_as(answered.case.cause).value, _counted_as(answered.prediction.cause).value


def _macro_f1(by_cause: Mapping[str, Tally]) -> float:
    common = [tally for tally in by_cause.values() if tally.cases >= FEW_CASES]
    rare = [tally for tally in by_cause.values() if tally.cases < FEW_CASES]
    # Summed, not counted again: one rare cause taken for another is wrong inside the pool as well.
    pool = Tally(*(sum(getattr(tally, name) for tally in rare) for name in ("cases", "predicted", "correct")))
    return _mean([tally.f1 for tally in (*common, pool) if tally.cases])


def _tallies(answered: Iterable[Answered], counted: Counted) -> dict[str, Tally]:
    cases, predicted, correct = Counter[str](), Counter[str](), Counter[str]()
    for label, said in map(counted, answered):
        cases[label] += 1
        predicted[said] += 1
        correct[label] += said == label
    names = sorted(cases.keys() | predicted.keys(), key=lambda name: (-cases[name], name))
    return {name: Tally(cases[name], predicted[name], correct[name]) for name in names}


def _confusion(answered: Iterable[Answered]) -> dict[str, dict[str, int]]:
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for each in answered:
        counts[_counted_as(each.case.cause).value][_counted_as(each.prediction.cause).value] += 1
    return {label: dict(counts[label].most_common()) for label in sorted(counts)}


def _reliability(answered: Sequence[Answered]) -> tuple[Bin, ...]:
    return tuple(
        _bin(low, high, [each for each in answered if low <= each.prediction.confidence < high or _is_top(each, high)])
        for low, high in pairwise(RELIABILITY_EDGES)
    )


def _is_top(answered: Answered, high: float) -> bool:
    return answered.prediction.confidence == high == RELIABILITY_EDGES[-1]


def _bin(low: float, high: float, held: Sequence[Answered]) -> Bin:
    return Bin(
        low,
        high,
        len(held),
        _mean([each.prediction.confidence for each in held]),
        _share(sum(each.is_acceptable for each in held), len(held)),
        _share(sum(each.is_right for each in held), len(held)),
    )


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
