"""What the pipeline made of a trace, held against what really happened.

The rules:

1. A strike is what ended an attempt of the job as the world knows it. What was decided about that attempt is what the
   pipeline made of it; where nothing was decided, the incident that explains its interruption.
2. A diagnosis is right when it names the row of Table 5 that the cause belongs to.
3. Only first strikes are classified; a part that strikes again because it was left in the job is a repeat.
4. A drained node is healthy when nothing had struck it, its switch or its power domain.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil

from clusterwatch import pipeline
from clusterwatch.model import (
    TABLE5_ROW,
    UNDETERMINED_CAUSES,
    Attempt,
    Cause,
    Decision,
    Diagnosis,
    Edge,
    Event,
    Interruption,
    Mode,
    StepKind,
    StepState,
    kinds,
)
from clusterwatch.store import JobView, Store

DOWN_WITHOUT_STEP = timedelta(minutes=30)
"""A job that was down this long without anything being done about it was somebody's work."""

_BY_PERSON = frozenset({StepKind.ASK.value, StepKind.STOP.value})
"""Steps after which somebody has to look: a job that was stopped does not come back by itself."""

_CARRIED_OUT = frozenset({StepState.DONE, StepState.FAILED, StepState.UNKNOWN})

NOTHING = "nothing"
"""What a strike was diagnosed as that left no interruption on record."""


@dataclass(frozen=True, slots=True)
class Strike:
    """What really stopped the job, as the truth file has it; times in UTC. Harm: crash, hang, slow, corrupt or ""."""

    id: str
    cause: Cause
    planned: bool
    attempt: int
    nodes: frozenset[str]
    neighbours: frozenset[str]
    struck_at: datetime
    interrupted_at: datetime
    repeat_of: str
    unseen_wording: bool
    harm: str = ""

    @property
    def is_first(self) -> bool:
        """Whether it is an unexpected interruption of its own, and no repeat."""
        return not self.planned and not self.repeat_of


def strikes_in(lines: Iterable[str], start: datetime) -> list[Strike]:
    """Return the strikes in the *lines* of a truth file, whose seconds count from *start*.

    Every line has id, cause, attempt and interrupted; what else it may have is written by a replay.
    """
    found = []
    for line in lines:
        told = json.loads(line)
        found.append(
            Strike(
                id=told["id"],
                cause=Cause(told["cause"]),
                planned=told.get("planned", False),
                attempt=told["attempt"],
                nodes=frozenset(told.get("nodes", ())),
                neighbours=frozenset(told.get("neighbours", ())),
                struck_at=start + timedelta(seconds=told.get("struck", told["interrupted"])),
                interrupted_at=start + timedelta(seconds=told["interrupted"]),
                repeat_of=told.get("repeat_of", ""),
                unseen_wording=told.get("unseen_wording", False),
                harm=told.get("harm", ""),
            )
        )
    return found


@dataclass(frozen=True, slots=True)
class Judged:
    """A strike with what is on record of it; None where nothing is."""

    strike: Strike
    diagnosis: Diagnosis | None
    noticed_at: datetime | None
    decided_at: datetime | None
    recovered_at: datetime | None

    @property
    def said(self) -> str:
        """The cause that was named."""
        return self.diagnosis.cause.value if self.diagnosis else NOTHING

    @property
    def is_right(self) -> bool:
        """Whether the row of Table 5 was named."""
        return self.diagnosis is not None and TABLE5_ROW[self.diagnosis.cause] == TABLE5_ROW[self.strike.cause]

    @property
    def is_located(self) -> bool:
        """Whether the first suspect is the struck part, its node, or another that hangs on what broke."""
        if self.diagnosis is None or not self.diagnosis.suspects:
            return False
        component = self.diagnosis.suspects[0].component
        return bool({component.node, component.id} & (self.strike.nodes | self.strike.neighbours))

    @property
    def is_mislocated(self) -> bool:
        """Whether a node is named that has nothing to do with it."""
        is_named = self.diagnosis is not None and any(each.component.node for each in self.diagnosis.suspects[:1])
        return is_named and not self.is_located


@dataclass(frozen=True, slots=True)
class CauseScore:
    """How one cause fared: counts of first strikes, right diagnoses, and first suspects that are right and wrong."""

    injected: int
    correct: int
    diagnosed_as: dict[str, int]
    located: int
    mislocated: int


