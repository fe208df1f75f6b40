from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from clusterwatch.api.presenters import closed_row, collector_row, incident_card, job_row, node_row
from clusterwatch.api.views import Badge, EvidenceLine, Moment, PlanStep, Tone
from clusterwatch.model import (
    Alternative,
    Attempt,
    Cause,
    CollectorStatus,
    Component,
    ComponentKind,
    Decision,
    Diagnosis,
    Edge,
    Evidence,
    Incident,
    IncidentState,
    Interruption,
    Job,
    JobState,
    Mode,
    Node,
    NodeState,
    Sample,
    Severity,
    Step,
    StepKind,
    StepState,
    Suspect,
    Trust,
    WeighedLine,
)
from clusterwatch.store import IncidentView, JobHistory

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
GPU = Component(ComponentKind.GPU, "3", "node001")
SAMPLE = Sample("e" * 32, "NVRM: Xid 79", "kernel_log", "/dev/kmsg:7", NOON)
XID = Evidence("gpu.xid.79", GPU, Severity.FATAL, Trust.NODE, NOON, NOON, 3, (SAMPLE,))
OPEN = Incident("inc-1", IncidentState.SETTLING, NOON - timedelta(minutes=3), NOON, NOON, (XID,), ("job-1",))
LINE = WeighedLine("kernel_log", "/dev/kmsg:7", "NVRM: Xid 79", "gpu.xid.79", "e" * 32, 3.0, 3)
FOUND = Diagnosis(
    "inc-1", 1, Cause.FAULTY_GPU, 0.8, (Alternative(Cause.NIC, 0.1),), (Suspect(GPU, 0.9, 5),), (LINE,), (), "It fell.",
    "Reset it.", NOON,
)  # fmt: skip
JOB = Job(
    "job-1",
    "llama",
    JobState.TRAINING,
    NOON - timedelta(seconds=100),
    NOON,
    attempt=1,
    last_step=1234,
    step_seconds=1.0,
)
ATTEMPT = Attempt(
    "job-1", 1, JOB.started_at, JOB.started_at, NOON - timedelta(seconds=90), first_step=1, last_step=1234,
    first_new_step_at=NOON - timedelta(seconds=89),
)  # fmt: skip


def card(incident: Incident = OPEN, *diagnoses: Diagnosis, decisions: tuple[Decision, ...] = ()):
    return incident_card(IncidentView(incident, diagnoses, decisions, ()), {"job-1": "llama"}, NOON)


def test_incident_without_a_diagnosis_shows_what_was_seen_and_no_cause():
    shown = card()

    assert (shown.cause, shown.confidence) == ("Not diagnosed yet", "collecting evidence")
    assert shown.evidence == (EvidenceLine("NVRM: Xid 79", "kernel_log, /dev/kmsg:7 on node001", "", "3 times"),)
    assert shown.plan is None


def test_incident_shows_its_cause_suspects_and_alternatives():
    shown = card(OPEN, FOUND)

    assert (shown.cause, shown.confidence, shown.jobs) == ("Faulty GPU", "80 %, likely", "llama")
    assert shown.suspects == ("gpu 3 on node001, rank 5 (90 % of the blame)",)
    assert shown.alternatives == "Network card (NIC) 10 %"
    assert shown.opened == Moment("3 min ago", "2026-03-04 11:57:00 UTC")


def test_suspected_rank_is_named_once():
    rank = Suspect(Component(ComponentKind.RANK, "5", "node001"), 1.0, 5)

    assert card(OPEN, replace(FOUND, suspects=(rank,))).suspects == ("rank 5 on node001 (100 % of the blame)",)


def test_latest_diagnosis_is_the_one_shown():
    assert card(OPEN, FOUND, replace(FOUND, revision=2, cause=Cause.NIC)).cause == "Network card (NIC)"


def test_undetermined_cause_is_not_praised_as_likely():
    shown = card(OPEN, replace(FOUND, cause=Cause.UNKNOWN, confidence=0.5))

    assert (shown.cause, shown.confidence) == ("Cause unknown", "the evidence does not tell (50 %)")


def test_line_against_the_cause_is_shown_as_such():
    shown = card(OPEN, replace(FOUND, evidence=(LINE, replace(LINE, weight=-1.0, count=1))))

    assert [(line.speaks, line.times) for line in shown.evidence] == [("for", "3 times"), ("against", "")]


