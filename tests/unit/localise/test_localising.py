"""Whole jobs: what their dumps say."""

import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwatch.localise import CulpritKind, Place, Status, localised
from clusterwatch.model.collectives import Call, Dump, Transfer
from dumps import ALL_REDUCE, NOON_NS, SECOND, dump, recorded, relabelled, trace, waiting_dump

FOUR = (0, 1, 2, 3)
BROADCAST = Call("broadcast", (1024,), (1024,), ("Float",), ("Float",))


def culprits(answer):
    return [(each.rank, each.kind.value) for each in answer.culprits]


def test_job_whose_calls_are_all_finished_is_ok():
    answer = localised(dump(rank, trace(FOUR, 9)) for rank in FOUR)

    assert (answer.status, answer.culprits, answer.waiting) == (Status.OK, (), 0)


def test_rank_that_never_called_while_all_others_wait_has_its_host_stuck():
    late = dump(2, trace(FOUR, 8))

    answer = localised([late, *(waiting_dump(rank, FOUR, 9) for rank in (0, 1, 3))])

    assert (answer.status, culprits(answer), answer.waiting) == (Status.STALLED, [(2, "host_stuck")], 3)
    assert (answer.process_group, answer.collective_seq, answer.operation) == ("default_pg", 9, "all_reduce")
    assert "Rank 2 never called all_reduce: its last call was number 8" in answer.explanation


def test_rank_that_called_something_else_is_the_mismatched_one_whatever_others_there_are():
    wrong = waiting_dump(1, FOUR, 9, call=BROADCAST, where="/job/train.py:88")

    answer = localised([*(waiting_dump(rank, FOUR, 9) for rank in (0, 2, 3)), wrong])

    assert (answer.status, culprits(answer)) == (Status.MISMATCH, [(1, "mismatched")])
    assert "called broadcast at /job/train.py:88 where 3 other ranks called all_reduce" in answer.culprits[0].why


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (Call("all_reduce", (8,), (8,), ("Float",), ("Float",)), "elements in 8"),
        (Call("all_reduce", (1024,), (1024,), ("Half",), ("Half",)), "of type Half"),
    ],
    ids=["size", "type"],
)
def test_tensor_of_another_size_or_type_is_a_mismatch(call, told):
    answer = localised([*(waiting_dump(rank, FOUR, 9) for rank in (0, 1, 2)), waiting_dump(3, FOUR, 9, call=call)])

    assert culprits(answer) == [(3, "mismatched")]
    assert told in answer.explanation


def test_shapes_may_differ_where_the_number_of_elements_does_not():
    one_shape = Call("all_gather", (3,), (10,), ("Float",), ("Float",))
    other = Call("all_gather", (7,), (10,), ("Float",), ("Float",))

    answer = localised(
        [dump(0, trace((0, 1), 1, {1: recorded(one_shape)})), dump(1, trace((0, 1), 1, {1: recorded(other)}))]
    )

    assert answer.status is Status.OK


def test_of_two_that_differ_either_may_be_wrong():
    answer = localised([waiting_dump(0, (0, 1), 3), waiting_dump(1, (0, 1), 3, call=BROADCAST)])

    assert culprits(answer) == [(0, "mismatched"), (1, "mismatched")]
    assert {each.confidence for each in answer.culprits} == {0.5}


def test_device_that_has_not_finished_what_all_others_have_is_stuck():
    done = [dump(rank, trace(FOUR, 9)) for rank in (0, 1, 3)]

    answer = localised([waiting_dump(2, FOUR, 9), *done])

    assert (answer.status, culprits(answer)) == (Status.STALLED, [(2, "device_stuck")])


def test_device_that_has_not_begun_what_all_others_have_is_stuck():
    answer = localised([waiting_dump(2, FOUR, 9, "scheduled"), *(waiting_dump(rank, FOUR, 9) for rank in (0, 1, 3))])

    assert culprits(answer) == [(2, "device_stuck")]


def test_nobody_is_named_where_all_ranks_stand_alike_in_the_same_call():
    answer = localised(waiting_dump(rank, FOUR, 9) for rank in FOUR)

    assert (answer.status, answer.culprits, answer.waiting) == (Status.STALLED, (), 4)
    assert "look at the network" in answer.explanation


def test_rank_without_a_dump_is_suspected_where_all_others_wait():
    answer = localised(waiting_dump(rank, FOUR, 9) for rank in (0, 1, 2))

    assert (answer.status, culprits(answer), answer.missing_dumps) == (Status.INCOMPLETE, [(3, "no_dump")], (3,))
    assert "there is no dump of rank 3" in answer.explanation.lower()


