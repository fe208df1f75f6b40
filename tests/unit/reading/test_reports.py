from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterwatch.client.lines import LONGEST, line
from clusterwatch.reading.reports import Report, Topic, report_in
from clusterwatch.reading.text import printable

NAMES = st.sampled_from(["loss", "tokens", "step_seconds", "total", "seconds", "stall", "bytes", "rank"])
FINITE = st.floats(allow_nan=False, allow_infinity=False, width=32)


def test_report_of_a_step_is_read():
    report = report_in("clusterwatch: step=120 loss=1.83 tokens=1.2e9 at=1795259066.5 rank=3")

    assert report == Report(
        Topic.STEP,
        {"step": 120.0, "loss": 1.83, "tokens": 1.2e9, "at": 1795259066.5, "rank": 3.0},
        datetime(2026, 11, 21, 11, 4, 26, 500_000, tzinfo=UTC),
    )
    assert report.whole("tokens") == 1_200_000_000


@pytest.mark.parametrize(
    "before", ["", "[rank3]: ", "3: ", "2026-11-21 11:04:26 INFO ", "  5%|5    | 3/60 [00:01<00:20] ", "step=12"]
)
def test_what_stands_before_a_report_does_not_matter(before):
    assert report_in(f"{before}clusterwatch: step=13").whole("step") == 13


@pytest.mark.parametrize(
    "said",
    [
        "clusterwatch: is a fine tool",
        "clusterwatch: step=12 and so on",
        "clusterwatch:step=12",
        "clusterwatch: step=",
        "clusterwatch:  step=12",
        'clusterwatch: step=12 path="/a',
        'clusterwatch: path="/a"b step=1',
        "clusterwatch: loss=1.5",
        "clusterwatch:",
        "",
    ],
)
def test_what_is_no_report_to_its_end_says_nothing(said):
    assert report_in(said) is None


def test_names_that_nobody_knows_are_left_out():
    assert report_in("clusterwatch: step=12 lr=0.1 mood=good").values == {"step": 12.0}


def test_value_that_is_no_number_where_one_belongs_is_left_out():
    assert report_in("clusterwatch: step=12 loss=low").values == {"step": 12.0}


def test_of_two_lines_that_ran_into_each_other_the_second_counts():
    assert report_in('clusterwatch: step=12 path="/a clusterwatch: step=13').whole("step") == 13


def test_of_a_line_that_was_cut_the_last_value_does_not_count():
    assert report_in("clusterwatch: step=12 loss=1.8", is_cut=True).values == {"step": 12.0}
    assert report_in("clusterwatch: step=12", is_cut=True) is None


@pytest.mark.parametrize("path", ["/a\nb", "/a\x1b[2J", "/a\x00", "/a\udc80"])
def test_text_that_could_forge_a_line_or_a_terminal_is_not_taken(path):
    report = report_in(line({"checkpoint": "end", "step": 12, "path": path}))

    assert (report.text("checkpoint"), report.text("path")) == ("end", "")


def test_loss_that_is_no_number_any_more_is_kept_but_counts_as_none():
    report = report_in("clusterwatch: step=12 loss=nan")

    assert report.number("loss") is None
    assert str(report.values["loss"]) == "nan"


@given(st.integers(0, 2**53 - 1), st.dictionaries(NAMES, FINITE), st.floats(0, 4e9))
def test_numbers_come_back_as_they_were_reported(step, numbers, at):
    report = report_in(
        line({"step": step, **{name: float(value) for name, value in numbers.items()}, "at": f"{at:.3f}"})
    )

    assert report.whole("step") == step
    assert all(report.number(name) == pytest.approx(value, rel=1e-11) for name, value in numbers.items())


@given(st.text(max_size=300), st.text(max_size=300))
def test_texts_come_back_as_they_were_or_not_at_all(path, section):
    written = line({"checkpoint": "end", "path": path, "section": section})

    report = report_in(printable(written))

    assert len(written) <= LONGEST
    assert report.text("path") in (path, "")
    assert report.text("section") in (section, "")
    assert report.text("path") == path or not (path.isprintable() and f" path={path}" in written)


@given(st.text(max_size=400))
def test_no_text_raises_or_is_taken_for_more_than_printable(text):
    report = report_in(f"clusterwatch: {text}")

    assert report is None or all(value.isprintable() for value in report.values.values() if isinstance(value, str))


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(1, 200))
def test_line_that_was_torn_anywhere_never_tells_of_another_step(step, seconds, kept):
    whole = line({"checkpoint": "end", "path": "/a b", "seconds": float(seconds), "step": step})

    report = report_in(whole[:kept], is_cut=kept < len(whole))

    assert report is None or report.whole("step") in (None, step)
