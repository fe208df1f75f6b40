"""Goodput, the weekly report and a post-mortem, by the commands, from a real database; compared with golden files.

CLUSTERWATCH_UPDATE_GOLDEN=1 writes them anew.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.testing import CliRunner

from clusterwatch.cli import app
from clusterwatch.model import (
    Attempt,
    Cause,
    Changes,
    Checkpoint,
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
    Progress,
    Severity,
    Step,
    StepKind,
    StepState,
    Suspect,
    Trust,
    WeighedLine,
    event_id,
    kinds,
)
from clusterwatch.store import Store

GOLDEN = Path(__file__).parent / "golden"
BEGAN = datetime(2026, 3, 2, 0, 0, tzinfo=UTC)
DAY = 86_400
HOSTILE = "\x1b[31mred\x1b[0m <script>alert(1)</script> [x](http://evil) | `code` **bold** \u202e# @all\r\nNext\x00"
NODES = tuple(f"node{number:03d}" for number in range(1, 33))
GPU = Component(ComponentKind.GPU, "0000:18:00", "node003")

# When each attempt was interrupted, in days; of what; on which node. The last one is not over.
STOPS = (
    (1.0, Cause.GPU_HBM, "node003"),
    (2.0, Cause.PLANNED_MAINTENANCE, ""),
    (3.0, Cause.GPU_HBM, "node003"),
    (4.0, Cause.NETWORK_SWITCH_CABLE, "node017"),
    (5.0, Cause.GPU_HBM, "node003"),
    (6.9, Cause.UNKNOWN, ""),
)


def at(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def job() -> Job:
    return Job(
        id="job-1a2b",
        name="llama",
        state=JobState.STOPPED,
        started_at=BEGAN,
        updated_at=at(7 * DAY),
        ended_at=at(7 * DAY),
        nodes=NODES,
        gpus=256,
        attempt=len(STOPS),
        step_seconds=10.0,
        report_seconds=10.0,
    )


def attempts() -> list[Attempt]:
    """Each runs 300 s after the last was interrupted, and loads for a minute before it repeats twenty steps."""
    made, step, began = [], 0, 120.0
    for number, (day, cause, _) in enumerate(STOPS, start=1):
        stopped = day * DAY
        first, last = max(step - 20, 0) + 1, step + int((stopped - began) // 10) - 40
        new_at = began + 190 + (200 if number > 1 else 0)
        made.append(
            Attempt(
                job_id="job-1a2b",
                number=number,
                started_at=at(began),
                running_at=at(began),
                first_step_at=at(began + 190),
                first_new_step_at=at(new_at),
                checkpoint_loading_at=at(began + 60) if number > 1 else None,
                checkpoint_loaded_at=at(began + 120) if number > 1 else None,
                resumed_step=first - 1,
                first_step=first,
                last_step=last,
                last_step_at=at(stopped - 4),
                interrupted_at=at(stopped),
                decided_at=at(stopped + 30) if cause is not Cause.UNKNOWN else None,
                ended_at=at(stopped),
                exit_code=1,
            )
        )
        step, began = last, stopped + 300
    return made


def interruption(number: int) -> Interruption:
    day, cause, _ = STOPS[number - 1]
    edges = {Edge.LAST_STEP: at(day * DAY - 4), Edge.FIRST_EVENT: at(day * DAY)}
    if number < len(STOPS):
        back = {Edge.DECIDED: 30, Edge.RUNNING: 300, Edge.CHECKPOINT_LOADED: 420, Edge.FIRST_NEW_STEP: 690}
        edges |= {edge: at(day * DAY + later) for edge, later in back.items()}
    is_planned = cause is Cause.PLANNED_MAINTENANCE
    return Interruption(f"job-1a2b/{number}", "job-1a2b", number, incident_name(number), is_planned, 100, edges)


def incident_name(number: int) -> str:
    return f"inc-00000000000{number}"


def struck(number: int) -> Component:
    node = STOPS[number - 1][2]
    return replace(GPU, node=node) if node else Component(ComponentKind.JOB, "job-1a2b")


def incident(number: int) -> Incident:
    opened = STOPS[number - 1][0] * DAY
    is_over = number < len(STOPS)
    seen = Evidence("gpu.xid.48", struck(number), Severity.FATAL, Trust.NODE, at(opened), at(opened + 2), 3, ())
    return Incident(
        id=incident_name(number),
        state=IncidentState.CLOSED if is_over else IncidentState.DIAGNOSED,
        opened_at=at(opened),
        updated_at=at(opened + 690),
        observed_at=at(opened + 1),
        evidence=(seen,),
        jobs=("job-1a2b",),
        nodes=(STOPS[number - 1][2] or "node001",),
        revision=1,
        closed_at=at(opened + 690) if is_over else None,
    )


def diagnosis(number: int, text: str) -> Diagnosis:
    opened, cause, node = STOPS[number - 1]
    return Diagnosis(
        incident_id=incident_name(number),
        revision=1,
        cause=cause,
        confidence=0.92,
        alternatives=(),
        suspects=(Suspect(struck(number), 1.0),) if node else (),
        evidence=(WeighedLine("kernel_log", "/dev/kmsg:42", text, "gpu.xid.48", "e" * 32, 4.0),),
        absent=(),
        explanation=f"Memory of a GPU failed: {text}",
        advice="Replace the GPU.",
        made_at=at(opened * DAY + 20),
        node_confirmed=bool(node),
    )


def decision(number: int, text: str) -> Decision:
    opened = STOPS[number - 1][0] * DAY
    drained = StepState.DONE if number != 4 else StepState.UNKNOWN

    def step(order: int, kind: StepKind, state: StepState) -> Step:
        name = f"dec-{number}.{order}"
        changed_at = at(opened + 30 + order)
        detail = text if state is StepState.UNKNOWN else ""
        where = "job-1a2b" if kind is StepKind.REQUEUE else STOPS[number - 1][2]
        return Step(name, f"dec-{number}", order, kind, "slurm", where, {}, at(opened + 900), state, changed_at, detail)

    steps = (step(1, StepKind.EXCLUDE, drained), step(2, StepKind.REQUEUE, StepState.DONE))
    made_at = at(opened + 30)
    return Decision(f"dec-{number}", incident_name(number), 1, "job-1a2b", Mode.AUTO, f"{text}", made_at, steps, number)


def evidence_event(number: int, text: str) -> Event:
    opened = STOPS[number - 1][0] * DAY
    return Event(
        id=event_id("node003", "", "test", str(number), "gpu.xid.48"),
        kind="gpu.xid.48",
        component=struck(number),
        happened_at=at(opened),
        observed_at=at(opened + 1),
        source="nvml",
        origin="/dev/kmsg:42",
        severity=Severity.FATAL,
        text=text,
        fields={"serial": "1653923012345", "uuid": "GPU-4b1d9c02"} if number != 4 else {},
        job="job-1a2b",
    )


def attempt_event(attempt: Attempt) -> Event:
    where = Component(ComponentKind.JOB, "job-1a2b", "node001")
    # From the fourth attempt on node003 is out, and node032 in.
    held = NODES[:-1] if attempt.number < 4 else tuple(name for name in NODES if name != "node003")
    return Event(
        id=event_id("node001", "", "test", str(attempt.number), kinds.ATTEMPT_STARTED),
        kind=kinds.ATTEMPT_STARTED,
        component=where,
        happened_at=attempt.started_at,
        observed_at=attempt.started_at,
        source="test",
        fields={"nodes": ",".join(held)},
        job="job-1a2b",
        attempt=attempt.number,
    )


def progress() -> Iterator[Progress]:
    """A row a minute; ten minutes of the second day at half the speed."""
    for attempt in attempts():
        assert attempt.first_new_step_at is not None
        assert attempt.last_step_at is not None
        now, step = attempt.first_new_step_at, float(attempt.first_step or 0)
        while now < attempt.last_step_at:
            yield Progress("job-1a2b", attempt.number, int(step), now, 2.0, None, 10.0)
            slow = at(1.5 * DAY) <= now < at(1.5 * DAY + 600)
            now, step = now + timedelta(seconds=60), step + (3 if slow else 6)


def changes(text: str) -> Changes:
    numbers = range(1, len(STOPS) + 1)
    return Changes(
        jobs=(job(),),
        attempts=tuple(attempts()),
        interruptions=tuple(map(interruption, numbers)),
        incidents=tuple(map(incident, numbers)),
        diagnoses=tuple(diagnosis(number, text) for number in numbers),
        decisions=tuple(decision(number, text) for number in numbers if STOPS[number - 1][2]),
        memberships=tuple((incident_name(number), evidence_event(number, text).id) for number in numbers),
        checkpoints=(Checkpoint("job-1a2b", 50, "/ckpt/50", "dcp", True, True, at(DAY / 2), 0, "", 12.0),),
        progress=tuple(progress()),
        nodes=(Node("node003", NodeState.DRAINED, at(5 * DAY), reason=text),),
    )


def database(folder: Path, text: str = "Xid 48: double-bit ECC error") -> str:
    url = f"sqlite:///{folder / 'clusterwatch.db'}"
    store = Store.open(url, create=True)
    events = [*map(attempt_event, attempts()), *(evidence_event(number, text) for number in range(1, 7))]
    store.record("node001", "test", events, {}, None, at(0))
    lease = store.acquire("test", 60)
    assert lease is not None
    _, cursor = store.world(at(0))
    store.commit_turn(lease, changes(text), cursor, at(7 * DAY))
    store.close()
    return url


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> str:
    return database(tmp_path_factory.mktemp("recorded"))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> str:
    return database(tmp_path_factory.mktemp("hostile"), HOSTILE)


@pytest.fixture(autouse=True)
def _no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("COLUMNS", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(variable, raising=False)


UNTIL = ("--until", "2026-03-09T00:00")
COMMANDS: dict[str, tuple[str, ...]] = {
    "jobs-goodput.txt": ("jobs", "goodput"),
    "jobs-goodput.json": ("jobs", "goodput", "llama", "-o", "json"),
    "jobs-goodput-24h.txt": ("jobs", "goodput", "job-1a2b", "--window", "24h"),
    "report-weekly.txt": ("report", "weekly", *UNTIL),
    "report-weekly.json": ("report", "weekly", *UNTIL, "-o", "json"),
    "report-weekly.md": ("report", "weekly", *UNTIL, "-o", "markdown"),
    "report-weekly.html": ("report", "weekly", *UNTIL, "-o", "html"),
    "incidents-export.md": ("incidents", "export", "inc-000000000001"),
    "incidents-export.txt": ("incidents", "export", "000000000001", "-o", "table"),
    "incidents-export.json": ("incidents", "export", "000000000001", "-o", "json"),
}


def output_of(words: tuple[str, ...], url: str) -> str:
    result = CliRunner().invoke(app, [*words, "--database", url])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_output_reads_as_it_always_did(name: str, recorded: str) -> None:
    text = output_of(COMMANDS[name], recorded)

    file = GOLDEN / name
    if os.environ.get("CLUSTERWATCH_UPDATE_GOLDEN"):
        file.write_text(text, encoding="utf-8")
    assert text.splitlines() == file.read_text(encoding="utf-8").splitlines()


def test_goodput_adds_up_over_reasons_causes_attempts_and_interruptions(recorded: str) -> None:
    found = json.loads(output_of(COMMANDS["jobs-goodput.json"], recorded))

    ledger = found["ledger"]
    assert ledger["elapsed_seconds"] == 7 * DAY
    assert sum(ledger["by_reason"].values()) == pytest.approx(7 * DAY, abs=1e-3)
    assert sum(each["lost_seconds"] for each in found["by_cause"].values()) == pytest.approx(ledger["lost_seconds"])
    assert sum(each["elapsed_seconds"] for each in found["attempts"]) == pytest.approx(7 * DAY)
    assert found["windows"]["all"] == ledger
    assert found["reliability"]["interruptions"] == {"total": 6, "planned": 1, "unexpected": 5}


def test_slow_minutes_loading_saving_and_planned_stops_have_their_reasons(recorded: str) -> None:
    reasons = json.loads(output_of(COMMANDS["jobs-goodput.json"], recorded))["ledger"]["by_reason"]

    assert reasons["straggler"] == pytest.approx(300)
    assert reasons["restore"] == 4 * 60
    assert reasons["checkpoint"] == 12
    assert reasons["planned"] == 4 + 680


def test_node_that_struck_three_times_is_named_with_the_serial_for_the_vendor(recorded: str) -> None:
    found = json.loads(output_of(COMMANDS["report-weekly.json"], recorded))

    (offender,) = found["offenders"]
    assert (offender["node"], offender["faults"], offender["causes"]) == ("node003", 3, ["gpu_hbm"])
    assert offender["serials"] == ["serial 1653923012345", "uuid GPU-4b1d9c02"]
    assert [each["node"] for each in found["watched"]] == ["node017"]


def test_table_5_stands_beside_the_published_one(recorded: str) -> None:
    rows = {row["name"]: row for row in json.loads(output_of(COMMANDS["report-weekly.json"], recorded))["table5"]}

    assert sum(row["published_count"] for row in rows.values() if row["published_count"]) == 419
    assert rows["GPU HBM3 Memory"]["count"] == 3
    assert rows["GPU HBM3 Memory"]["published_count"] == 72
    assert sum(row["count"] for row in rows.values()) == 5


def test_what_is_open_is_asked(recorded: str) -> None:
    questions = json.loads(output_of(COMMANDS["report-weekly.json"], recorded))["questions"]

    assert any("inc-000000000006" in each and "does not tell" in each for each in questions)
    assert any("not over" in each for each in questions)
    assert any("exclude of node017 is unknown" in each for each in questions)
    assert any(each.startswith("node node003 is drained") for each in questions)


class Tags(HTMLParser):
    """Collects which elements and attributes a page has."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes |= {name for name, _ in attrs}