@dataclass(frozen=True, slots=True)
class Classification:
    """How often the diagnosis was right, over the unexpected interruptions."""

    accuracy: float | None
    macro_f1: float | None
    unseen_wording_accuracy: float | None
    culprit_node_accuracy: float | None
    unknown: int
    by_cause: dict[str, CauseScore]


@dataclass(frozen=True, slots=True)
class Automation:
    """What was done, and what of it was wrong. Excluded is what one job goes on without, drained what nobody gets.

    Healthy nodes are None where nobody knows what really happened.
    """

    manual_interventions: int
    decisions: int
    healthy_nodes_drained: int | None
    healthy_nodes_excluded: int | None
    false_restarts: int
    nodes_drained: int
    nodes_excluded: int


@dataclass(frozen=True, slots=True)
class Goodput:
    """Where the time went."""

    ettr: float | None
    ettr_unplanned: float | None
    lost_gpu_hours_by_reason: dict[str, float]
    lost_gpu_hours_by_cause: dict[str, float]


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Of times in seconds; None where there are none."""

    p50: float | None
    p95: float | None
    p99: float | None


@dataclass(frozen=True, slots=True)
class Detected(Quantiles):
    """Until it was noticed that the job had stopped."""

    by_harm: dict[str, Quantiles]


@dataclass(frozen=True, slots=True)
class Decided(Quantiles):
    """Until it was decided what to do about it, from when the job stopped, and from when that was noticed."""

    since_noticed: Quantiles


@dataclass(frozen=True, slots=True)
class Score:
    """Everything that a replay shows."""

    interruptions: dict[str, int]
    classification: Classification
    automation: Automation
    goodput: Goodput
    latency_seconds: dict[str, Quantiles]
    judged: tuple[Judged, ...] = field(repr=False)


def score(
    store: Store,
    job_id: str,
    strikes: Sequence[Strike] | None,
    now: datetime,
    manual_total: int,
    diverged_at: datetime | None = None,
) -> Score:
    """Return how the pipeline fared on the job that *strikes* stopped; *now* is the end of the trace.

    Args:
        strikes: None where nobody knows what really happened: interruptions are then those on record.
        manual_total: Restarts that were a person's work in the simulated cluster.
        diverged_at: What was done from then on, and where the time went, counts for nothing.
    """
    view = store.read.job(job_id)
    assert view is not None, f"no job {job_id} on record"
    decisions = sorted(store.read.decisions(limit=1_000_000), key=lambda decision: decision.made_at)
    judged = _judged(strikes or (), view, decisions)
    done = [event for _, event in store.read.events(kind=kinds.STEP_CHANGED, limit=1_000_000)]
    if diverged_at is not None:
        decisions = [each for each in decisions if each.made_at < diverged_at]
        done = [event for event in done if event.happened_at < diverged_at]
    return Score(
        interruptions=_counts(strikes) if strikes is not None else _counts_on_record(view.interruptions),
        classification=_classified([each for each in judged if each.strike.is_first]),
        automation=_automation(view, strikes, decisions, done, manual_total),
        goodput=_goodput(view, now, diverged_at or now),
        latency_seconds=_latencies([each for each in judged if each.strike.is_first]),
        judged=tuple(judged),
    )


def _counts(strikes: Sequence[Strike]) -> dict[str, int]:
    planned = sum(strike.planned for strike in strikes)
    unexpected = sum(strike.is_first for strike in strikes)
    repeats = len(strikes) - planned - unexpected
    return {"total": planned + unexpected, "planned": planned, "unexpected": unexpected, "repeats": repeats}


def _counts_on_record(stops: Sequence[Interruption]) -> dict[str, int]:
    planned = sum(stop.planned for stop in stops)
    return {"total": len(stops), "planned": planned, "unexpected": len(stops) - planned, "repeats": 0}


def _judged(strikes: Sequence[Strike], view: JobView, decisions: Sequence[Decision]) -> list[Judged]:
    diagnoses = {incident.id: diagnosis for incident, diagnosis in view.incidents}
    explaining = {stop.attempt: stop.incident_id for stop in view.interruptions}
    explaining |= {each.attempt: each.incident_id for each in decisions if each.attempt and each.job_id == view.job.id}
    attempts = {attempt.number: attempt for attempt in view.attempts}
    recovered = _recoveries(view.attempts)
    return [
        Judged(
            strike,
            diagnoses.get(explaining.get(strike.attempt) or ""),
            noticed_at=attempts[strike.attempt].interrupted_at if strike.attempt in attempts else None,
            decided_at=attempts[strike.attempt].decided_at if strike.attempt in attempts else None,
            recovered_at=recovered.get(strike.attempt),
        )
        for strike in strikes
    ]


def _recoveries(attempts: Sequence[Attempt]) -> dict[int, datetime]:
    """Return when the job made a new step after each attempt, by its number."""
    found: dict[int, datetime] = {}
    after: datetime | None = None
    for attempt in reversed(attempts):
        if after is not None:
            found[attempt.number] = after
        after = attempt.first_new_step_at or after
    return found


def _began(interruption: Interruption) -> datetime:
    return min(interruption.edges.values())


def _classified(judged: Sequence[Judged]) -> Classification:
    located = [each for each in judged if each.strike.nodes]
    return Classification(
        accuracy=_share(each.is_right for each in judged),
        macro_f1=_macro_f1(judged),
        unseen_wording_accuracy=_share(each.is_right for each in judged if each.strike.unseen_wording),
        culprit_node_accuracy=_share(each.is_located for each in located),
        unknown=sum(each.diagnosis is None or each.diagnosis.cause in UNDETERMINED_CAUSES for each in judged),
        by_cause={cause.value: _of_cause(judged, cause) for cause in Cause if _of_cause(judged, cause).injected},
    )


def _of_cause(judged: Sequence[Judged], cause: Cause) -> CauseScore:
    of_it = [each for each in judged if each.strike.cause is cause]
    said = Counter(each.said for each in of_it)
    return CauseScore(
        injected=len(of_it),
        correct=sum(each.is_right for each in of_it),
        diagnosed_as=dict(said.most_common()),
        located=sum(each.is_located for each in of_it),
        mislocated=sum(each.is_mislocated for each in of_it),
    )


def _macro_f1(judged: Sequence[Judged]) -> float | None:
    """Return the mean of the F1 of the rows of Table 5 that were injected."""
    told = [(row_of(each.strike.cause), row_of(each.diagnosis.cause) if each.diagnosis else NOTHING) for each in judged]
    rows = sorted({true for true, _ in told})
    return _mean([_f1(told, row) for row in rows])


def _f1(told: Sequence[tuple[str, str]], row: str) -> float:
    right = sum(true == said == row for true, said in told)
    wrong = sum((true == row) != (said == row) for true, said in told)
    return 2 * right / (2 * right + wrong)


def row_of(cause: Cause) -> str:
    """Return the name of the row of Table 5 that *cause* belongs to, else its own."""
    row = TABLE5_ROW[cause]
    return row.name if row else cause.value


def _automation(
    view: JobView,
    strikes: Sequence[Strike] | None,
    decisions: Sequence[Decision],
    done: Sequence[Event],
    manual_total: int,
) -> Automation:
    ended = [event for event in done if event.fields.get("state") == StepState.DONE]
    drained = [event for event in ended if event.fields.get("step_kind") == StepKind.DRAIN]
    excluded = [event for event in ended if event.fields.get("step_kind") == StepKind.EXCLUDE]
    asked = {event.fields.get("step_id") for event in ended if event.fields.get("step_kind") in _BY_PERSON}
    restarts = [event for event in ended if event.fields.get("step_kind") == StepKind.REQUEUE]
    return Automation(
        manual_interventions=len(asked)
        + len(_to_approve(decisions))
        + manual_total
        + _left_alone(view, decisions, ended),
        decisions=sum(any(step.state in _CARRIED_OUT for step in decision.steps) for decision in decisions),
        healthy_nodes_drained=_healthy_total(drained, strikes),
        healthy_nodes_excluded=_healthy_total(excluded, strikes),
        false_restarts=sum(bool(event.fields.get("could_train")) for event in restarts),
        nodes_drained=len({event.fields.get("node") for event in drained}),
        nodes_excluded=len({event.fields.get("node") for event in excluded}),
    )


def _healthy_total(out: Iterable[Event], strikes: Sequence[Strike] | None) -> int | None:
    return None if strikes is None else len(_healthy(out, strikes))


def _healthy(out: Iterable[Event], strikes: Sequence[Strike]) -> set[str]:
    return {str(event.fields.get("node")) for event in out if not _was_struck(event, strikes)}


def _was_struck(event: Event, strikes: Sequence[Strike]) -> bool:
    node = event.fields.get("node")
    return any(strike.struck_at <= event.happened_at and node in strike.neighbours | strike.nodes for strike in strikes)


def _to_approve(decisions: Sequence[Decision]) -> set[str]:
    """Return the decisions that waited for a person."""
    return {decision.id for decision in decisions if decision.mode is Mode.APPROVE and decision.steps}


def _left_alone(view: JobView, decisions: Sequence[Decision], ended: Sequence[Event]) -> int:
    """Count the interruptions that lasted long and that no step ended."""
    acted = {event.fields.get("step_id") for event in ended}
    by_incident: dict[str | None, bool] = {}
    for decision in decisions:
        is_acted = any(step.id in acted or decision.mode is Mode.APPROVE for step in decision.steps)
        by_incident[decision.incident_id] = by_incident.get(decision.incident_id, False) or is_acted
    return sum(
        _lasted(stop) >= DOWN_WITHOUT_STEP and not by_incident.get(stop.incident_id, False)
        for stop in view.interruptions
    )


def _lasted(stop: Interruption) -> timedelta:
    return max(stop.edges.values()) - _began(stop)


def _goodput(view: JobView, now: datetime, until: datetime) -> Goodput:
    whole = pipeline.account(view.job, view.attempts, view.interruptions, now, view.checkpoints, view.progress)
    ledger = whole.between(view.job.started_at, until)
    seconds = {reason.value: spent for reason, spent in ledger.seconds_by_reason().items()}
    productive = seconds.pop("productive", 0.0)
    gpus = max(view.job.gpus, 1)
    by_cause: dict[str, float] = {}
    diagnoses = {incident.id: diagnosis for incident, diagnosis in view.incidents}
    for stop in view.interruptions:
        diagnosis = diagnoses.get(stop.incident_id or "")
        lost = ledger.between(_began(stop), stop.edges.get(Edge.FIRST_NEW_STEP, now)).lost_seconds
        name = diagnosis.cause.value if diagnosis else NOTHING
        by_cause[name] = by_cause.get(name, 0.0) + lost * gpus / 3600
    unplanned = ledger.elapsed_seconds - seconds.get("planned", 0.0)
    return Goodput(
        ettr=ledger.ettr,
        ettr_unplanned=productive / unplanned if unplanned else None,
        lost_gpu_hours_by_reason={reason: lost * gpus / 3600 for reason, lost in sorted(seconds.items())},
        lost_gpu_hours_by_cause=dict(sorted(by_cause.items(), key=lambda pair: -pair[1])),
    )


def _latencies(judged: Sequence[Judged]) -> dict[str, Quantiles]:
    return {
        "detect": _detected(judged),
        "decide": _decided(judged),
        "recover": _quantiles(_waits((each.strike.interrupted_at, each.recovered_at) for each in judged)),
    }


def _detected(judged: Sequence[Judged]) -> Detected:
    harms = sorted({each.strike.harm for each in judged} - {""})
    by_harm = {harm: _noticed([each for each in judged if each.strike.harm == harm]) for harm in harms}
    noticed = _noticed(judged)
    return Detected(noticed.p50, noticed.p95, noticed.p99, by_harm)


def _noticed(judged: Sequence[Judged]) -> Quantiles:
    return _quantiles(_waits((each.strike.interrupted_at, each.noticed_at) for each in judged))


def _decided(judged: Sequence[Judged]) -> Decided:
    # What was noticed before the job stopped is decided on from there.
    noticed = (
        (max(each.noticed_at or each.strike.interrupted_at, each.strike.interrupted_at), each) for each in judged
    )
    since_noticed = _quantiles(_waits((at, each.decided_at) for at, each in noticed))
    decided = _quantiles(_waits((each.strike.interrupted_at, each.decided_at) for each in judged))
    return Decided(decided.p50, decided.p95, decided.p99, since_noticed)


def _waits(pairs: Iterable[tuple[datetime, datetime | None]]) -> list[float]:
    waits = ((until - since) / timedelta(seconds=1) for since, until in pairs if until is not None)
    return sorted(max(wait, 0.0) for wait in waits)


def _quantiles(values: Sequence[float]) -> Quantiles:
    def at(share: float) -> float | None:
        return round(values[max(ceil(share * len(values)) - 1, 0)], 3) if values else None

    return Quantiles(at(0.5), at(0.95), at(0.99))


def _share(outcomes: Iterable[bool]) -> float | None:
    return _mean([float(outcome) for outcome in outcomes])


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
