from itertools import islice

from simulators.schedule import FAULT_KINDS, FIRST_ONSET_SECONDS, faults, seeded


def test_the_same_seed_gives_the_same_faults():
    assert list(islice(faults(seeded(1)), 50)) == list(islice(faults(seeded(1)), 50))


def test_another_seed_gives_other_faults():
    assert list(islice(faults(seeded(1)), 50)) != list(islice(faults(seeded(2)), 50))


def test_every_round_has_every_kind_once():
    two_rounds = list(islice(faults(seeded(1)), 2 * len(FAULT_KINDS)))

    assert {fault.kind for fault in two_rounds[: len(FAULT_KINDS)]} == set(FAULT_KINDS)
    assert {fault.kind for fault in two_rounds[len(FAULT_KINDS) :]} == set(FAULT_KINDS)


def test_faults_come_every_60_to_90_seconds_after_a_quiet_start():
    first, *others = islice(faults(seeded(3)), 100)

    assert first.after_seconds == FIRST_ONSET_SECONDS
    assert all(60 <= fault.after_seconds <= 90 for fault in others)
    assert all(0 <= fault.target < 1 for fault in others)


def test_fault_ids_are_unique():
    ids = [fault.id for fault in islice(faults(seeded(1)), 100)]

    assert len(set(ids)) == 100


def test_calm_faults_are_the_same_ones_further_apart():
    usual, calm = list(islice(faults(seeded(3)), 20)), list(islice(faults(seeded(3), calm=5.0), 20))

    assert [fault.kind for fault in calm] == [fault.kind for fault in usual]
    assert [fault.after_seconds for fault in calm[1:]] == [5.0 * fault.after_seconds for fault in usual[1:]]
