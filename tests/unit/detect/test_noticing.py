import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clusterwatch.detect import Catalog, ObserverState, notice
from clusterwatch.detect.noticing import MOST_OPEN_TEXTS
from clusterwatch.detect.repeats import FOLD_AFTER
from clusterwatch.model import Component, ComponentKind, Event, Reading, Severity, Trust
from clusterwatch.model.kinds import ATTEMPT_ENDED, JOB_ENDED, PROGRESS
from shipped import shipped_catalog

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


def test_process_that_the_kernel_killed_is_named_by_its_number(catalog: Catalog) -> None:
    (event,) = events_in(catalog, kernel_line("Out of memory: Killed process 24514 (python3) total-vm:210212344kB"))

    assert (event.kind, event.fields["pid"]) == ("kernel.oom_kill", 24514)


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
    xids: list[tuple[int, float]], cuts: list[int]
) -> None:
    catalog, at = shipped_catalog(), NOON
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


def test_steps_of_an_earlier_attempt_do_not_count_any_more(catalog: Catalog) -> None:
    events = events_in(
        catalog,
        job_line("step=7 loss=1.0", 1),
        job_line("step=8 loss=1.0", 2),
        job_line("step=5 loss=1.0", 3, attempt=2),
        job_line("step=9 loss=1.0", 4, attempt=1),
    )

    assert [(event.attempt, event.fields["step"]) for event in events] == [(1, 7), (1, 8), (2, 5)]


def steps_in(catalog: Catalog, *lines: tuple[float, str]) -> list[tuple[object, bool]]:
    """Return the steps told of *lines*, each with its second, and whether its counter had started again."""
    readings = [job_line(text, position, NOON + seconds(at)) for position, (at, text) in enumerate(lines)]
    return [(event.fields["step"], "restarted" in event.fields) for event in events_in(catalog, *readings)]


def test_counter_that_starts_again_is_told_as_a_sign_of_life(catalog: Catalog) -> None:
    lines = [(2 * at, f"epoch {at // 3} step {at % 3 + 1} loss 2.31") for at in range(7)]

    told = steps_in(catalog, *lines, (20, "epoch 9 step 4 loss 2.31"))

    assert told == [(1, False), (2, False), (3, False), (1, True), (2, True), (3, True), (1, True), (4, False)]


def test_counter_that_started_again_takes_nothing_from_the_steps_of_the_same_second(catalog: Catalog) -> None:
    lines = [(at / 10, f"epoch {at // 3} step {at % 3 + 1} loss 2.31") for at in range(6)]

    assert steps_in(catalog, *lines) == [(1, False), (3, False)]
    assert steps_in(catalog, *lines[:2], (9, "step 1 loss 1"), (9.1, "step 9 loss 1")) == [
        (1, False),
        (2, False),
        (9, False),
    ]


def test_sign_of_life_tells_no_rate(catalog: Catalog) -> None:
    readings = [job_line(f"step={step} loss=1.0", step, NOON + seconds(9 - step)) for step in (9, 5, 4)]

    *_, event = events_in(catalog, *readings)

    assert not {"first_step", "first_at"} & event.fields.keys()


@pytest.mark.parametrize("stray", ["step 1718000000 loss 1", "iter 99999: loss 1.0, time 9.0ms"])
def test_one_stray_number_far_ahead_does_not_hide_the_steps_after_it(catalog: Catalog, stray: str) -> None:
    lines = [(2 * step, f"step {step} loss 1.0") for step in range(1, 8)]

    assert steps_in(catalog, *lines[:4], (9, stray), *lines[4:]) == [(step, False) for step in range(1, 8)]


def test_steps_that_go_on_far_ahead_count(catalog: Catalog) -> None:
    lines = [(2 * at, f"step {step} loss 1.0") for at, step in enumerate((1, 2, 3, 50_000, 50_001, 50_002))]

    assert steps_in(catalog, *lines) == [(step, False) for step in (1, 2, 3, 50_001, 50_002)]


