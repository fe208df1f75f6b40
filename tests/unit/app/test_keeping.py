"""What is kept of many events that mean the same."""

from clusterwatch.app.keeping import EVENTS_PER_MEANING, EVENTS_PER_WORDING, Kept
from clusterwatch.model import Component, ComponentKind
from clusterwatch.testing import NOON, event, seconds


def timed_out(rank: int, text: str = "", at: int = 0):
    where = Component(ComponentKind.RANK, str(rank), "node1")
    return event("nccl.collective_timeout", where, NOON + seconds(at), text=text or f"rank {rank} timed out")


def test_of_one_wording_the_earliest_are_kept():
    kept = Kept()

    for rank in range(1000):
        kept.add(timed_out(rank, at=1000 - rank), "nccl.collective_timeout")

    assert sorted(int(each.component.id) for each in kept.events()) == list(range(1000 - EVENTS_PER_WORDING, 1000))


def test_another_wording_is_kept_however_often_the_first_was_seen():
    kept = Kept()

    for rank in range(1000):
        kept.add(timed_out(rank), "nccl.collective_timeout")
    kept.add(timed_out(7, text="something else"), "nccl.collective_timeout")

    assert "something else" in {each.text for each in kept.events()}


def test_number_of_events_of_one_meaning_has_an_end():
    kept = Kept()

    for rank in range(1000):
        kept.add(timed_out(rank, text="x" * (rank % 150)), "nccl.collective_timeout")

    assert len(list(kept.events())) <= EVENTS_PER_MEANING
