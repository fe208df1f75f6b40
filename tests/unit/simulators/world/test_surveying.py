"""What a check of all nodes finds, by kind of fault."""

import pytest

from clusterwatch.model import Component, ComponentKind, Finding, node_component
from offenders import assert_none
from shipped import shipped_log_catalog
from simulators.cluster import gpu_pci
from simulators.fleet_wording import fault_kinds
from simulators.schedule import seeded
from simulators.terms import Terms
from simulators.world.surveying import checked, table

SURE = Terms(survey_finds=1.0, survey_says_which=1.0)


def found_by(kind, terms=SURE, seed=1):
    return checked("node003", kind, 2, terms, seeded(seed, "test"))


def test_wrong_answer_names_the_gpu_that_gave_it():
    gpu = Component(ComponentKind.GPU, gpu_pci(2), "node003")

    assert found_by("sdc_loss_spike") == [Finding("scan.wrong_answer", gpu)]
    assert found_by("cpu_locks_up", seed=2) == [Finding("scan.processor_stuck", node_component("node003"))]


def test_check_that_misses_and_one_that_does_not_say_what_are_told_apart():
    assert found_by("sdc_loss_spike", Terms(survey_finds=0.0)) is None
    assert found_by("sdc_loss_spike", Terms(survey_finds=1.0, survey_says_which=0.0)) == ()


def test_node_that_is_down_is_always_told_as_silent():
    found = found_by("power_supply_failed", Terms(survey_says_which=0.0))

    assert found == [Finding("node.check_failed.no_answer", node_component("node003"))]


def test_kind_without_a_table_fails_without_saying_of_what():
    assert found_by("link_down") == []


@pytest.mark.parametrize("share", [0.2, 0.7])
def test_shares_are_kept(share):
    terms = Terms(survey_finds=share, survey_says_which=1.0)

    found = sum(found_by("sdc_loss_spike", terms, seed) is not None for seed in range(2000))

    assert found / 2000 == pytest.approx(share, abs=0.04)


def test_every_table_is_of_a_fault_that_stays_and_every_word_in_the_catalogue():
    knowledge, kinds = shipped_log_catalog().knowledge, fault_kinds()

    assert_none(f"{name} stays" for name in table() if name not in kinds or not kinds[name].stays)
    assert_none(kind for row in table().values() for kind, _ in row.found if not knowledge[kind].weights)