def test_step_names_what_it_acts_on():
    def step(kind: StepKind, state: StepState) -> Step:
        arguments = {"node": "node001", "checkpoint": "/ckpt/7"}
        return Step(f"d.{kind}", "d", 1, kind, "slurm", "job-1", arguments, NOON, state, detail="said")

    steps = (
        step(StepKind.EXCLUDE, StepState.DONE),
        step(StepKind.CHOOSE_CHECKPOINT, StepState.UNKNOWN),
        step(StepKind.REQUEUE, StepState.FAILED),
    )

    plan = card(OPEN, FOUND, decisions=(Decision("d", "inc-1", 1, "job-1", Mode.APPROVE, "why", NOON, steps),)).plan

    assert plan is not None
    assert (plan.mode, plan.reason) == ("Waits for approval", "why")
    assert plan.steps == (
        PlanStep("Leave the node out of the job", "node001", Badge("done", Tone.GOOD), "said"),
        PlanStep("Choose the checkpoint", "/ckpt/7", Badge("unknown whether done", Tone.DOUBTFUL), "said"),
        PlanStep("Restart the job", "job-1", Badge("failed", Tone.BAD), "said"),
    )


def test_incident_of_many_jobs_names_the_first_and_counts_the_rest():
    jobs = tuple(f"job-{number}" for number in range(1, 8))

    assert card(replace(OPEN, jobs=jobs)).jobs == "llama, job-2, job-3, job-4 and 3 more"


def test_text_from_a_log_loses_control_characters_and_length():
    hostile = replace(SAMPLE, text="\x1b[2Jred\u202e" + "x" * 5000)

    (line,) = card(replace(OPEN, evidence=(replace(XID, samples=(hostile,)),))).evidence

    assert line.text.startswith("redx")
    assert len(line.text) == 400


def test_job_shows_where_it_stands_and_its_effective_time():
    row = job_row(JobHistory(JOB, (ATTEMPT,), ()), [], NOON)

    assert (row.name, row.state, row.step) == ("llama", Badge("training", Tone.GOOD), "1,234")
    assert (row.ettr, row.attempt, row.last_interruption) == ("90 %", "1", "none")
    assert (row.checkpoint, row.last_checkpoint.ago) == ("-", "-")


@pytest.mark.parametrize(
    ("planned", "ended", "shown"),
    [
        (False, None, "Faulty GPU, 1 min ago, down for 1 min"),
        (False, NOON - timedelta(seconds=45), "Faulty GPU, 1 min ago, lasted 15 s"),
        (True, None, "planned, 1 min ago, down for 1 min"),
    ],
)
def test_job_shows_its_last_interruption(planned: bool, ended: datetime | None, shown: str):
    edges = {Edge.LAST_STEP: NOON - timedelta(seconds=60)} | ({Edge.FIRST_NEW_STEP: ended} if ended else {})
    stop = Interruption("int-1", "job-1", 1, "inc-1", planned, 1234, edges)

    row = job_row(JobHistory(JOB, (ATTEMPT,), (stop,)), [(OPEN, FOUND)], NOON)

    assert row.last_interruption == shown


def test_closed_incident_shows_how_long_it_lasted():
    closed = replace(OPEN, state=IncidentState.CLOSED, closed_at=NOON - timedelta(minutes=1))

    row = closed_row(closed, FOUND, {}, NOON)

    assert (row.cause, row.lasted, row.closed.ago, row.jobs) == ("Faulty GPU", "2 min", "1 min ago", "job-1")


def test_silent_node_without_a_reason_is_still_shown():
    row = node_row(Node("node001", NodeState.SILENT, NOON - timedelta(hours=1)), NOON)

    assert (row.state, row.reason, row.seen.ago) == (Badge("silent", Tone.BAD), "-", "1 h ago")


@pytest.mark.parametrize(
    ("status", "badge", "said"),
    [
        (CollectorStatus("n", "nvml", NOON, NOON), Badge("working", Tone.GOOD), "-"),
        (CollectorStatus("n", "nvml", NOON, NOON, error="boom"), Badge("failing", Tone.BAD), "boom"),
        (
            CollectorStatus("n", "nvml", NOON, NOON, condition="no NVIDIA driver here"),
            Badge("nothing to see", Tone.QUIET),
            "no NVIDIA driver here",
        ),
        (
            CollectorStatus("n", "nvml", NOON, NOON - timedelta(minutes=9)),
            Badge("not looking", Tone.DOUBTFUL),
            "last looked 9 min ago",
        ),
    ],
)
def test_collector_says_how_it_does(status: CollectorStatus, badge: Badge, said: str):
    row = collector_row(status, NOON)

    assert (row.state, row.words) == (badge, said)
