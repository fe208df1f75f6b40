"""Schedules to lines and back."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwatch.errors import ConfigError
from clusterwatch.model import Cause, Component, ComponentKind
from simulators.cluster import ClusterSpec
from simulators.trace.schedule import Assumption, Fault, Follows, JobPlan, Noise, PlannedStop, Schedule, lines, read

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
GPU = Component(ComponentKind.GPU, "0000:18:00", "node0002")
SMALL = Schedule(
    name="small",
    seed=7,
    start=NOON,
    days=1.0,
    cluster=ClusterSpec("small", training_nodes_total=4, spares_total=1),
    jobs=(JobPlan("job", "pretrain", "ada", 4, "megatron", 4711, 8, 2, 2, 1, ((0.0, 6.2), (60.5, 7.0))),),
    assumptions={"load_seconds": Assumption(60.0, "s", "nobody published it", published=False)},
)
FAULT = Fault(10.25, "f0001", Cause.FAULTY_GPU, "gpu_fell_off_bus", GPU, ("node0002",), 3600.0, 5)
PLANNED = PlannedStop(20.0, "p0001", True, (), 300.0, "a new data set", 6)
NOISE = Noise(10.25, "n0001", "link_flap", ("node0005",), Component(ComponentKind.NODE, "node0005", "node0005"), 7)


def test_schedule_is_the_same_after_it_was_written_and_read():
    schedule = replace(SMALL, faults=(FAULT,), planned=(PLANNED,), noise=(NOISE, replace(NOISE, id="n2", count=9)))

    assert read(lines(schedule)) == schedule


def test_lines_are_in_the_order_of_time_and_as_short_as_can_be():
    schedule = replace(SMALL, faults=(FAULT,), planned=(PLANNED,), noise=(NOISE,))

    head, *records = lines(schedule)

    assert head.startswith('{"format":"clusterwatch-trace","version":1,"kind":"schedule","name":"small","seed":7,')
    assert records == [
        '{"type":"fault","at":10.25,"id":"f0001","cause":"faulty_gpu","kind":"gpu_fell_off_bus",'
        '"component":{"kind":"gpu","id":"0000:18:00","node":"node0002"},"nodes":["node0002"],'
        '"repair_seconds":3600,"seed":5}',
        '{"type":"noise","at":10.25,"id":"n0001","kind":"link_flap","nodes":["node0005"],'
        '"component":{"kind":"node","id":"node0005","node":"node0005"},"seed":7}',
        '{"type":"planned","at":20,"id":"p0001","announced":true,"nodes":[],"duration_seconds":300,'
        '"reason":"a new data set","seed":6}',
    ]


def milliseconds(last: float):
    return st.floats(0, last).map(lambda seconds: round(seconds, 3))


NODES = st.sampled_from(SMALL.cluster.training_nodes)
FAULTS = st.builds(
    lambda at, cause, node, repair, seed, follows: Fault(
        at, "", cause, "kind", Component(ComponentKind.GPU, "1", node), (node,), repair, seed, follows
    ),
    milliseconds(86_400),
    st.sampled_from(sorted(set(Cause) - {Cause.BENIGN, Cause.PLANNED_MAINTENANCE})),
    NODES,
    milliseconds(1e6),
    st.integers(0, 2**31),
    st.sampled_from(Follows),
)
NOISES = st.builds(
    lambda at, node, count, over: Noise(
        at, "", "noise", (node,), Component(ComponentKind.NODE, node, node), 1, count, over
    ),
    milliseconds(86_400),
    NODES,
    st.integers(1, 10**6),
    milliseconds(1000),
)


def named(records: list, letter: str) -> tuple:
    """Return *records* in the order of time with ids."""
    ordered = sorted(records, key=lambda record: record.at)
    return tuple(replace(record, id=f"{letter}{number:04d}") for number, record in enumerate(ordered))


@given(st.lists(FAULTS, max_size=5), st.lists(NOISES, max_size=5), st.text(st.characters(codec="utf-8"), max_size=9))
def test_any_schedule_survives_its_file(faults: list[Fault], noise: list[Noise], source: str):
    schedule = replace(
        SMALL,
        faults=named(faults, "f"),
        noise=named(noise, "n"),
        assumptions={"x": Assumption(0.1, "s", source, published=True)},
    )

    assert read(lines(schedule)) == schedule


def test_job_takes_the_nodes_after_those_of_the_job_before_it():
    first = replace(SMALL.jobs[0], nodes_total=1, tp=8, pp=1, dp=1)
    schedule = replace(SMALL, jobs=(first, replace(first, id="second", nodes_total=2)))

    assert schedule.nodes_of(schedule.jobs[1]) == ("node0002", "node0003")


@pytest.mark.parametrize(("seconds", "step"), [(0.0, 6.2), (60.4, 6.2), (60.5, 7.0), (1e6, 7.0)])
def test_steps_take_longer_after_a_ramp(seconds: float, step: float):
    assert SMALL.jobs[0].step_seconds_at(seconds) == step


def test_assumption_that_a_trace_does_not_make_has_a_stated_value():
    assert (SMALL.assumed("load_seconds", 1.0), SMALL.assumed("cold_node_seconds", 600.0)) == (60.0, 600.0)


def test_empty_file_is_no_trace():
    with pytest.raises(ConfigError, match="the file is empty"):
        read([], "empty.jsonl")
