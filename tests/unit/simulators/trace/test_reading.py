"""What is said of trace files that are wrong."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwatch.errors import ConfigError
from clusterwatch.model import Cause
from simulators.trace.reading import MISTAKES_KEPT, schedule_in

HEADER = {
    "format": "clusterwatch-trace",
    "version": 1,
    "kind": "schedule",
    "name": "small",
    "seed": 1,
    "start": "2026-03-04T12:00:00Z",
    "days": 1,
    "cluster": {"name": "small", "training_nodes_total": 2, "spares_total": 1},
    "jobs": [
        {
            "id": "job",
            "name": "job",
            "user": "ada",
            "nodes_total": 2,
            "framework": "megatron",
            "scheduler_id": 1,
            "tp": 8,
            "pp": 2,
            "dp": 1,
        }
    ],
    "assumptions": {},
}
FAULT = {
    "type": "fault",
    "at": 10.5,
    "id": "f1",
    "cause": "faulty_gpu",
    "kind": "gpu_fell_off_bus",
    "component": {"kind": "gpu", "id": "0000:18:00", "node": "node0001"},
    "nodes": ["node0001"],
    "repair_seconds": 60,
    "seed": 1,
}
PLANNED = {
    "type": "planned",
    "at": 20,
    "id": "p1",
    "announced": True,
    "nodes": [],
    "duration_seconds": 300,
    "reason": "update",
    "seed": 1,
}
NOISE = {
    "type": "noise",
    "at": 30,
    "id": "n1",
    "kind": "link_flap",
    "nodes": ["node0003"],
    "component": {"kind": "node", "id": "node0003", "node": "node0003"},
    "seed": 1,
}
KINDS = {"gpu_fell_off_bus": Cause.FAULTY_GPU, "link_flap": Cause.BENIGN}


def mistakes(*lines: object, header: object = HEADER) -> list[str]:
    texts = [line if isinstance(line, str | bytes) else json.dumps(line) for line in (header, *lines)]
    with pytest.raises(ConfigError) as caught:
        schedule_in(texts, "mine.jsonl", KINDS)
    return [str(mistake) for mistake in caught.value.mistakes]


def without(table: dict, key: str) -> dict:
    return {name: value for name, value in table.items() if name != key}


def test_file_in_order_is_read():
    schedule = schedule_in([json.dumps(each) for each in (HEADER, FAULT, PLANNED, NOISE)], "mine.jsonl", KINDS)

    assert (schedule.faults[0].at, schedule.planned[0].at, schedule.noise[0].at) == (10.5, 20.0, 30.0)


def test_all_mistakes_of_a_file_are_told_at_once_with_their_lines():
    found = mistakes(
        {**FAULT, "cause": "gremlins", "nodes": "node0001"},
        "",
        {**PLANNED, "announced": "yes"},
        "{broken",
        {**NOISE, "type": "rumour"},
        {**NOISE, "colour": "red"},
        without(NOISE, "seed"),
    )

    assert [mistake.partition(":")[0] for mistake in found] == [
        "line 2, cause",
        "line 2, nodes",
        "line 4, announced",
        "line 5",
        "line 6, type",
        "line 7, colour",
        "line 8, seed",
    ]


@pytest.mark.parametrize(
    ("change", "mistake"),
    [
        ({"at": -1}, "line 2, at: must be within the trace: 0 to 86,400 seconds"),
        ({"at": 86_401}, "line 2, at: must be within the trace: 0 to 86,400 seconds"),
        ({"at": "10"}, "line 2, at: must be a number"),
        ({"seed": 1.5}, "line 2, seed: must be a whole number"),
        ({"id": ""}, "line 2, id: must have 1 to 200 printable characters"),
        ({"id": "\x1b[31m"}, "line 2, id: must have 1 to 200 printable characters"),
        ({"cause": "benign"}, 'line 2, cause: nothing is wrong there: write it as "noise"'),
        ({"cause": "nic"}, "line 2, cause: a gpu_fell_off_bus is a faulty_gpu, not a nic"),
        ({"kind": "gremlin"}, "line 2, kind: nobody knows the words of 'gremlin'"),
        ({"nodes": []}, "line 2, nodes: must name the node it strikes"),
        ({"nodes": ["node0001", "node0001"]}, "line 2, nodes: names a node twice"),
        ({"nodes": ["node0002"]}, "line 2, nodes: must begin with the node that holds the component, 'node0001'"),
        ({"nodes": ["node0001", "node0003"]}, "line 2, nodes: one of them does not train at the start"),
        ({"nodes": ["node0001", "node9"]}, "line 2, nodes: no node 'node9' in the cluster: they are node0001 to"),
        ({"repair_seconds": -1}, "line 2, repair_seconds: must be 0 to 31,622,400 seconds"),
        ({"component": {"kind": "gnome", "id": "1", "node": ""}}, "line 2, component.kind: input should be 'node'"),
        ({"component": {"kind": "gpu", "id": "1", "node": "x"}}, "line 2, component.node: no node 'x' in the cluster"),
        ({"follows": "me"}, "line 2, follows: input should be 'slot' or 'node'"),
    ],
)
def test_fault_that_cannot_be_is_refused(change: dict, mistake: str):
    assert any(each.startswith(mistake) for each in mistakes({**FAULT, **change}))


@pytest.mark.parametrize(
    ("change", "mistake"),
    [
        ({"count": 0}, "line 2, count: must be 1 to 10,000,000"),
        ({"over_seconds": 1e12}, "line 2, over_seconds: must be 0 to"),
        ({"nodes": []}, "line 2, nodes: must name the node where it is seen"),
    ],
)
def test_noise_that_cannot_be_is_refused(change: dict, mistake: str):
    assert any(each.startswith(mistake) for each in mistakes({**NOISE, **change}))


def test_records_out_of_order_or_with_the_same_id_are_refused():
    assert mistakes(PLANNED, FAULT, {**NOISE, "id": "p1"}) == [
        "line 3, at: is before the line above (20): sort the records by time",
        "line 4, id: 'p1' was there before: ids are unique",
    ]


@pytest.mark.parametrize(
    ("change", "mistake"),
    [
        ({"format": "other"}, 'line 1, format: must be "clusterwatch-trace": is this a trace file?'),
        ({"version": 2}, "line 1, version: this version of clusterwatch reads version 1"),
        ({"kind": "recording"}, 'line 1, kind: must be "schedule"'),
        ({"days": 0}, "line 1, days: must be above 0"),
        ({"days": 1e9}, "line 1, days: must be above 0 and at most 3,660"),
        ({"start": "2026-03-04T12:00:00"}, "line 1, start: must say its time zone"),
        ({"start": "noon"}, "line 1, start: must be a time such as"),
        ({"jobs": []}, "line 1, jobs: must hold at least one job"),
        ({"jobs": HEADER["jobs"] * 2}, "line 1, jobs: two of them have the same id"),
        ({"jobs": [{**HEADER["jobs"][0], "dp": 2}]}, "line 1, jobs.0.tp: tp x pp x dp x cp must be its 16 GPUs"),
        ({"jobs": [{**HEADER["jobs"][0], "dp": 0}]}, "line 1, jobs.0.nodes_total: must be positive"),
        (
            {"jobs": [{**HEADER["jobs"][0], "nodes_total": 3}]},
            "line 1, jobs: want more than the 2 nodes of cluster.training_nodes_total",
        ),
        (
            {"jobs": [{**HEADER["jobs"][0], "step_seconds": [[1, 2]]}]},
            "line 1, jobs.0.step_seconds: must begin at second 0",
        ),
        (
            {"jobs": [{**HEADER["jobs"][0], "step_seconds": [[0, 0]]}]},
            "line 1, jobs.0.step_seconds: steps must take time",
        ),
        ({"cluster": {"name": "x", "training_nodes_total": 10**12}}, "line 1, cluster.training_nodes_total: must be"),
        ({"cluster": {"name": "x"}}, "line 1, cluster.training_nodes_total: is missing"),
        ({"colour": "red"}, "line 1, colour: no such key"),
        ({"assumptions": {"x": {"value": 1}}}, "line 1, assumptions.x.unit: is missing"),
    ],
)
def test_header_that_cannot_be_is_refused(change: dict, mistake: str):
    assert any(each.startswith(mistake) for each in mistakes(header={**HEADER, **change}))


def test_form_of_records_is_judged_even_below_a_bad_header():
    found = mistakes({**FAULT, "at": None}, header={**HEADER, "days": 0})

    assert [each.partition(":")[0] for each in found] == ["line 1, days", "line 2, at"]


@pytest.mark.parametrize(
    "line",
    [
        "[" * 100_000,
        '{"type":"fault","at":NaN}',
        b"\xff\xfe\x00",
        '{"type":' + "9" * 5_000 + "}",
        "3",
        "null",
        '"text"',
    ],
)
def test_hostile_line_is_a_mistake_and_no_crash(line: str | bytes):
    assert mistakes(line)[0].startswith("line 2")


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from([HEADER, FAULT, PLANNED, NOISE]), st.data())
def test_any_value_at_any_place_gives_a_schedule_or_mistakes(line: dict, data: st.DataObject):
    key = data.draw(st.sampled_from(sorted(line)))
    inner = line[key] if isinstance(line[key], dict) and line[key] else None
    changed = (
        data.draw(JUNK) if inner is None else {**inner, data.draw(st.sampled_from(sorted(inner))): data.draw(JUNK)}
    )
    texts = [json.dumps({**each, key: changed} if each is line else each) for each in (HEADER, FAULT, PLANNED, NOISE)]

    try:
        schedule = schedule_in(texts, "mine.jsonl")
    except ConfigError as error:
        assert error.mistakes
    else:
        assert len(schedule.records()) == 3


@given(st.lists(st.binary(max_size=40), max_size=4))
def test_any_bytes_give_mistakes(texts: list[bytes]):
    with pytest.raises(ConfigError):
        schedule_in(texts, "mine.jsonl")


def test_line_without_end_is_refused():
    assert mistakes('{"x":"' + "y" * (5 << 20) + '"}')[0].startswith("line 2: is longer than 4,194,304 characters")


def test_not_more_mistakes_are_told_than_anybody_reads():
    assert MISTAKES_KEPT <= len(mistakes(*["{"] * 1_000)) <= MISTAKES_KEPT + 10


def test_file_of_something_else_is_told_to_be_no_trace(tmp_path: Path):
    with pytest.raises(ConfigError, match="line 1: is no JSON"):
        schedule_in(["job_id,user,node_num"], "acme.csv")


def test_node_that_trains_in_no_job_has_no_slot():
    roomy = {**HEADER, "cluster": {**HEADER["cluster"], "training_nodes_total": 3}}
    fault = {**FAULT, "nodes": ["node0003"], "component": {**FAULT["component"], "node": "node0003"}}

    with pytest.raises(ConfigError, match="line 2, nodes: one of them does not train at the start"):
        schedule_in([json.dumps(roomy), json.dumps(fault)], "test")
