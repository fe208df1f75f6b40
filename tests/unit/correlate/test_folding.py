"""Events to the evidence of one incident."""

from datetime import timedelta

from clusterwatch.correlate.folding import RANKS_KEPT, Draft
from clusterwatch.correlate.pieces import SAMPLES_KEPT, evidence_of
from clusterwatch.model import (
    Cause,
    Component,
    ComponentKind,
    Incident,
    IncidentState,
    Knowledge,
    Role,
    Severity,
    Signal,
    Topology,
)
from clusterwatch.testing import NOON, event, seconds

EXCEPTION = Signal("exception", "raised", Severity.ERROR, Role.SUSPECT, {Cause.SOFTWARE_BUG: 3.0})
TIMEOUT = Signal("timeout", "timed out", Severity.ERROR, Role.SYMPTOM)


def rank(number):
    return Component(ComponentKind.RANK, str(number), "node001")


def draft_of(first):
    evidence = (evidence_of(first, Severity.ERROR),)
    incident = Incident("inc-1", IncidentState.SETTLING, NOON, NOON, NOON, evidence, jobs=("job-1",))
    return Draft(incident, Knowledge([EXCEPTION, TIMEOUT]), Topology())


def test_alike_events_on_one_component_are_one_piece_with_a_few_lines():
    draft = draft_of(event("exception", rank(0), job="job-1", text="line 0"))

    for number in range(1, 9):
        draft.add(event("exception", rank(0), job="job-1", text=f"line {number}"), EXCEPTION, ["job-1"], NOON)

    (evidence,) = draft.incident.evidence
    assert evidence.count == 9
    assert [sample.text for sample in evidence.samples] == [f"line {number}" for number in range(SAMPLES_KEPT)]


def test_what_may_be_a_cause_is_kept_apart_by_rank_and_a_symptom_is_not():
    draft = draft_of(event("exception", rank(0), job="job-1"))

    for number in (1, 2, 3):
        draft.add(event("exception", rank(number), job="job-1"), EXCEPTION, ["job-1"], NOON)
        draft.add(event("timeout", rank(number), job="job-1"), TIMEOUT, ["job-1"], NOON)

    counts = [(evidence.kind, evidence.count) for evidence in draft.incident.evidence]
    assert counts == [("exception", 1)] * 4 + [("timeout", 3)]


def test_evidence_stands_in_the_order_of_time_however_it_came():
    draft = draft_of(event("exception", rank(0), NOON + seconds(9)))

    draft.add(event("exception", rank(1), NOON + seconds(5)), EXCEPTION, [], NOON)
    draft.add(event("exception", rank(0), NOON), EXCEPTION, [], NOON)

    assert [evidence.component for evidence in draft.incident.evidence] == [rank(0), rank(1)]
    assert draft.incident.opened_at == NOON


def test_window_reaches_around_all_evidence():
    draft = draft_of(event("exception", rank(0)))
    draft.add(event("exception", rank(1), NOON + seconds(60)), EXCEPTION, [], NOON)
    minute = timedelta(minutes=1)

    near = [draft.is_near(event("exception", at=NOON + seconds(at)), minute, minute) for at in (-61, -60, 120, 121)]

    assert near == [False, True, True, False]


def test_ten_thousand_ranks_that_say_the_same_are_named_only_while_they_are_few():
    draft = draft_of(event("exception", rank(0), job="job-1"))

    for number in range(1, 1000):
        draft.add(event("exception", rank(number), NOON + seconds(1), job="job-1"), EXCEPTION, ["job-1"], NOON)

    *named, others = draft.incident.evidence
    assert [evidence.component for evidence in named] == [rank(number) for number in range(RANKS_KEPT)]
    assert (others.component, others.count) == (Component(ComponentKind.JOB, "job-1"), 1000 - RANKS_KEPT)


def test_rank_that_said_it_before_all_others_is_named_however_late_that_is_learned():
    draft = draft_of(event("exception", rank(0), job="job-1"))
    for number in range(1, 1000):
        draft.add(event("exception", rank(number), job="job-1"), EXCEPTION, ["job-1"], NOON)

    draft.add(event("exception", rank(7777), NOON - seconds(5), job="job-1"), EXCEPTION, ["job-1"], NOON)

    assert draft.incident.evidence[0].component == rank(7777)
