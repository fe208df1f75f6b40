"""A job and one of its interruptions to the page for three in the morning.

What stopped it, which part, how sure, on what evidence, what was done, what it cost, and what is left to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from clusterwatch.app.reckoning import whole_ledger
from clusterwatch.cli.output import encode
from clusterwatch.cli.page import Page, Phrase, Section, Tone, good, quiet
from clusterwatch.cli.views.cost import cost_json, cost_of, cost_words, ledger_json, ledger_words
from clusterwatch.cli.views.decisions import decision_json, decision_parts
from clusterwatch.cli.views.diagnosis import (
    NOT_DIAGNOSED,
    diagnosis_json,
    evidence_section,
    how_sure,
    rank_of,
    which_part,
)
from clusterwatch.cli.views.incidents import what_to_do
from clusterwatch.cli.views.interruptions import interruption_json
from clusterwatch.cli.views.jobs import job_head, job_json
from clusterwatch.cli.wording import age, amount, duration, or_dash, stamp
from clusterwatch.goodput import Ledger, began_at
from clusterwatch.model import Attempt, Decision, Diagnosis, Edge, Interruption, Placement, Suspect

if TYPE_CHECKING:
    from clusterwatch.store import IncidentView, JobView


@dataclass(frozen=True, slots=True)
class Why:
    """Everything the answer is made of. *interruption* is None for a job that was never interrupted."""

    view: JobView
    interruption: Interruption | None
    incident: IncidentView | None
    now: datetime

    @property
    def ledger(self) -> Ledger:
        """Where the job's time went."""
        return whole_ledger(self.view, self.now)

    @property
    def cost(self) -> Ledger | None:
        """What the interruption took of it."""
        if self.interruption is None:
            return None
        return cost_of(self.interruption, self.ledger)

    @property
    def diagnosis(self) -> Diagnosis | None:
        """The latest diagnosis; its suspects with the places of their ranks."""
        diagnosis = self.incident.diagnosis if self.incident else None
        if diagnosis is None or self.interruption is None:
            return diagnosis
        number = self.interruption.attempt
        places = {each.rank: each for each in self.view.placements if each.attempt == number}
        told = [each for each in self.view.attempts if each.number == number]
        for rank in {rank_of(suspect) for suspect in diagnosis.suspects} - places.keys() - {None}:
            found = [place for each in told if rank is not None and (place := each.placement(rank))]
            places |= {place.rank: place for place in found}
        return replace(diagnosis, suspects=tuple(_placed(suspect, places) for suspect in diagnosis.suspects))

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """What was decided about this job because of the incident, oldest first."""
        made = self.incident.decisions if self.incident else ()
        return tuple(decision for decision in made if decision.job_id in (None, self.view.job.id))

    @property
    def resumed(self) -> Attempt | None:
        """The last attempt that was started to end the interruption."""
        if self.interruption is None:
            return None
        until = self.interruption.edges.get(Edge.FIRST_NEW_STEP, self.now)
        later = [each for each in self.view.attempts if each.number > self.interruption.attempt]
        return next((each for each in reversed(later) if each.started_at <= until), None)


def interruption_of(interruptions: Sequence[Interruption], incident: str | None = None) -> Interruption | None:
    """Return the latest of *interruptions* (oldest first), or the latest that belongs to *incident* (an id's start)."""
    if incident is None:
        return interruptions[-1] if interruptions else None
    starts = (incident, f"inc-{incident}")
    return next((each for each in reversed(interruptions) if (each.incident_id or "").startswith(starts)), None)


def why_json(why: Why) -> dict[str, Any]:
    """Return the answer for scripts."""
    return {
        "job": job_json(why.view.job),
        "interruption": interruption_json(why.interruption) if why.interruption else None,
        "incident": why.incident.incident.id if why.incident else None,
        "diagnosis": diagnosis_json(why.diagnosis),
        "decisions": [decision_json(decision) for decision in why.decisions],
        "resumed": _resumed_json(why.resumed),
        "cost": cost_json(why.cost),
        "ledger": ledger_json(why.ledger),
    }


def why_page(why: Why) -> Page:
    """Return the answer for a person who was just woken up."""
    head = job_head(why.view.job, why.now)
    if why.interruption is None:
        return (head, _never_interrupted(why), Section("WHAT IT COST", ledger_words(why.ledger)))
    return (
        head,
        _what_stopped_it(why, why.interruption),
        which_part(why.diagnosis),
        how_sure(why.diagnosis),
        evidence_section(why.diagnosis),
        _what_was_done(why),
        _what_it_cost(why),
        _left_to_do(why),
    )