def test_other_counter_does_not_count_while_the_first_one_moves(catalog: Catalog) -> None:
    lines = [(at, f"step {at} loss 1.0") for at in range(0, 60, 2)]
    others = [(at + 1, f"iter {at * 100}: loss 4.2123, time 123.45ms") for at in range(0, 60, 2)]

    assert steps_in(catalog, *sorted(lines + others)) == [(at, False) for at in range(0, 60, 2)]


@pytest.mark.parametrize(("silence", "is_taken_over"), [(19, False), (21, True)])
def test_other_counter_counts_once_the_first_is_silent(catalog: Catalog, silence: float, is_taken_over: bool) -> None:
    lines = [(at, f"step {at} loss 1.0") for at in (0, 2, 4)]

    told = steps_in(catalog, *lines, (4 + silence, "iter 9: loss 4.2, time 123.45ms"))

    assert told == [(0, False), (2, False), (4, False), *([(9, False)] if is_taken_over else [])]


def test_counter_that_spoke_once_is_waited_for_ten_minutes(catalog: Catalog) -> None:
    first, early, late = (
        (0, "step 5 loss 1"),
        (599, "iter 8: loss 4.2, time 1.0ms"),
        (601, "iter 9: loss 4.2, time 1.0ms"),
    )

    assert steps_in(catalog, first, early, late) == [(5, False), (9, False)]


def test_same_rule_in_another_file_is_another_counter(catalog: Catalog) -> None:
    other = replace(job_line("step=90 loss=1.0", 1, NOON + seconds(3)), fields={"origin": "b.log:1", "stream": "b.log"})
    rotated = replace(
        job_line("step=3 loss=1.0", 1, NOON + seconds(4)), fields={"origin": "train.log.1:7", "stream": "train.log"}
    )

    events = events_in(catalog, *(job_line(f"step={n} loss=1.0", n, NOON + seconds(n)) for n in (1, 2)), other, rotated)

    assert [event.fields["step"] for event in events] == [1, 2, 3]


def test_bar_of_an_evaluation_is_a_sign_of_life_and_moves_no_counter(catalog: Catalog) -> None:
    bar = " 12%|#         | {}/{} [00:10<01:20,  1.00s/it]".format
    training = [(2 * step, bar(step, 1000)) for step in (1, 2, 3)]
    evaluation = [(10 + 2 * step, bar(step * 20, 600)) for step in (1, 2)]

    told = steps_in(catalog, *training, *evaluation, (30, bar(4, 1000)))

    assert told == [(1, False), (2, False), (3, False), (3, True), (3, True), (4, False)]


def test_steps_flushed_together_tell_no_rate(catalog: Catalog) -> None:
    first = job_line("step=1 loss=1.0", 1)
    flushed = [job_line(f"step={step} loss=1.0", step, NOON + seconds(60)) for step in range(2, 50)]
    rest = [job_line(f"step={step} loss=1.0", step, NOON + seconds(60.1)) for step in range(50, 60)]

    _, event = events_in(catalog, first, *flushed, *rest)

    assert (event.fields["step"], event.fields["first_step"], "first_at" in event.fields) == (59, 2, False)


def test_step_flushed_together_with_one_that_was_told_tells_no_rate(catalog: Catalog) -> None:
    lines = [job_line(f"step={step} loss=1.0", step, NOON + seconds(at)) for step, at in ((1, 0), (2, 0), (3, 0.5))]

    _, event = events_in(catalog, *lines)

    assert (event.fields["step"], "first_at" in event.fields) == (3, False)


def test_times_of_the_lines_themselves_tell_a_rate_however_they_were_flushed(catalog: Catalog) -> None:
    lines = [
        replace(job_line(f"step={step} loss=1.0", step, NOON + seconds(60)), happened_at=NOON + seconds(step))
        for step in (1, 2, 3)
    ]

    _, event = events_in(catalog, *lines)

    assert (event.fields["first_at"], event.happened_at) == ((NOON + seconds(2)).isoformat(), NOON + seconds(3))


def cut(reading: Reading) -> Reading:
    return replace(reading, fields={**reading.fields, "is_cut": True})


def test_line_that_was_cut_tells_its_step_and_no_more(catalog: Catalog) -> None:
    last = cut(job_line("step=2 loss=0.31 tokens=8192 step_seconds=0.4", 2, NOON + seconds(6)))

    _, event = events_in(catalog, job_line("step=1 loss=1.0 step_seconds=0.42", 1), last)

    assert event.fields == {"step": 2, "first_step": 2}


