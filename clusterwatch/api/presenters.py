"""Records to what the page says about them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from clusterwatch.api import words
from clusterwatch.api.gathering import Explained
from clusterwatch.api.views import (
    AskedRow,
    Badge,
    ClosedRow,
    CollectorRow,
    EvidenceLine,
    IncidentCard,
    JobRow,
    Moment,
    NodeRow,
    PlanStep,
    PlanView,
    Tone,
)
from clusterwatch.goodput import account
from clusterwatch.model import (
    Cause,
    CollectorStatus,
    ComponentKind,
    Decision,
    Diagnosis,
    Edge,
    Incident,
    IncidentState,
    Interruption,
    JobState,
    Node,
    NodeState,
    Step,
    StepKind,
    StepState,
    Suspect,
    WeighedLine,
)
from clusterwatch.reading.text import printable
from clusterwatch.store import IncidentView, JobHistory

SILENT_AFTER = timedelta(minutes=2)
"""A collector that last looked longer ago does not look."""

_SHOWN_LINES = 6
_SHOWN_SUSPECTS = 3
_SHOWN_NAMES = 4
_LINE_LIMIT = 400

_INCIDENT_TONES = {
    IncidentState.ACTING: Tone.BUSY,
    IncidentState.RECOVERING: Tone.BUSY,
    IncidentState.DIAGNOSED: Tone.BAD,
}
_JOB_TONES = {
    JobState.TRAINING: Tone.GOOD,
    JobState.STARTING: Tone.BUSY,
    JobState.RECOVERING: Tone.BUSY,
    JobState.INTERRUPTED: Tone.BAD,
}
_NODE_TONES = {NodeState.SUSPECT: Tone.DOUBTFUL, NodeState.DRAINED: Tone.BAD, NodeState.SILENT: Tone.BAD}
_STEP_TONES = {
    StepState.DONE: Tone.GOOD,
    StepState.BEGUN: Tone.BUSY,
    StepState.FAILED: Tone.BAD,
    StepState.REFUSED: Tone.BAD,
    StepState.UNKNOWN: Tone.DOUBTFUL,
}

_TARGET_ARGUMENTS = {
    StepKind.EXCLUDE: "node",
    StepKind.READMIT: "node",
    StepKind.DRAIN: "node",
    StepKind.CHOOSE_CHECKPOINT: "checkpoint",
}
"""Which argument says on what a step acts, where it is not the step's target."""


def incident_card(view: IncidentView, job_names: Mapping[str, str], now: datetime) -> IncidentCard:
    """Return an open incident as people read it: the verdict before what it rests on."""
    incident, found = view.incident, view.diagnosis
    tone = _INCIDENT_TONES.get(incident.state, Tone.DOUBTFUL)
    return IncidentCard(
        id=incident.id,
        cause=words.CAUSES[found.cause] if found else "Not diagnosed yet",
        confidence=_sureness(found) if found else "collecting evidence",
        state=Badge(words.INCIDENT_STATES[incident.state], tone),
        opened=moment(incident.opened_at, now),
        suspects=tuple(_suspect(suspect) for suspect in found.suspects[:_SHOWN_SUSPECTS]) if found else (),
        jobs=_listed(job_names.get(job, job) for job in incident.jobs),
        explanation=_text(found.explanation) if found else "",
        advice=_text(found.advice) if found else "",
        alternatives=_alternatives(found) if found else "",
        evidence=_evidence(incident, found),
        absent=tuple(_text(signal) for signal in found.absent) if found else (),
        plan=_plan(view.decisions[-1]) if view.decisions else None,
        is_stale=incident.stale,
    )


def asked_row(decision: Decision, now: datetime) -> AskedRow:
    """Return what a person is asked."""
    return AskedRow(_text(decision.reason), decision.incident_id, moment(decision.made_at, now))


def job_row(history: JobHistory, explained: Iterable[Explained], now: datetime) -> JobRow:
    """Return a job as it stands, with its account of time up to *now*."""
    job = history.job
    ledger = account(job, history.attempts, history.interruptions, now, history.checkpoints)
    return JobRow(
        name=_text(job.name or job.id),
        id=_text(job.id),
        state=Badge(words.JOB_STATES[job.state], _JOB_TONES.get(job.state, Tone.QUIET)),
        step=_number(job.last_step),
        last_step=moment(job.last_step_at, now),
        checkpoint=_number(job.last_checkpoint_step),
        last_checkpoint=moment(job.last_checkpoint_at, now),
        ettr=words.percent(ledger.ettr),
        attempt=str(job.attempt),
        last_interruption=_interrupted(history, {incident.id: found for incident, found in explained}, now),
    )


def closed_row(incident: Incident, found: Diagnosis | None, job_names: Mapping[str, str], now: datetime) -> ClosedRow:
    """Return an incident that is over."""
    return ClosedRow(
        id=incident.id,
        cause=words.CAUSES[found.cause] if found else "Not diagnosed",
        confidence=_sureness(found) if found else words.DASH,
        suspect=_named(found.suspects[0]) if found and found.suspects else words.DASH,
        jobs=_listed(job_names.get(job, job) for job in incident.jobs) or words.DASH,
        closed=moment(incident.closed_at, now),
        lasted=words.duration((incident.closed_at or now) - incident.opened_at),
    )


