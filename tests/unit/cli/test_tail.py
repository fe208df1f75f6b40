from __future__ import annotations

from datetime import UTC, datetime

from clusterwatch.cli.views.events import Numbered, Tail
from clusterwatch.model import Component, ComponentKind, Event

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


def event(number: int) -> Numbered:
    component = Component(ComponentKind.NODE, "node001", "node001")
    return number, Event(
        id=f"{number:032x}", kind="host.reboot", component=component, happened_at=NOON, observed_at=NOON, source="host"
    )


def test_each_new_event_is_told_once() -> None:
    stored = [event(1), event(2)]
    tail = Tail(lambda after: [each for each in stored if each[0] > after], last=2)

    before = list(tail.new())
    stored += [event(3), event(4)]
    after = list(tail.new())
    again = list(tail.new())

    assert ([number for number, _ in before], [number for number, _ in after], again) == ([], [3, 4], [])


def test_event_that_commits_after_a_higher_number_is_told() -> None:
    stored = [event(1)]
    tail = Tail(lambda after: sorted(each for each in stored if each[0] > after), last=1)

    stored.append(event(3))
    first = [number for number, _ in tail.new()]
    stored.append(event(2))
    second = [number for number, _ in tail.new()]

    assert (first, second) == ([3], [2])


def test_long_tail_remembers_little() -> None:
    stored: list[Numbered] = []
    tail = Tail(lambda after: [each for each in stored if each[0] > after][:2000], last=0)
    told = 0

    for batch in range(10):
        stored += [event(number) for number in range(batch * 1000 + 1, batch * 1000 + 1001)]
        told += len(list(tail.new()))

    assert told == 10_000
    assert len(tail._shown) <= 500


def test_events_stored_before_the_beginning_stay_out() -> None:
    stored = [event(number) for number in range(1, 800)]

    assert list(Tail(lambda after: [each for each in stored if each[0] > after], last=799).new()) == []