def test_step_at_which_a_line_was_cut_is_no_step(catalog: Catalog) -> None:
    lines = [job_line('{"step": 1233, "loss": 1.0}', 1), cut(job_line('{"step": 12', 2, NOON + seconds(6)))]

    assert [event.fields["step"] for event in events_in(catalog, *lines)] == [1233]


@pytest.mark.parametrize("step", [2**53, 99_999_999_999_999_999_999])
def test_step_that_no_database_holds_is_no_progress(catalog: Catalog, step: int) -> None:
    assert steps_in(catalog, (0, f"step {step} loss 1.0")) == []
    assert steps_in(catalog, (0, f"step {2**53 - 1} loss 1.0")) == [(2**53 - 1, False)]


@pytest.mark.parametrize("tokens", ["9007199254740992", "9" * 400])
def test_number_of_tokens_that_no_database_holds_is_left_out(catalog: Catalog, tokens: str) -> None:
    (event,) = events_in(catalog, job_line(f"step=5 loss=2.31 tokens={tokens}"))

    assert event.fields == {"step": 5, "loss": 2.31, "first_step": 5, "first_at": NOON.isoformat()}


def test_trail_of_an_earlier_version_is_followed_further(catalog: Catalog) -> None:
    stored = {"trails": {"job1": {"attempt": 1, "step": 7, "closes_at": None, "folded": None}}}

    state, _, _ = notice(ObserverState.from_json(stored), [job_line("step=8 loss=1.0")], catalog, NOON)

    assert state.trails["job1"].step == 8


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["step {} loss 1.0", "iter {}: loss 4.2, time 1.0ms"]),
        st.one_of(st.integers(0, 20), st.integers(0, 2**60)),
        st.sampled_from([0, 0.3, 2, 30, 700]),
    ),
    min_size=1,
    max_size=30,
)


def lines_of(steps: list[tuple[str, int, float]]) -> list[Reading]:
    at, readings = NOON, []
    for position, (form, step, pause) in enumerate(steps):
        at += seconds(pause)
        readings.append(job_line(form.format(step), position, at))
    return readings


@given(STEPS)
def test_what_counts_as_a_step_only_ever_goes_ahead(steps: list[tuple[str, int, float]]) -> None:
    events = events_in(shipped_catalog(), *lines_of(steps))

    counted = [int(str(event.fields["step"])) for event in events if "restarted" not in event.fields]
    assert counted == sorted(set(counted))


@given(STEPS)
@example([("step {} loss 1.0", step, 0.3) for step in range(8)])
def test_progress_goes_out_once_a_second_at_most(steps: list[tuple[str, int, float]]) -> None:
    state, told_at = ObserverState(), []
    for reading in lines_of(steps):
        state, events, _ = notice(state, [reading], shipped_catalog(), reading.observed_at)
        told_at += [reading.observed_at for _ in events]

    # The first step of an attempt goes out at once. A line may be the last of one second and its neighbour the first
    # of the next: what is a second apart is when they are told.
    assert all(later - earlier >= seconds(1) for earlier, later in pairwise(told_at[1:]))


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
def test_no_text_makes_it_fail(lines: list[str]) -> None:
    readings = [job_line(line, position) for position, line in enumerate(lines)]
    readings += [kernel_line(line, position) for position, line in enumerate(lines)]

    state, events, _ = notice(ObserverState(), readings, shipped_catalog(), NOON)

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
def test_no_sample_or_state_makes_it_fail(subject: str, fields: dict[str, object]) -> None:
    reading = replace(kernel_line("", 1), subject=subject, fields=fields, source="host")

    state, _, _ = notice(ObserverState(), [reading, replace(reading, position="2")], shipped_catalog(), NOON)

    assert state.to_json() is not None


def test_node_that_a_scheduler_speaks_of_is_blamed_and_not_the_one_that_runs_the_scheduler(catalog: Catalog) -> None:
    (event,) = events_in(catalog, job_line("srun: error: Node failure on node042"))

    assert event.component == Component(ComponentKind.NODE, "node042", "node042")
