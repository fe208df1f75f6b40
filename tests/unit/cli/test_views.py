"""Whole outputs of the reading commands, compared with golden files; CLUSTERWATCH_UPDATE_GOLDEN=1 writes them anew."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from clusterwatch.cli.output import Format, emit, encode, print_json, print_page, table_of
from clusterwatch.cli.page import Page, Section
from clusterwatch.cli.views.diagnosis import diagnosis_json
from clusterwatch.cli.views.events import EVENT_COLUMNS, event_json, event_line
from clusterwatch.cli.views.incidents import incident_columns, incident_json, incident_page, incident_view_json
from clusterwatch.cli.views.jobs import job_columns, job_json, job_page, job_view_json
from clusterwatch.cli.views.nodes import node_columns
from clusterwatch.cli.views.status import Status, status_json, status_page
from clusterwatch.cli.views.why import Why, why_json, why_page
from clusterwatch.goodput import account
from clusterwatch.model import (
    Alternative,
    Attempt,
    Cause,
    Checkpoint,
    CollectorStatus,
    Component,
    ComponentKind,
    Decision,
    Diagnosis,
    Edge,
    Event,
    Evidence,
    Incident,
    IncidentState,
    Interruption,
    Job,
    JobState,
    Mode,
    Node,
    NodeState,
    Placement,
    Progress,
    Severity,
    Step,
    StepKind,
    StepState,
    Suspect,
    Trust,
    WeighedLine,
)
from clusterwatch.store import IncidentView, JobView, Lease

GOLDEN = Path(__file__).parent / "golden"
NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
HOSTILE = "\x1b[31mred\x1b[0m\x1b]0;title\x07 [red]bold[/red] <script>alert(1)</script> \u202egnp.exe\r\nNext\x00"
MEGABYTE = "x" * 1_000_000


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


@dataclass(frozen=True)
class Story:
    """One job whose rank 2 is killed at noon plus 60 s and that trains again 31 s later. *text* is what was logged."""

    text: str = "RuntimeError: NCCL error"

    @property
    def job(self) -> Job:
        return Job(
            id="job-1a2b",
            name=f"llama {self.text}" if self.text != Story.text else "llama",
            state=JobState.TRAINING,
            started_at=NOON,
            updated_at=at(120),
            command=("torchrun", "train.py", "--store=redis://cw:hush@cache/0"),
            user="ada",
            nodes=("node001",),
            gpus=4,
            actuator="local_process",
            checkpoint_dir="/ckpt",
            attempt=2,
            highest_step=14,
            last_step=14,
            last_step_at=at(118),
            step_seconds=5.0,
            loss=2.5,
            last_checkpoint_step=10,
            last_checkpoint_at=at(58),
            outcome=self.text if self.text != Story.text else "",
        )

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        first = Attempt(
            "job-1a2b",
            1,
            NOON,
            running_at=at(1),
            first_step_at=at(15),
            ended_at=at(63),
            first_step=1,
            last_step=10,
            last_step_at=at(60),
            first_new_step_at=at(15),
            interrupted_at=at(62),
            decided_at=at(64),
            exit_code=1,
            fingerprint=self.text,
        )
        second = Attempt(
            "job-1a2b",
            2,
            at(65),
            running_at=at(66),
            first_step_at=at(91),
            resumed_step=10,
            resumed_checkpoint="/ckpt/step-10",
            first_step=11,
            last_step=14,
            last_step_at=at(118),
            first_new_step_at=at(91),
        )
        return first, second

    @property
    def interruption(self) -> Interruption:
        edges = {Edge.LAST_STEP: at(60), Edge.FIRST_EVENT: at(62), Edge.DECIDED: at(64), Edge.FIRST_NEW_STEP: at(91)}
        return Interruption("int-1", "job-1a2b", 1, "inc-0123456789ab", False, 10, edges)

    @property
    def diagnosis(self) -> Diagnosis:
        return Diagnosis(
            incident_id="inc-0123456789ab",
            revision=2,
            cause=Cause.UNKNOWN,
            confidence=0.72,
            alternatives=(Alternative(Cause.OOM_HOST, 0.18), Alternative(Cause.PREEMPTION_OR_OPERATOR, 0.1)),
            suspects=(Suspect(Component(ComponentKind.RANK, "2"), 1.0, 2),),
            evidence=(
                WeighedLine(
                    "process", "", "rank 2 was killed by SIGKILL", "process.exit.sigkill", "e" * 32, 1.5, 1, "node001"
                ),
                WeighedLine("job_log", "train.log:88", self.text, "nccl.error", "f" * 32, -0.4, 3),
            ),
            absent=("no OOM kill in the kernel log",),
            explanation="A process was killed from outside: rank 2 on node001.",
            advice="Ask who sent SIGKILL.",
            made_at=at(63.5),
            node_confirmed=True,
        )

    @property
    def incident(self) -> Incident:
        rank = Component(ComponentKind.RANK, "2", "node001")
        killed = Evidence("process.exit.sigkill", rank, Severity.ERROR, Trust.NODE, at(62), at(62), 1, ())
        broken = Evidence("nccl.error", rank, Severity.WARNING, Trust.USER, at(62), at(63), 3, ())
        return Incident(
            id="inc-0123456789ab",
            state=IncidentState.CLOSED,
            opened_at=at(62),
            updated_at=at(91),
            observed_at=at(62.25),
            evidence=(killed, broken),
            jobs=("job-1a2b",),
            nodes=("node001",),
            revision=2,
            closed_at=at(91),
        )

    @property
    def decision(self) -> Decision:
        def step(order: int, kind: StepKind, state: StepState, **arguments: str | int) -> Step:
            name, detail = f"dec-1.{order}", self.text if state is StepState.FAILED else ""
            changed_at = at(64 + order)
            return Step(
                name, "dec-1", order, kind, "local_process", "job-1a2b", arguments, at(600), state, changed_at, detail
            )

        steps = (
            step(1, StepKind.CHOOSE_CHECKPOINT, StepState.DONE, attempt=1, checkpoint="/ckpt/step-10", step=10),
            step(2, StepKind.REQUEUE, StepState.FAILED if self.text == HOSTILE else StepState.DONE, attempt=1),
        )
        reason = "unknown (72% sure): restart in place, from the checkpoint of step 10."
        return Decision("dec-1", "inc-0123456789ab", 2, "job-1a2b", Mode.AUTO, reason, at(64), steps)

    @property
    def incident_view(self) -> IncidentView:
        earlier = replace(self.diagnosis, revision=1, cause=Cause.OOM_HOST, confidence=0.4, made_at=at(62.5))
        return IncidentView(self.incident, (earlier, self.diagnosis), (self.decision,), (self.interruption,))

    @property
    def job_view(self) -> JobView:
        placements = tuple(
            Placement("job-1a2b", attempt, rank, "node001", str(rank), 100 * attempt + rank, (("dp", rank),))
            for attempt in (1, 2)
            for rank in (0, 2)
        )
        whole = Checkpoint("job-1a2b", 10, "/ckpt/step-10", "dcp", True, True, at(58), 4096)
        torn = Checkpoint("job-1a2b", 12, "/ckpt/step-12", "dcp", False, False, at(110), 7, f".metadata: {self.text}")
        progress = (Progress("job-1a2b", 2, 14, at(118), 2.5, None, 5.0),)
        explained = ((self.incident, self.diagnosis),)
        return JobView(self.job, self.attempts, placements, (whole, torn), (self.interruption,), progress, explained)

    @property
    def event(self) -> tuple[int, Event]:
        return 7, Event(
            id="f" * 32,
            kind="nccl.error",
            component=Component(ComponentKind.RANK, "2", "node001"),
            happened_at=at(62),
            observed_at=at(62.25),
            received_at=at(62.5),
            source="job_log",
            origin="train.log:88",
            trust=Trust.USER,
            severity=Severity.WARNING,
            text=self.text,
            rule="nccl-error",
            fields={"rank": 2, "said": self.text},
            job="job-1a2b",
            attempt=1,
            rank=2,
            count=3,
            until=at(63),
        )

    @property
    def nodes(self) -> tuple[Node, ...]:
        return (
            Node("node001", NodeState.IN_SERVICE, at(119), "b" * 8, 4),
            Node("node002", NodeState.DRAINED, at(20), "b" * 8, 4, self.text, "dec-0"),
        )

    @property
    def status(self) -> Status:
        collectors = (
            CollectorStatus("", "actor", None, None),
            CollectorStatus("node001", "host", at(119), at(119), 0.01, readings_total=12),
            CollectorStatus("node001", "job_log", at(50), at(119), 0.01, error=self.text, failures_total=2),
            CollectorStatus("node001", "nvml", at(119), at(119), 0.01, condition="no NVIDIA driver here"),
        )
        still_open = replace(self.incident, state=IncidentState.ACTING, closed_at=None)
        return Status(
            Lease("node001:77", 3, at(126)),
            collectors,
            (self.job,),
            ((still_open, self.diagnosis),),
            self.nodes,
            NOW,
        )

    @property
    def why(self) -> Why:
        return Why(self.job_view, self.interruption, self.incident_view, NOW)

    @property
    def why_never_interrupted(self) -> Why:
        fresh = replace(self.attempts[0], ended_at=None, interrupted_at=None, decided_at=None, exit_code=None)
        calm = replace(self.job_view, interruptions=(), incidents=(), attempts=(fresh,))
        return Why(calm, None, None, NOW)


NOW = at(120)

View = Callable[[Story], tuple[Any, Page]]


def _list(columns: Any, records: Any) -> Page:
    return (Section("", (table_of(records, columns),)),)


def _ledger(story: Story) -> Any:
    return account(story.job, story.attempts, (story.interruption,), NOW)


VIEWS: dict[str, View] = {
    "status": lambda story: (status_json(story.status), status_page(story.status)),
    "incidents-list": lambda story: (
        [incident_json((story.incident, story.diagnosis))],
        _list(incident_columns(NOW), [(story.incident, story.diagnosis), (story.incident, None)]),
    ),
    "incidents-show": lambda story: (
        incident_view_json(story.incident_view),
        incident_page(story.incident_view, NOW),
    ),
    "jobs-list": lambda story: ([job_json(story.job)], _list(job_columns(NOW), [story.job])),
    "jobs-show": lambda story: (
        job_view_json(story.job_view, _ledger(story)),
        job_page(story.job_view, _ledger(story), NOW),
    ),
    "jobs-why": lambda story: (why_json(story.why), why_page(story.why)),
    "jobs-why-never-interrupted": lambda story: (
        why_json(story.why_never_interrupted),
        why_page(story.why_never_interrupted),
    ),
    "events-list": lambda story: ([event_json(story.event)], _list(EVENT_COLUMNS, [story.event])),
    "events-tail": lambda story: (event_json(story.event), (Section("", (event_line(story.event),)),)),
    "nodes-list": lambda story: (encode(story.nodes), _list(node_columns(NOW), story.nodes)),
}


def printed(capsys: pytest.CaptureFixture[str], page: Page) -> str:
    print_page(page)
    return capsys.readouterr().out


def printed_json(capsys: pytest.CaptureFixture[str], answer: object) -> str:
    print_json(answer)
    return capsys.readouterr().out


def expect(name: str, text: str) -> None:
    file = GOLDEN / name
    if os.environ.get("CLUSTERWATCH_UPDATE_GOLDEN"):
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", VIEWS)
def test_page_reads_as_it_always_did(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    _, page = VIEWS[name](Story())

    expect(f"{name}.txt", printed(capsys, page))


@pytest.mark.parametrize("name", VIEWS)
def test_json_has_the_keys_that_scripts_rely_on(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    answer, _ = VIEWS[name](Story())

    expect(f"{name}.json", printed_json(capsys, answer))


@pytest.mark.parametrize("name", VIEWS)
def test_hostile_text_moves_no_cursor_and_is_no_markup(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    answer, page = VIEWS[name](Story(HOSTILE))

    shown, as_json = printed(capsys, page), printed_json(capsys, answer)

    controls = {character for character in shown + as_json if not (character.isprintable() or character == "\n")}
    assert controls == set()
    assert json.loads(as_json) == encode(answer)
    if "red" in shown:
        assert "red [red]bold[/red] <script>alert(1)</script> gnp.exe" in shown


@pytest.mark.parametrize("name", VIEWS)
def test_line_of_a_megabyte_does_not_drown_the_page(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    answer, page = VIEWS[name](Story(MEGABYTE))

    shown, as_json = printed(capsys, page), printed_json(capsys, answer)

    assert max(map(len, shown.splitlines())) < 5000
    assert json.loads(as_json) == encode(answer)


def test_list_is_one_json_document_even_when_empty(capsys: pytest.CaptureFixture[str]) -> None:
    emit([], Format.JSON, node_columns(NOW), empty="nothing")

    assert capsys.readouterr() == ("[]\n", "")


def test_empty_list_is_words_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    emit([], Format.TABLE, node_columns(NOW), empty="nothing is recorded yet")

    assert capsys.readouterr() == ("", "nothing is recorded yet\n")


def test_why_adds_up_to_the_elapsed_time() -> None:
    answer = why_json(Story().why)

    ledger, cost = answer["ledger"], answer["cost"]
    assert ledger["productive_seconds"] + ledger["lost_seconds"] == ledger["elapsed_seconds"] == 120
    assert sum(ledger["by_reason"].values()) == ledger["elapsed_seconds"]
    assert sum(cost["by_reason"].values()) == cost["lost_seconds"]


def test_diagnosis_has_exactly_the_fields_of_the_contract_with_or_without_content() -> None:
    keys = "cause table5 category confidence alternatives suspects evidence absent explanation advice"

    assert " ".join(diagnosis_json(Story().diagnosis)) == keys
    assert " ".join(diagnosis_json(None)) == keys


def test_empty_answers_do_not_share_their_lists() -> None:
    diagnosis_json(None)["suspects"].append("x")

    assert diagnosis_json(None)["suspects"] == []


@pytest.mark.parametrize(
    ("origin", "source", "line"),
    [
        ("train.log:88", "train.log", 88),
        ("/dev/kmsg:1234", "/dev/kmsg", 1234),
        ("s3://logs/a:b.log:7", "s3://logs/a:b.log", 7),
        ("journal", "journal", None),
        ("", "job_log", None),
    ],
)
def test_evidence_names_its_file_and_its_line(origin: str, source: str, line: int | None) -> None:
    seen = WeighedLine("job_log", origin, "text", "nccl.error", "f" * 32, 1.0, node="node7")

    answer = diagnosis_json(replace(Story().diagnosis, evidence=(seen,)))

    assert answer["evidence"] == [
        {"source": source, "line": line, "text": "text", "event": "nccl.error", "weight": 1.0, "node": "node7"}
    ]


@pytest.mark.parametrize("cause", Cause)
def test_every_cause_can_be_shown(cause: Cause) -> None:
    story = Story()

    incident_page(replace(story.incident_view, diagnoses=(replace(story.diagnosis, cause=cause),)), NOW)

    assert diagnosis_json(replace(story.diagnosis, cause=cause))["cause"] == cause.value


def test_status_shows_what_a_person_is_asked():
    story = Story()
    status = replace(story.status, asked=(replace(story.decision, reason="A person is asked: was node3 drained?"),))

    (asked,) = (section for section in status_page(status) if section.title == "A PERSON IS ASKED")

    assert "A person is asked: was node3 drained?" in str(asked)
    assert len(status_json(status)["asked"]) == 1