def node_row(node: Node, now: datetime) -> NodeRow:
    """Return a node with why it is not simply in service."""
    badge = Badge(words.NODE_STATES[node.state], _NODE_TONES.get(node.state, Tone.GOOD))
    return NodeRow(_text(node.name), badge, _text(node.reason) or words.DASH, moment(node.seen_at, now))


def collector_badge(status: CollectorStatus, now: datetime) -> Badge:
    """Return how a collector does: failing, silent, a stated condition, or well."""
    if status.error:
        return Badge("failing", Tone.BAD)
    if status.last_run_at is not None and now - status.last_run_at > SILENT_AFTER:
        return Badge("not looking", Tone.DOUBTFUL)
    return Badge("nothing to see", Tone.QUIET) if status.condition else Badge("working", Tone.GOOD)


def collector_row(status: CollectorStatus, now: datetime) -> CollectorRow:
    """Return a collector with what it says about itself."""
    badge = collector_badge(status, now)
    silent = f"last looked {words.ago(status.last_run_at, now)}" if badge.tone is Tone.DOUBTFUL else ""
    said = _text(status.error or silent or status.condition) or words.DASH
    return CollectorRow(status.name, _text(status.node), badge, said, moment(status.last_success_at, now))


def moment(at: datetime | None, now: datetime) -> Moment:
    """Return a time as an age and in full."""
    return Moment(words.ago(at, now), words.stamp(at))


def _sureness(found: Diagnosis) -> str:
    if found.is_undetermined:
        return f"the evidence does not tell ({words.percent(found.confidence)})"
    return words.confidence(found.confidence)


def _suspect(suspect: Suspect) -> str:
    return f"{_named(suspect)} ({words.percent(suspect.score)} of the blame)"


def _named(suspect: Suspect) -> str:
    has_rank = suspect.rank is not None and suspect.component.kind is not ComponentKind.RANK
    return _text(f"{suspect.component}, rank {suspect.rank}" if has_rank else str(suspect.component))


def _alternatives(found: Diagnosis) -> str:
    return ", ".join(f"{words.CAUSES[other.cause]} {words.percent(other.confidence)}" for other in found.alternatives)


def _evidence(incident: Incident, found: Diagnosis | None) -> tuple[EvidenceLine, ...]:
    if found is not None and found.evidence:
        return tuple(_weighed(line) for line in found.evidence[:_SHOWN_LINES])
    seen = [(evidence, sample) for evidence in incident.evidence for sample in evidence.samples[:1]]
    return tuple(
        EvidenceLine(
            _text(sample.text),
            _place(sample.source, sample.origin, evidence.component.node),
            "",
            _times(evidence.count),
        )
        for evidence, sample in seen[:_SHOWN_LINES]
    )


def _weighed(line: WeighedLine) -> EvidenceLine:
    speaks = "against" if line.weight < 0 else "for"
    return EvidenceLine(_text(line.text), _place(line.source, line.origin, line.node), speaks, _times(line.count))


def _place(source: str, origin: str, node: str) -> str:
    place = f"{source}, {origin}" if origin else source
    return _text(f"{place} on {node}" if node and node not in place else place)


def _times(count: int) -> str:
    return f"{count:,} times" if count > 1 else ""


def _plan(decision: Decision) -> PlanView:
    steps = tuple(_step(step) for step in decision.steps)
    return PlanView(words.MODES[decision.mode], _text(decision.reason), steps)


def _step(step: Step) -> PlanStep:
    state = Badge(words.STEP_STATES[step.state], _STEP_TONES.get(step.state, Tone.QUIET))
    target = step.arguments.get(_TARGET_ARGUMENTS.get(step.kind, ""), step.target)
    return PlanStep(words.STEPS[step.kind], _text(str(target)), state, _text(step.detail))


def _interrupted(history: JobHistory, found: Mapping[str, Diagnosis | None], now: datetime) -> str:
    if not history.interruptions:
        return "none"
    last = history.interruptions[-1]
    began, ended = min(last.edges.values(), default=None), last.edges.get(Edge.FIRST_NEW_STEP)
    if began is None:
        return _cause_of(last, found)
    lasted = f"lasted {words.duration(ended - began)}" if ended else f"down for {words.duration(now - began)}"
    return f"{_cause_of(last, found)}, {words.ago(began, now)}, {lasted}"


def _cause_of(interruption: Interruption, found: Mapping[str, Diagnosis | None]) -> str:
    if interruption.planned:
        return "planned"
    diagnosis = found.get(interruption.incident_id or "")
    return words.CAUSES[diagnosis.cause if diagnosis else Cause.UNKNOWN]


def _listed(names: Iterable[str]) -> str:
    every = [_text(name) for name in names]
    more = f" and {len(every) - _SHOWN_NAMES} more" if len(every) > _SHOWN_NAMES else ""
    return ", ".join(every[:_SHOWN_NAMES]) + more


def _number(value: int | None) -> str:
    return words.DASH if value is None else f"{value:,}"


def _text(text: str) -> str:
    """Return text from outside without control characters, which escaping leaves in, and of bearable length."""
    return printable(text, _LINE_LIMIT)