@pytest.mark.parametrize("name", COMMANDS)
def test_hostile_text_moves_no_cursor_and_is_no_markup(name: str, hostile: str) -> None:
    text = output_of(COMMANDS[name], hostile)

    assert {character for character in text if not (character.isprintable() or character == "\n")} == set()
    if name.endswith(".html"):
        tags = Tags()
        tags.feed(text)
        assert not tags.seen & {"script", "a", "img", "iframe", "form"}
        assert not {each for each in tags.attributes if each.startswith("on")} | (tags.attributes & {"src", "href"})
    if name.endswith(".md"):
        assert "<script" not in text
        assert "://evil" not in text
        assert "](" not in text.replace("\\](", "").replace("\\]", "")
        assert "@all" not in text
        assert len({line.count("|") - line.count("\\|") for line in text.splitlines() if "Xid" in line}) <= 2


def test_report_on_a_time_without_jobs_says_so(recorded: str) -> None:
    result = CliRunner().invoke(app, ["report", "weekly", "--until", "2020-01-01T00:00", "--database", recorded])

    assert result.exit_code == 1
    assert "no job lived in that time" in str(result.exception)


def test_time_that_is_none_is_a_mistake_in_the_command(recorded: str) -> None:
    result = CliRunner().invoke(app, ["report", "weekly", "--until", "soon", "--database", recorded])

    assert result.exit_code == 2


def test_goodput_without_any_job_is_null(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'empty.db'}"
    Store.open(url, create=True).close()

    assert output_of(("jobs", "goodput", "-o", "json"), url) == "null\n"
