"""What a policy does in every situation."""

import pytest

from clusterwatch.model import HARDWARE_CAUSES, Cause
from simulators.whatif.deciding import CAUSES, DEPTHS, Action, action_table, built_in_rules
from simulators.whatif.policies import built_in_policies

POLICIES = built_in_policies()


def place(cause, blamed=True, again=False, depth=1):
    return CAUSES.index(cause), int(blamed), int(again), depth


def action(name, cause, blamed=True, again=False, depth=1, rules=""):
    return action_table(POLICIES[name], rules).what[place(cause, blamed, again, depth)]


@pytest.mark.parametrize("cause", sorted(HARDWARE_CAUSES))
def test_clusterwatch_leaves_out_a_node_whose_hardware_is_to_blame(cause):
    assert action("clusterwatch", cause) == Action.EXCLUDE


def test_clusterwatch_restarts_in_place_after_a_bug():
    assert action("clusterwatch", Cause.SOFTWARE_BUG, blamed=False) == Action.RESTART


def test_clusterwatch_asks_a_person_when_a_bug_strikes_again_and_again():
    found = [action("clusterwatch", Cause.SOFTWARE_BUG, False, True, depth) for depth in range(DEPTHS)]

    assert found[1] == Action.RESTART
    assert found[DEPTHS - 1] == Action.PERSON


def test_clusterwatch_goes_back_behind_corrupt_data_and_nowhere_else():
    table = action_table(POLICIES["clusterwatch"])

    assert table.back_seconds[place(Cause.SILENT_DATA_CORRUPTION)] == 1800
    assert table.back_seconds[place(Cause.FAULTY_GPU)] == 0


def test_what_only_observes_leaves_everything_to_a_person():
    assert action("clusterwatch", Cause.FAULTY_GPU, rules=built_in_rules()["observe"]) == Action.PERSON


def test_scripted_policy_asks_a_person_after_as_many_strikes_as_it_says():
    found = [action("requeue", Cause.FAULTY_GPU, True, True, depth) for depth in range(DEPTHS)]

    assert found[:4] == [Action.RESTART, Action.RESTART, Action.RESTART, Action.PERSON]


def test_nothing_is_done_without_a_person_where_nothing_is_automated():
    assert action("nothing", Cause.SOFTWARE_BUG, blamed=False, depth=0) == Action.PERSON
