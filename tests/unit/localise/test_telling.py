"""What localising found, as evidence."""

from dataclasses import replace
from datetime import timedelta

import pytest

from clusterwatch.localise import events_of, localised
from clusterwatch.model import Component, ComponentKind, Step, StepKind, Trust, kinds
from clusterwatch.model.collectives import Call
from clusterwatch.testing import NOON
from dumps import dump, recorded, trace, waiting_dump

FOUR = (0, 1, 2, 3)
STEP = Step("dec-1.1", "dec-1", 1, StepKind.DUMP, "fleet", "job-1", {"attempt": 3}, NOON + timedelta(seconds=8))
BROADCAST = Call("broadcast", (1,), (1,), ("Long",), ("Long",))


def told(*dumps):
    return list(events_of(localised(dumps), STEP, NOON))


def test_mismatched_rank_is_evidence_that_names_it_on_the_word_of_its_job():
    (found,) = told(*(waiting_dump(rank, FOUR, 9) for rank in (0, 2, 3)), waiting_dump(1, FOUR, 9, call=BROADCAST))

    assert (found.kind, found.component) == (kinds.COLLECTIVE_MISMATCH, Component(ComponentKind.RANK, "1"))
    assert (found.trust, found.job, found.attempt, found.rank) == (Trust.USER, "job-1", 3, 1)
    assert (found.fields["sequence"], found.fields["operation"]) == (9, "all_reduce")
    assert "rank 1 called broadcast" in found.text


def test_same_answer_is_the_same_events_however_often_it_is_told():
    dumps = [dump(2, trace(FOUR, 8)), *(waiting_dump(rank, FOUR, 9) for rank in (0, 1, 3))]

    assert [each.id for each in told(*dumps)] == [each.id for each in told(*reversed(dumps))]


def test_kinds_tell_a_rank_that_is_absent_from_one_that_is_mute():
    absent = told(dump(2, trace(FOUR, 8)), *(waiting_dump(rank, FOUR, 9) for rank in (0, 1, 3)))
    mute = told(*(waiting_dump(rank, FOUR, 9) for rank in (0, 1, 3)))

    assert [each.kind for each in (*absent, *mute)] == [kinds.COLLECTIVE_ABSENT, kinds.COLLECTIVE_NO_ANSWER]


def test_many_that_are_behind_name_no_rank():
    everybody = tuple(range(100))
    late = [replace(dump(50, trace(everybody, 8)), alike=tuple(range(51, 100)))]

    (found,) = told(replace(waiting_dump(0, everybody, 9), alike=tuple(range(1, 50))), *late)

    assert (found.kind, found.component) == (kinds.COLLECTIVE_MANY_BEHIND, Component(ComponentKind.JOB, "job-1"))
    assert found.rank is None


def test_many_that_left_no_dump_are_no_sign_that_any_is_behind():
    everybody = tuple(range(100))

    (found,) = told(replace(waiting_dump(0, everybody, 9), alike=tuple(range(1, 50))))

    assert found.kind == kinds.COLLECTIVE_STALLED


def test_small_group_that_nobody_gets_out_of_is_told_by_its_first_rank():
    stuck = trace((2, 3), 7, {7: recorded(state="started")}, group="t", title="tensor")

    (found,) = told(dump(2, stuck, trace(FOUR, 8)), dump(3, stuck, trace(FOUR, 8)))

    assert (found.kind, found.rank) == (kinds.COLLECTIVE_STUCK_TOGETHER, 2)


@pytest.mark.parametrize(
    ("per_node", "kind"), [(2, kinds.COLLECTIVE_STUCK_IN_NODE), (3, kinds.COLLECTIVE_STUCK_TOGETHER)]
)
def test_group_within_one_node_speaks_over_its_own_links(per_node, kind):
    stuck = trace((2, 3), 7, {7: recorded(state="started")}, group="t", title="tensor")
    step = replace(STEP, arguments={"attempt": 3, "ranks_per_node": per_node})
    dumps = [dump(2, stuck, trace(FOUR, 8)), dump(3, stuck, trace(FOUR, 8))]

    (found,) = events_of(localised(dumps), step, NOON)

    assert found.kind == kind


def test_job_of_which_nobody_waits_gives_no_evidence():
    assert told(*(dump(rank, trace(FOUR, 8)) for rank in FOUR)) == []
