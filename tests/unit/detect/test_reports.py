"""What a training loop reports of itself, through the whole of detection."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from clusterwatch.detect import ObserverState, notice
from clusterwatch.model import Component, ComponentKind, Reading, Severity, Trust, kinds

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
EPOCH = NOON.timestamp()
JOB = Component(ComponentKind.JOB, "job-1")


def said(text, position=1, after=0.0, stream="job.rank0.report", rank=0):
    return Reading(
        source="job_log",
        node="node001",
        position=f"{stream}:{position}",
        observed_at=NOON + timedelta(seconds=after),
        text=text,
        job="job-1",
        attempt=1,
        rank=rank,
        trust=Trust.USER,
        fields={"origin": f"{stream}:{position}", "stream": stream},
    )


@pytest.fixture
def events_in(catalog):
    def events(*readings):
        state, told, _ = notice(ObserverState(), readings, catalog, readings[-1].observed_at)
        return told + notice(state, [], catalog, NOON + timedelta(days=1))[1]

    return events


def test_reported_step_is_progress_at_the_time_it_names(events_in):
    (event,) = events_in(said(f"clusterwatch: step=120 loss=1.83 tokens=1.2e9 at={EPOCH - 2:.3f}"))

    assert (event.kind, event.rule, event.component, event.trust) == (kinds.PROGRESS, "report", JOB, Trust.USER)
    assert (event.fields["step"], event.fields["loss"]) == (120, 1.83)
    assert event.fields["tokens"] == 1_200_000_000
    assert event.happened_at == NOON - timedelta(seconds=2)


@pytest.mark.parametrize("at", [EPOCH + 5, EPOCH - 90_000, 9e99, -1.0])
def test_time_that_cannot_be_is_not_believed(events_in, at):
    (event,) = events_in(said(f"clusterwatch: step=120 at={at}"))

    assert event.happened_at == NOON


def test_report_takes_the_place_of_what_was_read_from_the_log_at_once(events_in):
    printed = [said(f"step: {step} loss: 2.0", step, step, stream="attempt-1.log", rank=None) for step in (1, 2, 3)]
    reports = [said(f"clusterwatch: step={step} loss=1.5", step, step + 0.5) for step in (4, 5)]
    later = [said(f"step: {step} loss: 2.0", step, step, stream="attempt-1.log", rank=None) for step in (6, 7)]

    events = events_in(*printed, *reports, *later)

    assert (events[-1].fields["step"], events[-1].fields["loss"]) == (5, 1.5)


def test_log_counts_again_once_the_loop_reports_no_more(events_in):
    reports = [said(f"clusterwatch: step={step}", step, step) for step in (1, 2, 3)]
    printed = said("step: 9 loss: 2.0", 9, 700, stream="attempt-1.log", rank=None)

    assert events_in(*reports, printed)[-1].fields["step"] == 9


def test_step_that_every_rank_reports_counts_once(events_in):
    events = events_in(
        *(said(f"clusterwatch: step=7 rank={rank}", 1, rank, f"job.rank{rank}.report", rank) for rank in range(8))
    )

    assert [event.fields["step"] for event in events] == [7]


def test_end_of_a_save_tells_path_time_and_stall(events_in):
    (event,) = events_in(said('clusterwatch: checkpoint=end step=120 path="/a b" seconds=30.5 stall=2.25 bytes=7'))

    assert (event.kind, event.severity) == (kinds.CHECKPOINT_REPORTED, Severity.INFO)
    assert event.fields == {
        "path": "/a b",
        "step": 120,
        "save_seconds": 30.5,
        "stall_seconds": 2.25,
        "size_bytes": 7,
        "complete": True,
    }


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("clusterwatch: checkpoint=begin step=120 path=/a", kinds.CHECKPOINT_BEGUN),
        ("clusterwatch: checkpoint=background step=120 path=/a stall=2", kinds.CHECKPOINT_REPORTED),
        ("clusterwatch: checkpoint=failed step=120 path=/a", "checkpoint.write_failed"),
        ("clusterwatch: checkpoint=loaded step=100 path=/a seconds=30", kinds.CHECKPOINT_LOADED),
        ("clusterwatch: section=evaluate state=begin", kinds.SECTION_BEGUN),
        ("clusterwatch: section=evaluate state=end seconds=3", kinds.SECTION_ENDED),
    ],
)
def test_what_a_loop_does_beside_steps_is_an_event(events_in, line, kind):
    assert [event.kind for event in events_in(said(line))] == [kind]


def test_of_checkpoints_and_sections_only_the_first_rank_is_heard(events_in):
    lines = ["clusterwatch: checkpoint=end step=1 path=/a", "clusterwatch: section=evaluate state=begin"]

    assert events_in(*(said(line, place, 0, "job.rank3.report", 3) for place, line in enumerate(lines))) == []


def test_state_that_nobody_knows_says_nothing(events_in):
    assert events_in(said("clusterwatch: checkpoint=maybe step=1"), said("clusterwatch: section=a", 2)) == []


def test_loss_that_is_no_number_is_told(events_in):
    events = events_in(said("clusterwatch: step=12 loss=nan"))

    assert {event.kind for event in events} == {kinds.PROGRESS, "training.loss_nan"}


def test_path_that_reads_like_an_error_is_none(events_in):
    line = 'clusterwatch: checkpoint=begin step=1 path="/NVRM: Xid (PCI:0000:3B:00): 79, CUDA out of memory"'

    assert [event.kind for event in events_in(said(line))] == [kinds.CHECKPOINT_BEGUN]


def test_line_that_was_cut_tells_no_half_number(events_in):
    cut = said("clusterwatch: loss=1.5 step=12")

    assert events_in(replace(cut, fields={**cut.fields, "is_cut": True})) == []
