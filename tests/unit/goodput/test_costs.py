"""What each interruption cost."""

import pytest

from clusterwatch.goodput import Ledger, Reason, Span, costs, lost_by
from clusterwatch.model import Edge, Interruption
from clusterwatch.testing import NOON, seconds


def span(reason, from_seconds, to_seconds):
    return Span(reason, NOON + seconds(from_seconds), NOON + seconds(to_seconds), 1)


def stop(name, began, ended=None):
    edges = {Edge.LAST_STEP: NOON + seconds(began)}
    if ended is not None:
        edges[Edge.FIRST_NEW_STEP] = NOON + seconds(ended)
    return Interruption(name, "job-1", 1, f"inc-{name}", False, 1, edges)


LEDGER = Ledger(
    "job-1",
    8,
    (
        span(Reason.QUEUE, 0, 10),
        span(Reason.PRODUCTIVE, 10, 100),
        span(Reason.DETECT, 100, 130),
        span(Reason.RECOMPUTE, 130, 150),
        span(Reason.PRODUCTIVE, 150, 190),
        span(Reason.CHECKPOINT, 190, 195),
        span(Reason.PRODUCTIVE, 195, 200),
        span(Reason.HANG, 200, 240),
    ),
)


def test_every_lost_second_has_one_owner():
    owned = lost_by(LEDGER, costs(LEDGER, [stop("b", 200), stop("a", 100, 155)]), lambda each: each.id)

    assert owned == {
        "a": {Reason.DETECT: 30, Reason.RECOMPUTE: 20},
        "b": {Reason.HANG: 40},
        "": {Reason.QUEUE: 10, Reason.CHECKPOINT: 5},
    }
    assert sum(sum(each.values()) for each in owned.values()) == pytest.approx(LEDGER.lost_seconds)


def test_interruptions_that_overlap_count_a_second_once():
    found = costs(LEDGER, [stop("a", 100, 155), stop("b", 120, 160)])

    assert [each.ledger.lost_seconds for each in found] == [50, 0]


def test_interruption_before_the_first_step_costs_from_its_earliest_moment():
    early = Interruption("a", "job-1", 1, None, False, 0, {Edge.FIRST_EVENT: NOON + seconds(4)})

    (found,) = costs(LEDGER, [early])

    assert found.ledger.spans[0].from_at == NOON + seconds(4)
    assert costs(Ledger("job-1", 8, ()), [early]) == []
