from datetime import UTC, datetime, timedelta

from simulators.agenda import Agenda

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def test_actions_are_done_in_the_order_of_time_each_at_its_own():
    agenda, done = Agenda(), []
    agenda.after(NOON, 2, lambda at: done.append(("later", at)))
    agenda.after(NOON, 1, lambda at: done.append(("sooner", at)))

    agenda.run_until(NOON + timedelta(seconds=5))

    assert done == [("sooner", NOON + timedelta(seconds=1)), ("later", NOON + timedelta(seconds=2))]


def test_of_two_at_the_same_time_the_first_noted_goes_first():
    agenda, done = Agenda(), []
    agenda.after(NOON, 1, lambda at: done.append("first"))
    agenda.after(NOON, 1, lambda at: done.append("second"))

    agenda.run_until(NOON + timedelta(seconds=1))

    assert done == ["first", "second"]


def test_what_an_action_adds_is_done_if_it_is_due():
    agenda, done = Agenda(), []
    agenda.after(NOON, 1, lambda at: agenda.after(at, 1, done.append))

    agenda.run_until(NOON + timedelta(seconds=3))

    assert done == [NOON + timedelta(seconds=2)]


def test_what_is_not_due_waits():
    agenda, done = Agenda(), []
    agenda.after(NOON, 2, done.append)

    agenda.run_until(NOON + timedelta(seconds=1))

    assert done == []
