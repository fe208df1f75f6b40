"""What keeping nodes, leaving them out and checking all are expected to cost."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwatch.model import Alternative, Attempt, Cause, Diagnosis
from clusterwatch.policy import Costs
from clusterwatch.policy.expected import expected, hardware_chance, replacing, stop_seconds, stops_per_second
from clusterwatch.testing import NOON, seconds

COSTS = Costs(replace_seconds=60.0, cold_seconds=600.0, survey_seconds=300.0, survey_finds=0.7)
CHANCES = st.floats(0.0, 1.0)
BUG = Diagnosis("inc-1", 1, Cause.SOFTWARE_BUG, 0.7, (), (), (), (), "", "", NOON)


def test_costs_are_those_of_the_table():
    # Again: 300 s of a stop, 60 s of another node, and half of (300 + 0.3 x 300) / 0.7 for finding the part.
    again = 300.0 + 60.0 + 0.5 * (300.0 + 0.3 * 300.0) / 0.7

    costs = expected(broken=0.8, named=0.4, stop_seconds=300.0, replace_seconds=60.0, costs=COSTS)

    assert costs.keep == pytest.approx(0.8 * again)
    assert costs.leave_out == pytest.approx(60.0 + 0.4 * again)
    assert costs.survey == pytest.approx(300.0 + 0.8 * (0.7 * 60.0 + 0.3 * again))
    assert costs.both == pytest.approx(360.0 + 0.4 * 0.3 * again)


@given(CHANCES, CHANCES, st.floats(1.0, 3600.0), st.floats(0.0, 600.0))
def test_leaving_out_nobody_who_is_likelier_pays_less(broken: float, share: float, stop: float, swap: float):
    some = expected(broken, broken * share, stop, swap, COSTS)
    none = expected(broken, 0.0, stop, swap, COSTS)

    assert some.leave_out <= none.leave_out + 1e-6
    assert none.saved_by_leaving_out <= 1e-6


@given(CHANCES, st.floats(1.0, 3600.0))
def test_check_of_all_nodes_is_not_worth_it_where_nothing_is_broken(chance: float, stop: float):
    assert expected(0.0, 0.0, stop, 60.0, COSTS).saved_by_survey < 0
    assert expected(chance, chance, stop, 0.0, COSTS).saved_by_survey < 0, "the suspects are all there is"


def test_another_node_costs_more_the_fewer_stand_by():
    often = 1 / 3600.0

    assert replacing(1, None, often, COSTS) == replacing(1, 0, often, COSTS) == 600.0
    assert replacing(1, 32, often, COSTS) == pytest.approx(60.0)
    assert 60.0 < replacing(1, 2, often, COSTS) < replacing(1, 1, often, COSTS) < 600.0


def test_hardware_is_as_likely_as_all_its_causes_and_its_share_of_what_is_not_listed():
    listed = replace(BUG, alternatives=(Alternative(Cause.FAULTY_GPU, 0.2), Alternative(Cause.UNKNOWN, 0.1)))
    unlisted = replace(BUG, confidence=0.7, alternatives=(Alternative(Cause.FAULTY_GPU, 0.2),))

    assert hardware_chance(listed) == pytest.approx(0.2)
    assert 0.25 < hardware_chance(unlisted) < 0.3


def test_stop_costs_what_the_last_ones_did():
    attempts = tuple(
        Attempt(
            "job-1",
            number,
            NOON + seconds(1000 * number),
            first_new_step_at=NOON + seconds(1000 * number + 200),
            last_step_at=NOON + seconds(1000 * number + 800),
        )
        for number in range(1, 5)
    )

    assert stop_seconds(attempts) == 400.0
    assert stops_per_second(attempts) == pytest.approx(1 / 1000)
    assert stop_seconds(attempts[:1]) == 300.0
    assert stops_per_second(attempts[:1]) == 0.0


def test_night_that_a_job_was_down_is_no_usual_stop():
    first = Attempt("job-1", 1, NOON, last_step_at=NOON)
    late = Attempt("job-1", 2, NOON + timedelta(hours=8), first_new_step_at=NOON + timedelta(hours=9))

    assert stop_seconds((first, late)) == 300.0