def test_rank_that_is_known_to_have_ended_died():
    answer = localised([waiting_dump(rank, FOUR, 9) for rank in (0, 1, 2)], ended=[3])

    assert (answer.status, culprits(answer)) == (Status.STALLED, [(3, "died")])


def test_missing_dump_is_no_suspect_where_another_rank_is_absent():
    answer = localised([waiting_dump(0, FOUR, 9), waiting_dump(1, FOUR, 9), dump(2, trace(FOUR, 8))])

    assert culprits(answer) == [(2, "host_stuck")]
    assert answer.culprits[0].confidence < 0.9


def test_wait_for_a_group_because_of_another_is_a_consequence():
    # Tensor groups (0, 1) and (2, 3), data groups (0, 2) and (1, 3): rank 3 never comes to its tensor group, so 2 waits
    # there, and 0 waits for 2 in their data group.
    tensor = [trace(pair, 9, group=name, title="tensor") for pair, name in (((0, 1), "t0"), ((2, 3), "t1"))]
    data = [trace(pair, 4, group=name, title="data") for pair, name in (((0, 2), "d0"), ((1, 3), "d1"))]
    waits_for_3 = trace((2, 3), 10, {10: recorded(state="started")}, group="t1", title="tensor")
    waits_for_2 = trace((0, 2), 5, {5: recorded(state="started")}, group="d0", title="data", at_ns=NOON_NS - SECOND)

    answer = localised(
        [
            dump(0, tensor[0], waits_for_2),
            dump(1, tensor[0], data[1]),
            dump(2, waits_for_3, data[0]),
            dump(3, tensor[1], data[1]),
        ]
    )

    assert (answer.process_group, culprits(answer), answer.waiting) == ("tensor", [(3, "host_stuck")], 2)


def test_ranks_that_wait_for_each_other_in_two_groups_are_told_with_doubt():
    groups = [((0, 1), "a"), ((0, 1), "b")]
    (one, first), (two, second) = groups
    waits_in_a = trace(one, 1, {1: recorded(state="started")}, group=first, title="a")
    waits_in_b = trace(two, 1, {1: recorded(state="started")}, group=second, title="b")
    nothing_of = {name: trace(pair, 0, group=name, title=name) for pair, name in groups}

    answer = localised([dump(0, waits_in_a, nothing_of["b"]), dump(1, waits_in_b, nothing_of["a"])])

    assert answer.status is Status.STALLED
    assert all(each.confidence <= 0.4 for each in answer.culprits)
    assert "in another order" in answer.explanation


def test_receiver_waits_for_the_rank_that_never_sends_down_the_pipeline():
    chain = [
        Dump(1, (), (Transfer("pp", 7, False, 0, 1, 64, NOON_NS),), newest_ns=NOON_NS),
        Dump(2, (), (Transfer("pp", 7, False, 1, 2, 64, NOON_NS - SECOND),), newest_ns=NOON_NS),
        dump(0, trace(FOUR, 3)),
    ]

    answer = localised(chain)

    assert (culprits(answer), answer.operation, answer.waiting) == ([(0, "absent")], "recv 0->1", 2)


def test_send_and_receive_of_different_sizes_are_a_mismatch():
    sent, received = Transfer("pp", 7, True, 0, 1, 64), Transfer("pp", 7, False, 0, 1, 32)

    answer = localised([Dump(0, (), (sent,), newest_ns=1), Dump(1, (), (received,), newest_ns=1)])

    assert (answer.status, culprits(answer)) == (Status.MISMATCH, [(0, "mismatched"), (1, "mismatched")])


def test_wait_that_is_young_may_be_a_stragglers():
    late = [dump(2, trace(FOUR, 8)), *(waiting_dump(rank, FOUR, 9) for rank in (0, 1, 3))]

    assert localised(late, taken_at_ns=NOON_NS + 3 * SECOND).status is Status.STRAGGLER
    assert localised(late, taken_at_ns=NOON_NS + 30 * SECOND).status is Status.STALLED


def test_recorder_without_room_says_so():
    answer = localised([Dump(0, ()), Dump(1, ())])

    assert answer.status is Status.INCOMPLETE
    assert "TORCH_FR_BUFFER_SIZE" in answer.explanation


def test_culprit_is_placed_where_its_rank_runs():
    late = [dump(1, trace((0, 1), 8)), waiting_dump(0, (0, 1), 9)]

    answer = localised(late, places={1: Place("node001", 1)})

    assert answer.culprits[0].place == Place("node001", 1)


