import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterwatch.detect import Catalog, ObserverState, notice
from clusterwatch.detect.noticing import MOST_OPEN_TEXTS
from clusterwatch.detect.repeats import FOLD_AFTER
from clusterwatch.model import Component, ComponentKind, Event, Reading, Severity, Trust
from clusterwatch.model.kinds import ATTEMPT_ENDED, JOB_ENDED, PROGRESS

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TOMORROW = NOON + timedelta(days=1)
OFF_THE_BUS = "NVRM: Xid (PCI:0000:3B:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus."


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def kernel_line(text: str, position: int = 1, at: datetime = NOON) -> Reading:
    return Reading(source="kernel_log", node="node001", boot_id="b1", position=str(position), observed_at=at, text=text)


def job_line(text: str, position: int = 1, at: datetime = NOON, attempt: int = 1) -> Reading:
    return Reading(
        source="job_log",
        node="node001",
        position=f"train.log:{position}",
        observed_at=at,
        text=text,
        job="job1",
        attempt=attempt,
        trust=Trust.USER,
        fields={"origin": f"train.log:{position}"},
    )


def events_in(catalog: Catalog, *readings: Reading) -> list[Event]:
    state, events, _ = notice(ObserverState(), readings, catalog, readings[-1].observed_at)
    return events + notice(state, [], catalog, TOMORROW)[1]


def test_line_becomes_an_event_with_its_evidence(catalog: Catalog) -> None:
    (event,) = events_in(catalog, replace(kernel_line(OFF_THE_BUS, 1234), happened_at=NOON - seconds(1)))

    assert event.kind == "gpu.xid.79"
    assert event.component == Component(ComponentKind.GPU, "0000:3b:00", "node001")
    assert (event.severity, event.rule, event.text, event.origin) == (Severity.FATAL, "xid", OFF_THE_BUS, "1234")
    assert (event.happened_at, event.observed_at) == (NOON - seconds(1), NOON)
    assert event.fields == {"pci": "0000:3b:00", "xid": 79}


def test_event_has_the_same_id_when_it_is_read_again(catalog: Catalog) -> None:
    first = events_in(catalog, kernel_line(OFF_THE_BUS))
    again = events_in(catalog, kernel_line(OFF_THE_BUS, at=NOON + seconds(99)))
    after_reboot = events_in(catalog, replace(kernel_line(OFF_THE_BUS), boot_id="b2"))

    assert first[0].id == again[0].id != after_reboot[0].id


def test_word_of_a_user_stays_the_word_of_a_user(catalog: Catalog) -> None:
    (event,) = events_in(catalog, job_line(OFF_THE_BUS))

    assert (event.trust, event.job, event.attempt) == (Trust.USER, "job1", 1)


def test_kernel_rule_does_not_read_the_log_of_a_job(catalog: Catalog) -> None:
    assert events_in(catalog, job_line("Kernel panic - not syncing: printed by a user")) == []


def test_line_of_an_unknown_source_is_tried_against_all_rules(catalog: Catalog) -> None:
    offline = replace(kernel_line("RuntimeError: CUDA error: out of memory"), source="file")

    assert [event.kind for event in events_in(catalog, offline)] == ["cuda.oom"]


def test_unknown_xid_is_context(catalog: Catalog) -> None:
    (event,) = events_in(catalog, kernel_line("NVRM: Xid (PCI:0000:3b:00): 999, pid=1, something new"))

    assert (event.kind, event.severity) == ("gpu.xid.999", Severity.WARNING)


def test_rank_label_of_a_line_names_the_rank(catalog: Catalog) -> None:
    (event,) = events_in(catalog, job_line("[rank3]: RuntimeError: CUDA error: unspecified launch failure"))

    assert (event.component, event.rank) == (Component(ComponentKind.RANK, "3", "node001"), 3)


def test_first_repeats_go_one_by_one_and_the_rest_as_a_count(catalog: Catalog) -> None:
    readings = [kernel_line(OFF_THE_BUS, n, NOON + seconds(n / 100)) for n in range(50)]

    state, at_once, wake_at = notice(ObserverState(), readings, catalog, NOON + seconds(0.5))
    _, later, _ = notice(state, [], catalog, wake_at or NOON)

    assert [event.count for event in at_once] == [1] * FOLD_AFTER
    assert wake_at == readings[FOLD_AFTER].observed_at + seconds(1)
    (window,) = later
    assert (window.count, window.happened_at, window.until) == (40, NOON + seconds(0.1), NOON + seconds(0.49))


