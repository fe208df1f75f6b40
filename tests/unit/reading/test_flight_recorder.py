import json
import pickle

import pytest

from clusterwatch.errors import SourceError
from clusterwatch.model.collectives import Call, CallState
from clusterwatch.reading.flight_recorder import FINISHED_KEPT, dump_of, rank_in
from dumps import NOON_NS, SECOND, entry, written

MINE = {"name": "step", "filename": "/job/train.py", "line": 88}
THEIRS = {"name": "all_reduce", "filename": "/venv/lib/torch/distributed/distributed_c10d.py", "line": 3000}


def pickled(*entries, **facts):
    return pickle.dumps(written(*entries, **facts), 2)


@pytest.mark.parametrize(
    ("name", "rank"),
    [
        ("nccl_trace_rank_12", 12),
        ("rank_0.json", 0),
        ("dump-7.pickle", 7),
        ("nccl_trace_rank_3.pipe", None),
        ("notes.txt", None),
    ],
)
def test_rank_is_the_number_that_a_files_name_ends_in(name, rank):
    assert rank_in(name) == rank


def test_pickle_and_json_of_the_same_recorder_say_the_same():
    value = written(entry(1), entry(2, state="started"))
    as_json = json.dumps(value | {"pg_status": {"0": {"last_enqueued_collective": "2"}}}).encode()

    assert dump_of(pickle.dumps(value, 2), 3) == dump_of(as_json, 3)


def test_call_holds_its_name_and_how_many_elements_of_what_it_moves():
    call = entry(1, "nccl:_all_gather_base", input_sizes=[[2, 4]], output_sizes=[[32]], output_dtypes=["BFloat16"])

    found = dump_of(pickled(call), 0).groups[0]

    assert found.recorded[0].calls == (Call("_all_gather_base", (8,), (32,), ("Float",), ("BFloat16",)),)
    assert (found.name, found.description, found.members) == ("0", "default_pg", (0, 1, 2, 3))


def test_oldest_unfinished_call_tells_since_when_and_where_the_rank_waits():
    calls = [entry(1), entry(2, state="started", frames=[THEIRS, MINE]), entry(3, state="scheduled")]

    found = dump_of(pickled(*calls), 0).groups[0]

    assert (found.since_ns, found.where, found.last) == (NOON_NS + 2 * SECOND, "/job/train.py:88", 3)


def test_of_finished_calls_only_the_newest_are_kept():
    calls = [entry(number) for number in range(1, 2001)]

    found = dump_of(pickled(*calls), 0).groups[0]

    assert (found.first, found.last) == (2000 - FINISHED_KEPT, 2000)


def test_every_unfinished_call_is_kept():
    calls = [entry(number, state="completed" if number < 50 else "scheduled") for number in range(1, 1001)]

    found = dump_of(pickled(*calls), 0).groups[0]

    assert (found.first, found.last) == (50 - FINISHED_KEPT, 1000)


def test_calls_sent_off_together_have_the_state_of_the_whole():
    parts = [entry(1, "nccl:_broadcast_oop", state="scheduled", op_id=number) for number in (1, 2)]

    found = dump_of(pickled(*parts, entry(1, "nccl:coalesced", state="completed")), 0).groups[0]

    assert [(len(each.calls), each.state) for each in found.recorded] == [(3, CallState.COMPLETED)]


def test_unfinished_transfer_names_its_two_ends_by_their_global_ranks():
    waits = entry(0, "nccl:recv 1<-0", state="started", is_p2p=True, p2p_seq_id=5)
    done = entry(0, "nccl:recv 1<-0", is_p2p=True, p2p_seq_id=4)

    found = dump_of(pickled(done, waits, ranks="[4, 6]"), 6)

    assert [(each.source, each.target, each.is_send, each.sequence) for each in found.transfers] == [(4, 6, False, 5)]
    assert not found.groups


def test_group_is_known_although_the_ring_holds_no_call_of_it_any_more():
    assert dump_of(pickled(), 0).configured == (("0", (0, 1, 2, 3)),)


def test_numbers_far_apart_make_no_long_trace():
    far_apart = [entry(number, state="started", time_created_ns=NOON_NS) for number in (1, 2**60)]

    found = dump_of(pickled(*far_apart), 0).groups[0]

    assert found.last == 2**60
    assert len(found.recorded) < 100_000


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"", "cut short"),
        (b"{", "not readable as JSON"),
        (b"[" * 100_000, "opcode"),
        (b"{" + b'"a":[' * 100_000, "not readable as JSON"),
        (b"{}", "no dump of a flight recorder"),
        (pickled(version="1.4"), r"format version 1\.4 is not read"),
        (pickle.dumps(written({"seq_id": 1}, version="2.0"), 2), "too old"),
        (pickled({"collective_seq_id": 1}), "a damaged dump: KeyError: 'process_group'"),
        (pickled(entry(1, state="gone")), "a damaged dump: ValueError: 'gone'"),
        (pickled(entry(1, input_sizes=["abc"])), "a damaged dump"),
    ],
)
def test_what_is_no_dump_is_refused_with_the_reason(raw, problem):
    with pytest.raises(SourceError, match=problem):
        dump_of(raw, 0)


def test_newer_minor_version_is_read():
    assert dump_of(pickled(entry(1), version="2.11"), 0).groups