def a_job(size, at, culprit, kind, wraps):
    """Return dumps of *size* ranks of which *culprit* is absent or calls something else at *at*."""
    members, first = tuple(range(size)), max(1, at - 3) if wraps else 1
    odd = {"host_stuck": dump(culprit, trace(members, at - 1, first=first))}
    odd["mismatched"] = waiting_dump(culprit, members, at, call=BROADCAST, first=first)
    others = [waiting_dump(rank, members, at, first=first) for rank in members if rank != culprit]
    return [odd[kind], *others]


JOBS = st.integers(3, 12).flatmap(
    lambda size: st.builds(
        lambda at, culprit, kind, wraps: (a_job(size, at, culprit, kind, wraps), culprit, kind),
        st.integers(2, 30),
        st.integers(0, size - 1),
        st.sampled_from(["host_stuck", "mismatched"]),
        st.booleans(),
    )
)


@given(job=JOBS, data=st.data())
def test_the_order_of_the_dumps_changes_nothing(job, data):
    dumps, culprit, kind = job

    answer = localised(data.draw(st.permutations(dumps)))

    assert culprits(answer) == [(culprit, kind)]
    assert answer == localised(dumps)


@given(job=JOBS, data=st.data())
def test_ranks_under_other_numbers_are_found_alike(job, data):
    dumps, culprit, kind = job
    numbers = dict(enumerate(data.draw(st.permutations(range(len(dumps))))))

    answer = localised(relabelled(each, numbers) for each in dumps)

    assert culprits(answer) == [(numbers[culprit], kind)]


@given(job=JOBS, data=st.data())
def test_missing_dumps_never_make_a_waiting_rank_a_culprit(job, data):
    dumps, culprit, _ = job
    lost = data.draw(st.sets(st.sampled_from(range(len(dumps))), max_size=len(dumps) - 3))

    answer = localised(each for each in dumps if each.rank not in lost)

    assert set(answer.missing_dumps) == lost
    assert {each.rank for each in answer.culprits} <= lost | {culprit}


def test_largest_job_is_localised_in_seconds():
    # 16,384 ranks in groups of all, of 8 and of 2,048; one of them never comes to its group of 8.
    size, late = 16_384, 9_003
    everybody = tuple(range(size))
    tensors = [tuple(range(first, first + 8)) for first in range(0, size, 8)]
    datas = [tuple(range(first, size, 8)) for first in range(8)]
    begun, queued = recorded(state="started"), recorded(state="scheduled")

    def traces(rank):
        tensor, data = tensors[rank // 8], datas[rank % 8]
        yield trace(everybody, 300, group="0", first=284)
        if rank == late:
            yield trace(tensor, 1999, group=f"t{rank // 8}", title="tensor", first=1984)
        elif rank // 8 == late // 8:
            yield trace(tensor, 2000, {2000: begun}, group=f"t{rank // 8}", title="tensor", first=1984)
        else:
            yield trace(tensor, 2000, group=f"t{rank // 8}", title="tensor", first=1984)
            yield trace(data, 500, {500: queued}, group=f"d{rank % 8}", title="data", first=484, at_ns=NOON_NS + 1)

    dumps = [Dump(rank, tuple(traces(rank)), newest_ns=NOON_NS) for rank in everybody]
    began = time.process_time()

    answer = localised(dumps)

    assert time.process_time() - began < 15.0
    assert (answer.process_group, culprits(answer)) == ("tensor", [(late, CulpritKind.HOST_STUCK.value)])
    assert ALL_REDUCE.name == answer.operation


def test_group_that_stands_still_by_itself_is_where_it_began_although_others_miss_its_ranks():
    # Ranks 2 and 3 wait in their own group, where nobody is behind; all others wait for them.
    everybody = trace(FOUR, 9, {9: recorded(state="started")}, group="w", title="world")
    stuck = trace((2, 3), 7, {7: recorded(state="started")}, group="t", title="tensor", at_ns=NOON_NS - SECOND)
    behind = trace(FOUR, 8, group="w", title="world")

    answer = localised([dump(0, everybody), dump(1, everybody), dump(2, stuck, behind), dump(3, stuck, behind)])

    assert (answer.status, answer.process_group, answer.culprits) == (Status.STALLED, "tensor", ())
    assert answer.stuck_together == (2, 3)
    assert "another order" not in answer.explanation


def test_ranks_that_hold_the_same_may_be_folded_into_one_dump():
    folded = [replace(waiting_dump(0, FOUR, 9), alike=(1, 3)), dump(2, trace(FOUR, 8))]

    answer = localised(folded)

    assert answer == localised([*(waiting_dump(rank, FOUR, 9) for rank in (0, 1, 3)), dump(2, trace(FOUR, 8))])