def test_windows_of_a_storm_grow(catalog: Catalog) -> None:
    readings = [kernel_line(OFF_THE_BUS, n, NOON + seconds(n / 10)) for n in range(6000)]

    events = events_in(catalog, *readings)

    assert sum(event.count for event in events) == 6000
    assert len(events) <= FOLD_AFTER + 15
    assert len({event.id for event in events}) == len(events)


def test_repeat_after_a_long_silence_is_news_again(catalog: Catalog) -> None:
    storm = [kernel_line(OFF_THE_BUS, n, NOON) for n in range(12)]
    state, _, _ = notice(ObserverState(), storm, catalog, NOON)
    state, _, _ = notice(state, [], catalog, NOON + seconds(5))

    later = kernel_line(OFF_THE_BUS, 99, NOON + seconds(600))
    _, events, wake_at = notice(state, [later], catalog, NOON + seconds(600))

    assert ([event.count for event in events], wake_at) == ([1], None)


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.sampled_from([31, 79]), st.floats(0, 20)), min_size=1, max_size=120),
    st.lists(st.integers(0, 120), max_size=8),
)
def test_every_occurrence_is_counted_once_however_the_batches_are_cut(
    catalog: Catalog, xids: list[tuple[int, float]], cuts: list[int]
) -> None:
    at = NOON
    readings = []
    for position, (xid, pause) in enumerate(xids):
        at += seconds(pause)
        readings.append(kernel_line(f"NVRM: Xid (PCI:0000:3b:00): {xid}, pid=1", position, at))
    bounds = sorted({0, len(readings), *(cut for cut in cuts if cut < len(readings))})

    state, events = ObserverState(), []
    for begin, end in pairwise(bounds):
        state, found, _ = notice(state, readings[begin:end], catalog, readings[end - 1].observed_at)
        events += found
        state = ObserverState.from_json(json.loads(json.dumps(state.to_json())))
    events += notice(state, [], catalog, TOMORROW)[1]

    for xid in (31, 79):
        counted = sum(event.count for event in events if event.kind == f"gpu.xid.{xid}")
        assert counted == sum(number == xid for number, _ in xids)
    assert len({event.id for event in events}) == len(events)
    assert events == events_in(catalog, *readings)


def test_first_step_of_an_attempt_is_told_at_once_and_the_next_once_a_second(catalog: Catalog) -> None:
    lines = [job_line(f"step={n} loss={1 / n:.3f}", n, NOON + seconds(n / 10)) for n in range(1, 6)]

    state, at_once, wake_at = notice(ObserverState(), lines, catalog, NOON + seconds(0.5))
    _, later, _ = notice(state, [], catalog, NOON + seconds(2))

    assert [event.fields["step"] for event in at_once] == [1]
    assert wake_at == NOON + seconds(1.2)
    (told,) = later
    assert (told.kind, told.component) == (PROGRESS, Component(ComponentKind.JOB, "job1"))
    assert (told.fields["first_step"], told.fields["step"], told.fields["loss"]) == (2, 5, 0.2)
    assert told.fields["first_at"] == (NOON + seconds(0.2)).isoformat()
    assert told.happened_at == NOON + seconds(0.5)


def test_step_that_every_rank_prints_counts_once(catalog: Catalog) -> None:
    lines = [job_line(f"[rank{rank}]: step={step} loss=1.0", 10 * step + rank) for step in (1, 2) for rank in range(4)]

    events = events_in(catalog, *lines)

    assert [event.fields["step"] for event in events] == [1, 2]


def test_step_goes_back_only_with_a_new_attempt(catalog: Catalog) -> None:
    events = events_in(
        catalog,
        job_line("step=7 loss=1.0", 1),
        job_line("step=5 loss=1.0", 2),
        job_line("step=8 loss=1.0", 3),
        job_line("step=5 loss=1.0", 4, attempt=2),
        job_line("step=9 loss=1.0", 5, attempt=1),
    )

    assert [(event.attempt, event.fields["step"]) for event in events] == [(1, 7), (1, 8), (2, 5)]


