"""What the ranks of a node print alike becomes the same incident, read line by line or folded by who read it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from clusterwatch import pipeline
from clusterwatch.detect import ObserverState
from clusterwatch.model import Event, Reading, Trust, World
from clusterwatch.model import ranks as ranges
from clusterwatch.testing import NOON, seconds, training_job
from shipped import shipped_catalog

CATALOG = shipped_catalog()
LIMITS = pipeline.Limits()
NODES = ("node001", "node002", "node003")
GPUS = 8
LATER = NOON + seconds(60)

TIMED_OUT = (
    "[rank{rank}]:[E1121 12:00:30.123 ProcessGroupNCCL.cpp:632] [Rank {rank}] Watchdog caught collective operation "
    "timeout: WorkNCCL(SeqNum=12, OpType=ALLREDUCE, NumelIn=1, NumelOut=1, Timeout(ms)=600000) ran for 600029 "
    "milliseconds before timing out."
)


@dataclass(frozen=True)
class Printed:
    """A rank prints the line, so many seconds after the first could."""

    rank: int
    after: float

    @property
    def node(self) -> str:
        return NODES[self.rank // GPUS]

    @property
    def at(self) -> datetime:
        return NOON + seconds(30 + self.after)


def line(printed: Printed, position: int, **fields: str | int) -> Reading:
    return Reading(
        source="job_log",
        node=printed.node,
        position=f"{printed.rank}.log:{position}",
        observed_at=NOON + seconds(31),
        happened_at=printed.at,
        trust=Trust.USER,
        text=TIMED_OUT.format(rank=printed.rank),
        fields={"origin": f"{printed.rank}.log:{position}", **fields},
        job="job-1",
        attempt=1,
        rank=printed.rank,
    )


def folded(printed: Sequence[Printed]) -> Reading:
    first, last = min(each.at for each in printed), max(each.at for each in printed)
    ranks = ranges.merged((each.rank, each.rank) for each in printed)
    told = {"ranks": ranges.as_text(ranks), "count": len(printed)}
    return line(printed[0], 1, **told, first_at=first.isoformat(), last_at=last.isoformat())


def batches_of(readings: Sequence[Reading], cuts: Sequence[int]) -> list[Sequence[Reading]]:
    places = [0, *sorted(min(cut, len(readings)) for cut in cuts), len(readings)]
    return [readings[start:end] for start, end in pairwise(places)]


def turns(batches: Sequence[Sequence[Reading]]) -> tuple[list[Event], World]:
    """Return the events of *batches* and the world after them, each batch observed and responded to by itself."""
    world = pipeline.respond(World(NOON), training_job(), CATALOG.knowledge, LIMITS, NOON).world
    state, told = ObserverState(), list[Event]()
    for now, batch in [*((NOON + seconds(31), batch) for batch in batches), (LATER, ())]:
        state, events, _ = pipeline.observe(state, batch, CATALOG, now)
        world = pipeline.respond(world, events, CATALOG.knowledge, LIMITS, now).world
        told += events
    return told, world


def gist(world: World) -> set[tuple[object, ...]]:
    return {
        (each.kind, each.component, each.first_at, each.last_at, each.count, each.field("ranks"), incident.nodes)
        for incident in world.incidents.values()
        for each in incident.evidence
    }


ALIKE = st.lists(
    st.builds(Printed, st.integers(0, len(NODES) * GPUS - 1), st.integers(0, 20).map(lambda tenths: tenths / 10)),
    min_size=1,
    max_size=40,
)


@settings(max_examples=60)
@given(ALIKE, st.lists(st.integers(0, 40), max_size=5), st.permutations(NODES), st.lists(st.integers(0, 3), max_size=2))
def test_lines_of_ranks_and_folded_ones_become_equal_incidents(
    printed: list[Printed], cuts: list[int], order: list[str], cuts_of_folded: list[int]
):
    by_node = [[each for each in printed if each.node == node] for node in order]
    lines = [line(each, position) for position, each in enumerate(printed)]

    _, one_by_one = turns(batches_of(lines, cuts))
    _, at_once = turns(batches_of([folded(each) for each in by_node if each], cuts_of_folded))

    assert gist(one_by_one) == gist(at_once)
    assert sum(each.count for i in at_once.incidents.values() for each in i.evidence) == len(printed)


def test_symptom_of_a_nodes_ranks_is_one_event_held_back_for_a_second():
    lines = [line(Printed(rank, rank / 10), rank) for rank in (11, 8, 9, 10, 15)]

    state, at_once, wake_at = pipeline.observe(ObserverState(), lines, CATALOG, NOON + seconds(31))
    _, later, _ = pipeline.observe(state, (), CATALOG, NOON + seconds(32))

    assert at_once == []
    assert wake_at == NOON + seconds(32)
    (event,) = later
    assert (event.count, event.rank, event.component.id, event.fields["ranks"]) == (5, 8, "8", "8-11,15")
    assert (event.happened_at, event.until) == (NOON + seconds(30.8), NOON + seconds(31.5))


def test_windows_of_a_symptom_double():
    def wakes(at: datetime, state: ObserverState) -> tuple[timedelta, ObserverState]:
        reading = replace(line(Printed(1, 0), at.second), observed_at=at)
        state, _, wake_at = pipeline.observe(state, [reading], CATALOG, at)
        assert wake_at is not None
        return wake_at - at, pipeline.observe(state, (), CATALOG, wake_at)[0]

    first, state = wakes(NOON, ObserverState())
    second, state = wakes(NOON + seconds(10), state)
    third, _ = wakes(NOON + seconds(20), state)

    assert [first, second, third] == [seconds(1), seconds(2), seconds(4)]


def test_symptom_of_one_rank_alone_stays_that_ranks_own():
    lines = [line(Printed(3, 0), 1)]

    (event,) = turns([lines])[0]

    assert (event.rank, event.count, event.until, "ranks" in event.fields) == (3, 1, None, False)


def test_what_may_be_the_cause_goes_at_once_from_each_rank():
    text = "RuntimeError: CUDA error: unspecified launch failure"
    readings = [
        Reading(
            source="job_log",
            node="node001",
            position=str(rank),
            observed_at=NOON,
            text=text,
            trust=Trust.USER,
            job="job-1",
            attempt=1,
            rank=rank,
        )
        for rank in range(4)
    ]

    _, events, wake_at = pipeline.observe(ObserverState(), readings, CATALOG, NOON)

    assert [event.rank for event in events] == [0, 1, 2, 3]
    assert wake_at is None


def test_folded_line_that_says_nothing_else_counts_one_of_each_rank():
    reading = line(Printed(8, 0), 1, ranks="8-15")

    _, (event,), wake_at = pipeline.observe(ObserverState(), [reading], CATALOG, NOON + seconds(31))

    assert (event.count, event.fields["ranks"], event.until, wake_at) == (8, "8-15", event.happened_at, None)


def test_folded_line_whose_fields_make_no_sense_is_a_plain_line():
    reading = line(Printed(8, 0), 1, ranks="many", count="some", first_at="noon", last_at="12:00")

    _, (event,), _ = pipeline.observe(ObserverState(), [reading], CATALOG, NOON + seconds(31))

    assert (event.count, event.rank, event.until, "ranks" in event.fields) == (1, 8, None, False)