def _never_interrupted(why: Why) -> Section:
    lines: list[str | Phrase] = [good("nothing: this job was never interrupted")]
    lines += [
        f"{incident.id} touches it without stopping it: {diagnosis.cause.value if diagnosis else NOT_DIAGNOSED}"
        for incident, diagnosis in why.view.incidents
    ]
    return Section("WHAT STOPPED IT", tuple(lines))


def _what_stopped_it(why: Why, interruption: Interruption) -> Section:
    lines: list[str | Phrase] = [
        why.diagnosis.explanation if why.diagnosis else quiet(NOT_DIAGNOSED),
        _when_it_stopped(why, interruption),
        _is_it_over(why, interruption),
    ]
    if len(why.view.interruptions) > 1:
        known = dict.fromkeys(or_dash(each.incident_id) for each in why.view.interruptions)
        lines.append(
            quiet(f"{amount(len(why.view.interruptions), 'interruption')}; choose with --incident: {', '.join(known)}")
        )
    return Section("WHAT STOPPED IT", tuple(lines))


def _when_it_stopped(why: Why, interruption: Interruption) -> str:
    began = began_at(interruption) if interruption.edges else None
    when = f"{stamp(began)} ({age(began, why.now)})"
    trained = Edge.LAST_STEP in interruption.edges
    what = f"trained until {when}, step {interruption.highest_step}" if trained else f"stopped {when} before any step"
    incident = f"; incident {why.incident.incident.id}" if why.incident else ""
    return f"attempt {interruption.attempt} {what}{incident}"


def _is_it_over(why: Why, interruption: Interruption) -> Phrase:
    over_at = interruption.edges.get(Edge.FIRST_NEW_STEP)
    if over_at is not None:
        lasted = duration((over_at - began_at(interruption)) / timedelta(seconds=1))
        return good(f"over since {stamp(over_at)}: new steps again after {lasted}")
    if not why.view.job.is_active:
        return Phrase(f"it never trained again: the job is {why.view.job.state.value}", Tone.BAD)
    return Phrase("not over: no new step yet", Tone.BAD)


def _what_was_done(why: Why) -> Section:
    parts = list(decision_parts(why.decisions)) or [quiet("nothing was decided")]
    resumed = why.resumed
    if resumed is not None:
        parts.append(f"attempt {resumed.number} started {stamp(resumed.started_at)} from {_source(resumed)}")
    return Section("WHAT WAS DONE", tuple(parts))


def _source(attempt: Attempt) -> str:
    if not attempt.resumed_checkpoint:
        return "the beginning" if not attempt.resumed_step else f"step {attempt.resumed_step}"
    return f"the checkpoint of step {attempt.resumed_step}: {attempt.resumed_checkpoint}"


def _what_it_cost(why: Why) -> Section:
    cost = why.cost
    lines = (cost_words(cost),) if cost is not None else ()
    return Section("WHAT IT COST", (*lines, *ledger_words(why.ledger)))


def _left_to_do(why: Why) -> Section:
    if why.incident is None:
        return Section("WHAT TO DO", ("no incident explains it: look at the job's own output",))
    if not why.view.job.is_active and why.interruption is not None and not why.interruption.is_over:
        # The incident is closed because nothing more will happen by itself, which is when a person is needed.
        advice = why.diagnosis.advice if why.diagnosis else "Look at the job's own output."
        return Section("WHAT TO DO", (f"it will not be started again by itself. {advice}",))
    return Section("WHAT TO DO", (what_to_do(why.incident.incident, why.diagnosis),))


def _resumed_json(attempt: Attempt | None) -> dict[str, Any] | None:
    if attempt is None:
        return None
    return {
        "attempt": attempt.number,
        "started_at": encode(attempt.started_at),
        "step": attempt.resumed_step,
        "checkpoint": attempt.resumed_checkpoint or None,
    }


def _placed(suspect: Suspect, places: dict[int, Placement]) -> Suspect:
    rank = rank_of(suspect)
    place = places.get(rank) if rank is not None else None
    if place is None:
        return suspect
    component = suspect.component if suspect.component.node else replace(suspect.component, node=place.node)
    return replace(suspect, component=component, gpu=suspect.gpu or place.gpu or None)