@pytest.mark.parametrize(
    "ending",
    [
        job_line("RuntimeError: CUDA error: out of memory", 9),
        replace(job_line("", 9), subject=ATTEMPT_ENDED, source="process", fields={"exit_code": 1}),
        replace(job_line("", 9), subject="process.exit", source="process", fields={"exit_code": 0}),
        kernel_line(OFF_THE_BUS),
    ],
    ids=["error", "attempt ended", "process exit", "fault of the node"],
)
def test_last_step_is_told_before_what_ended_the_job(catalog: Catalog, ending: Reading) -> None:
    lines = [job_line("step=1 loss=1.0", 1), job_line("step=2 loss=1.0", 2)]

    _, events, _ = notice(ObserverState(), [*lines, ending], catalog, NOON)

    assert [event.fields.get("step") for event in events][:2] == [1, 2]
    assert len(events) == 3


def test_job_that_ended_is_forgotten(catalog: Catalog) -> None:
    ended = replace(job_line("", 9), subject=JOB_ENDED, source="process", fields={"state": "completed"})

    state, _, _ = notice(ObserverState(), [job_line("step=1 loss=1.0"), ended], catalog, NOON)

    assert state == ObserverState()


def test_texts_that_were_cut_short_do_not_pile_up(catalog: Catalog) -> None:
    begun = job_line("Traceback (most recent call last):")
    readings = [replace(begun, fields={"origin": f"{file}.log:1"}) for file in range(MOST_OPEN_TEXTS + 50)]

    state, _, _ = notice(ObserverState(), readings, catalog, NOON)

    assert len(state.assemblies) == MOST_OPEN_TEXTS


def test_empty_state_survives_json() -> None:
    assert ObserverState.from_json({}) == ObserverState() == ObserverState.from_json(ObserverState().to_json())


def test_open_state_survives_json(catalog: Catalog) -> None:
    readings = [kernel_line(OFF_THE_BUS, n) for n in range(15)]
    readings += [
        job_line("step=1 loss=nan", 1),
        job_line("step=2 loss=2.0", 2),
        job_line("Traceback (most recent call last):", 3),
    ]
    state, _, _ = notice(ObserverState(), readings, catalog, NOON)

    assert ObserverState.from_json(json.loads(json.dumps(state.to_json(), allow_nan=False))) == state


PIECES = [
    "Traceback (most recent call last):",
    '  File "a.py", line 3, in f',
    "ValueError: x",
    "Root Cause (first observed failure):",
    "  rank      : 2 (local_rank: 2)",
    "  exitcode  : -9 (pid: 1)",
    "  traceback : Signal 9",
    "=" * 40,
    "[rank1]: ",
    "3: ",
    "NVRM: Xid (PCI:0000:3b:00): ",
    "99999999999999999999",
    "iteration 1/ 2 |",
    "step=",
    "loss: nan",
    "\x00\udcff",
    " 12%|█▏| 12/100 [00:10<01:20, 1.1s/it]",
]


@given(
    st.lists(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(PIECES), max_size=5).map("".join)), max_size=15)
)
def test_no_text_makes_it_fail(catalog: Catalog, lines: list[str]) -> None:
    readings = [job_line(line, position) for position, line in enumerate(lines)]
    readings += [kernel_line(line, position) for position, line in enumerate(lines)]

    state, events, _ = notice(ObserverState(), readings, catalog, NOON)

    assert all(len(event.text) <= 400 for event in events)
    assert state.to_json() is not None


@given(
    st.sampled_from(["gpu.sample", "host.sample", "host.mount", "process.exit", "rank.placed", "something.new", "x"]),
    st.dictionaries(
        st.sampled_from(
            ["lost", "ecc_uncorrected_total", "throttle_reasons", "used_percent", "rank", "exit_code", "signal", "pci"]
        ),
        st.one_of(st.none(), st.text(max_size=8), st.integers(), st.floats(), st.booleans()),
    ),
)
def test_no_sample_or_state_makes_it_fail(catalog: Catalog, subject: str, fields: dict[str, object]) -> None:
    reading = replace(kernel_line("", 1), subject=subject, fields=fields, source="host")

    state, _, _ = notice(ObserverState(), [reading, replace(reading, position="2")], catalog, NOON)

    assert state.to_json() is not None
