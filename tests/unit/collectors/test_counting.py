from hypothesis import given
from hypothesis import strategies as st

from collectors._counting import Totals, totals_in

growths = st.lists(st.integers(0, 50), min_size=1, max_size=30)


@given(start=st.integers(0, 10**6), steps=growths)
def test_total_is_what_was_added_since_the_first_look(start: int, steps: list[int]):
    totals, raw = Totals(), start
    totals.add({"errors": raw})

    for step in steps:
        raw += step
        told = totals.add({"errors": raw})

    assert told == {"errors": sum(steps)}


@given(start=st.integers(0, 255), steps=growths)
def test_counter_that_turns_over_loses_nothing(start: int, steps: list[int]):
    totals, raw = Totals(turns_at={"errors": 256}), start
    totals.add({"errors": raw})

    # Small steps: a counter is looked at more often than it turns over.
    for step in (min(step, 20) for step in steps):
        raw = (raw + step) % 256
        told = totals.add({"errors": raw})

    assert told["errors"] == sum(min(step, 20) for step in steps)


@given(values=st.lists(st.integers(0, 100), min_size=1, max_size=30))
def test_total_never_falls_however_often_the_counter_is_cleared(values: list[int]):
    totals = Totals()

    told = [totals.add({"errors": value})["errors"] for value in values]

    assert told == sorted(told)


@given(values=st.lists(st.integers(0, 3), min_size=1, max_size=30), sparse=st.booleans())
def test_what_is_stored_goes_on_as_if_nothing_had_happened(values: list[int], sparse: bool):
    unbroken, stored = Totals(sparse=sparse), {}

    for value in values:
        resumed = Totals(
            dict(totals_in({"boot_id": "b", "counters": {"device": stored}}, "b")["device"]), sparse=sparse
        )
        assert resumed.add({"errors": value}) == unbroken.add({"errors": value})
        stored = resumed.stored


def test_counter_that_is_missing_for_a_while_keeps_its_total():
    totals = Totals()
    totals.add({"errors": 5})
    totals.add({"errors": 8})

    totals.add({})

    assert totals.add({"errors": 9}) == {"errors": 4}


def test_counters_that_moved_are_named():
    totals = Totals(sparse=True)
    totals.add({"a": 1, "b": 0})

    totals.add({"a": 1, "b": 2})

    assert totals.moved == ("b",)


def test_counters_of_another_boot_are_forgotten():
    assert totals_in({"boot_id": "before", "counters": {"device": {"errors": [5, 2]}}}, "now") == {}
