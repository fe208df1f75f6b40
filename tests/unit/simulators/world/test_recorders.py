"""What the recorders of a simulated job hold; read by what reads those of a real one."""

import pytest

from clusterwatch.localise import Status, localised
from simulators.fleet_wording import Stands
from simulators.world.recorders import Hung, dumps_of

NODES, GPUS = 4, 8


def answer_to(stands, loss=0.0, seed=7):
    return localised(dumps_of(Hung(stands, (2,), 5, seed), NODES, GPUS, loss))


@pytest.mark.parametrize(
    ("stands", "status", "culprits"),
    [
        (Stands.MISMATCHED, Status.MISMATCH, {(21, "mismatched")}),
        (Stands.ABSENT, Status.STALLED, {(21, "host_stuck")}),
        (Stands.DEVICE, Status.STALLED, {(21, "device_stuck")}),
        (Stands.MUTE, Status.INCOMPLETE, {(rank, "no_dump") for rank in range(16, 24)}),
        (Stands.ALIKE, Status.STALLED, set()),
    ],
)
def test_struck_ranks_are_found_where_they_stand(stands, status, culprits):
    answer = answer_to(stands)

    assert (answer.status, {(each.rank, each.kind.value) for each in answer.culprits}) == (status, culprits)


def test_ranks_of_a_node_that_wait_for_each_other_are_where_it_began():
    answer = answer_to(Stands.TOGETHER)

    assert (answer.process_group, answer.stuck_together) == ("tensor_parallel", tuple(range(16, 24)))


def test_every_kind_of_mismatch_is_found():
    found = {answer_to(Stands.MISMATCHED, seed=seed).explanation.split(" called ")[1] for seed in range(20)}

    assert len({text.split(" where")[0] for text in found}) == 4


def test_lost_node_gives_no_dump_and_hides_no_mismatch():
    answers = [answer_to(Stands.MISMATCHED, loss=0.2, seed=seed) for seed in range(30)]

    assert any(answer.missing_dumps for answer in answers)
    assert {each.rank for answer in answers for each in answer.culprits if each.kind == "mismatched"} == {21}


def test_what_holds_the_same_is_one_dump():
    assert len(dumps_of(Hung(Stands.MISMATCHED, (2,), 5, 7), 2048, GPUS, 0.02)) == 2
