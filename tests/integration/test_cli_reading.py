"""The commands that read what is recorded, run as real processes on a database that the store has filled."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from clusterwatch.model import (
    Alternative,
    Attempt,
    Cause,
    Changes,
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
    LeftOut,
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
from clusterwatch.store import Cursor, Store

pytestmark = pytest.mark.integration

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
HOSTILE = "NCCL \x1b[31merror\x1b[0m [red]bold[/red] <script>alert(1)</script>"
HARMLESS = "NCCL error [red]bold[/red] <script>alert(1)</script>"
RANK = Component(ComponentKind.RANK, "2", "node001")
PATIENCE_SECONDS = 60


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def event(number: int, **changed: Any) -> Event:
    values: dict[str, Any] = {
        "id": f"{number:032x}",
        "kind": "nccl.error",
        "component": RANK,
        "happened_at": at(number),
        "observed_at": at(number),
        "source": "job_log",
        "origin": f"train.log:{number}",
        "trust": Trust.USER,
        "severity": Severity.ERROR,
        "text": HOSTILE,
        "job": "job-llama-1",
    }
    return Event(**(values | changed))


def the_interruption() -> Changes:
    """What a turn writes about a job that was interrupted at 60 s and trained new steps again at 91 s."""
    job = Job(
        "job-llama-1",
        "llama",
        JobState.COMPLETED,
        NOON,
        at(200),
        nodes=("node001",),
        gpus=4,
        attempt=2,
        ended_at=at(200),
        highest_step=20,
        last_step=20,
        last_step_at=at(199),
        step_seconds=5.0,
    )
    other = Job("job-llama-2", "gpt", JobState.TRAINING, NOON, at(100), nodes=("node002",), gpus=8)
    first = Attempt(
        job.id,
        1,
        NOON,
        running_at=at(1),
        first_step_at=at(10),
        ended_at=at(63),
        first_step=1,
        last_step=10,
        last_step_at=at(60),
        first_new_step_at=at(10),
        interrupted_at=at(62),
        decided_at=at(64),
        exit_code=1,
    )
    second = Attempt(
        job.id,
        2,
        at(65),
        running_at=at(66),
        first_step_at=at(91),
        ended_at=at(200),
        resumed_step=10,
        resumed_checkpoint="/ckpt/10",
        first_step=11,
        last_step=20,
        last_step_at=at(199),
        first_new_step_at=at(91),
        exit_code=0,
    )
    edges = {Edge.LAST_STEP: at(60), Edge.FIRST_EVENT: at(62), Edge.DECIDED: at(64), Edge.FIRST_NEW_STEP: at(91)}
    steps = (
        Step("dec-1.1", "dec-1", 1, StepKind.REQUEUE, "local_process", job.id, {"step": 10}, at(600), StepState.DONE),
    )
    folded = Evidence("nccl.error", RANK, Severity.ERROR, Trust.USER, at(62), at(62), 1, ())
    return Changes(
        jobs=(job, other),
        attempts=(first, second),
        placements=(Placement(job.id, 1, 2, "node001", "2", 4711),),
        checkpoints=(Checkpoint(job.id, 10, "/ckpt/10", "dcp", True, True, at(58)),),
        progress=(Progress(job.id, 2, 20, at(199), 2.5),),
        interruptions=(Interruption("int-1", job.id, 1, "inc-aaaa11112222", False, 10, edges),),
        nodes=(
            Node("node001", NodeState.IN_SERVICE, at(199)),
            Node("node003", NodeState.DRAINED, at(50), reason="Xid 79"),
        ),
        incidents=(
            Incident(
                "inc-aaaa11112222",
                IncidentState.CLOSED,
                at(62),
                at(91),
                at(62),
                (folded,),
                (job.id,),
                ("node001",),
                revision=1,
                closed_at=at(91),
            ),
            Incident(
                "inc-aaaa33334444", IncidentState.SETTLING, at(150), at(150), at(150), (folded,), (), ("node003",)
            ),
        ),
        diagnoses=(
            Diagnosis(
                "inc-aaaa11112222",
                1,
                Cause.NIC,
                0.9,
                (Alternative(Cause.NETWORK_SWITCH_CABLE, 0.05),),
                (Suspect(Component(ComponentKind.RANK, "2"), 1.0, 2),),
                (WeighedLine("job_log", "train.log:62", HOSTILE, "nccl.error", f"{62:032x}", 2.0),),
                ("no link event",),
                "The NIC of node001 lost its link.",
                "Replace the cable.",
                at(63),
                True,
            ),
        ),
        decisions=(Decision("dec-1", "inc-aaaa11112222", 1, job.id, Mode.AUTO, "restart from step 10", at(64), steps),),
    )


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/cw.db"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = Store.open(url, create=True)
    yield opened
    opened.close()


@pytest.fixture
def filled(store: Store) -> Store:
    status = CollectorStatus("node001", "job_log", at(100), at(100), condition="no log yet")
    gentle = event(70, severity=Severity.INFO, kind="training.progress", component=Component(ComponentKind.JOB, "x"))
    store.record("node001", "job_log", [event(62), gentle], {"line": 70}, status, at(100))
    lease = store.acquire("node001:77", 60)
    assert lease is not None
    store.commit_turn(lease, the_interruption(), Cursor(), at(200))
    return store


def environment(url: str) -> dict[str, str]:
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {**inherited, "CLUSTERWATCH_DATABASE": url, "PYTHONUNBUFFERED": "1"}


def run(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "clusterwatch", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, env=environment(url), timeout=PATIENCE_SECONDS, check=False
    )


def shown(url: str, *arguments: str) -> str:
    done = run(url, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    return done.stdout


def answer(url: str, *arguments: str) -> Any:
    return json.loads(shown(url, *arguments, "-o", "json"))


@pytest.mark.usefixtures("filled")
def test_status_shows_what_is_wrong(url: str) -> None:
    page, status = shown(url, "status"), answer(url, "status")

    assert "responder: node001:77" in page
    assert "inc-aaaa33334444" in page
    assert [job["id"] for job in status["jobs"]] == ["job-llama-2"]
    assert [incident["id"] for incident in status["incidents"]] == ["inc-aaaa33334444"]
    assert [(each["name"], each["state"]) for each in status["collectors"]] == [("job_log", "silent")]
    assert [node["name"] for node in status["nodes"]["out_of_service"]] == ["node003"]


@pytest.mark.usefixtures("filled")
def test_incidents_are_listed_open_first_asked_all_on_demand(url: str) -> None:
    assert [each["id"] for each in answer(url, "incidents", "list")] == ["inc-aaaa33334444"]
    assert [each["id"] for each in answer(url, "incidents", "list", "--all", "--job", "llama")] == ["inc-aaaa11112222"]
    assert len(answer(url, "incidents", "list", "--all", "--limit", "1")) == 1
    assert "nic" in shown(url, "incidents", "list", "--all")


@pytest.mark.usefixtures("filled")
def test_incident_is_found_by_the_beginning_of_its_id(url: str) -> None:
    for typed in ("inc-aaaa1", "aaaa11"):
        incident = answer(url, "incidents", "show", typed)

        assert (incident["id"], incident["cause"], incident["table5"]) == ("inc-aaaa11112222", "nic", "NIC")
        assert incident["evidence"][0] | {"text": ""} == {
            "source": "train.log",
            "line": 62,
            "text": "",
            "event": "nccl.error",
            "weight": 2.0,
            "node": None,
        }
        assert incident["decisions"][0]["steps"][0]["state"] == "done"
    assert HARMLESS in shown(url, "incidents", "show", "inc-aaaa1")


@pytest.mark.usefixtures("filled")
def test_why_tells_the_latest_job_and_its_time_adds_up(url: str) -> None:
    page, why = shown(url, "jobs", "why"), answer(url, "jobs", "why")

    assert why["job"]["id"] == "job-llama-1"
    assert why["incident"] == "inc-aaaa11112222"
    assert why["diagnosis"]["suspects"][0] == {
        "kind": "rank",
        "id": "2",
        "node": "node001",
        "gpu": "2",
        "rank": 2,
        "score": 1.0,
    }
    assert why["ledger"]["productive_seconds"] + why["ledger"]["lost_seconds"] == pytest.approx(200)
    assert sum(why["cost"]["by_reason"].values()) == pytest.approx(why["cost"]["lost_seconds"])
    for expected in (
        "The NIC of node001 lost its link.",
        "rank 2 on node001, GPU 2",
        "nic (NIC): 90 %, nearly certain",
        "expected, but absent: no link event",
        "train.log:62",
        HARMLESS,
        "restart from step 10",
        "attempt 2 started",
        "GPU-hours",
    ):
        assert expected in page


@pytest.mark.usefixtures("filled")
def test_job_that_was_never_interrupted_says_so(url: str) -> None:
    assert "this job was never interrupted" in shown(url, "jobs", "why", "gpt")
    assert answer(url, "jobs", "why", "gpt")["interruption"] is None


@pytest.mark.usefixtures("filled")
def test_why_of_an_incident_that_did_not_stop_the_job_names_those_that_did(url: str) -> None:
    done = run(url, "jobs", "why", "llama", "--incident", "inc-aaaa3")

    assert (done.returncode, done.stdout) == (1, "")
    assert "it has: inc-aaaa11112222" in done.stderr


def test_ages_of_a_simulated_cluster_are_counted_on_its_own_clock(store: Store, url: str) -> None:
    ages_ago = NOON - timedelta(days=300)
    steps_until, told_until = ages_ago + timedelta(minutes=90), ages_ago + timedelta(hours=2)
    job = Job("sim-1", "llama", JobState.TRAINING, ages_ago, told_until, last_step_at=steps_until, simulated=True)
    lease = store.acquire("replay", 60)
    assert lease is not None
    store.commit_turn(lease, Changes(jobs=(job,)), Cursor(), NOON)

    assert "2 h ago" in shown(url, "jobs", "show", "sim-1")
    for command in (("jobs", "list"), ("status",)):
        assert "30 m ago" in shown(url, *command)


@pytest.mark.usefixtures("filled")
def test_jobs_are_listed_and_shown(url: str) -> None:
    assert {job["id"] for job in answer(url, "jobs", "list")} == {"job-llama-1", "job-llama-2"}
    assert [job["name"] for job in answer(url, "jobs", "list", "--active")] == ["gpt"]
    job = answer(url, "jobs", "show", "llama")
    assert [each["number"] for each in job["attempts"]] == [1, 2]
    assert [each["path"] for each in job["checkpoints"]] == ["/ckpt/10"]
    assert job["ledger"]["elapsed_seconds"] == 200
    assert "/ckpt/10" in shown(url, "jobs", "show", "job-llama-1")


@pytest.mark.usefixtures("filled")
def test_events_are_filtered(url: str) -> None:
    def numbers(*arguments: str) -> list[int]:
        return [each["seq"] for each in answer(url, "events", "list", *arguments)]

    assert numbers() == [1, 2]
    assert numbers("--severity", "error") == [1]
    assert numbers("--kind", "training") == [2]
    assert numbers("--job", "llama", "--node", "node001") == [1]
    assert numbers("--since", "2026-03-04T12:01:05") == [2]
    assert numbers("--limit", "1") == [2]
    assert HARMLESS in shown(url, "events", "list")


@pytest.mark.usefixtures("filled")
def test_nodes_are_listed(url: str) -> None:
    assert [(node["name"], node["state"]) for node in answer(url, "nodes", "list")] == [
        ("node001", "in_service"),
        ("node003", "drained"),
    ]
    assert "Xid 79" in shown(url, "nodes", "list")


@pytest.mark.usefixtures("filled")
def test_unknown_id_names_the_nearest(url: str) -> None:
    job, incident = run(url, "jobs", "show", "lama"), run(url, "incidents", "show", "inc-aaaa11112223")

    assert (job.returncode, job.stdout) == (1, "")
    assert 'there is no job "lama"; nearest: job-llama-1' in job.stderr
    assert (incident.returncode, incident.stdout) == (1, "")
    assert "nearest: inc-aaaa11112222" in incident.stderr


@pytest.mark.usefixtures("filled")
def test_beginning_that_fits_several_ids_is_refused(url: str) -> None:
    done = run(url, "incidents", "show", "inc-aaaa")

    assert done.returncode == 1
    assert "inc-aaaa11112222, inc-aaaa33334444" in done.stderr


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("command", ["incidents list", "jobs list", "jobs why", "events list", "nodes list", "status"])
def test_empty_database_says_what_to_run_next(url: str, command: str) -> None:
    done = run(url, *command.split())
    as_json = run(url, *command.split(), "-o", "json")

    assert done.returncode == as_json.returncode == 0
    assert "clusterwatch run -- CMD" in done.stderr
    assert not json.loads(as_json.stdout) or command == "status"


def test_missing_database_says_what_creates_it(url: str) -> None:
    done = run(url, "jobs", "why")

    assert (done.returncode, done.stdout) == (3, "")
    assert 'start "clusterwatch daemon" or "clusterwatch run", which create it' in done.stderr
    assert "Traceback" not in done.stderr


def test_wrong_usage_and_wrong_configuration_exit_with_2(url: str, tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("nod = 1\n")

    assert run(url, "events", "list", "--since", "yesterday").returncode == 2
    wrong = run(url, "status", "--config", str(broken))
    assert wrong.returncode == 2
    assert 'nod: unknown key, did you mean "node"?' in wrong.stderr


def test_tail_follows_and_ends_with_ctrl_c(url: str, filled: Store) -> None:
    command = [sys.executable, "-m", "clusterwatch", "events", "tail", "-o", "json", "--severity", "error"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(url)
    ) as following:
        assert following.stdout is not None and following.stderr is not None
        past = json.loads(following.stdout.readline())
        filled.record("node001", "job_log", [event(80, severity=Severity.INFO), event(81)], {}, None, at(81))
        new = json.loads(following.stdout.readline())
        following.send_signal(signal.SIGINT)
        code = following.wait(timeout=PATIENCE_SECONDS)
        words = following.stderr.read()

    assert (past["origin"], new["origin"]) == ("train.log:62", "train.log:81")
    assert (code, words) == (0, "")


def test_watched_status_looks_again_and_ends_with_ctrl_c(url: str, filled: Store) -> None:
    command = [sys.executable, "-m", "clusterwatch", "status", "--watch", "-o", "json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment(url)) as watching:
        assert watching.stdout is not None
        first = json.loads(watching.stdout.readline())
        filled.record("node001", "host", [], {}, CollectorStatus("node001", "host", at(1), at(1)), at(1))
        second = json.loads(watching.stdout.readline())
        watching.send_signal(signal.SIGINT)
        code = watching.wait(timeout=PATIENCE_SECONDS)

    assert [len(look["collectors"]) for look in (first, second)] == [1, 2]
    assert code == 0


def test_reader_that_has_enough_is_no_error(url: str, filled: Store) -> None:
    filled.record("node001", "job_log", [event(number) for number in range(100, 3000)], {}, None, at(3000))
    command = f"{sys.executable} -m clusterwatch events list --limit 3000 | head -1; echo ${{PIPESTATUS[0]}}"

    done = subprocess.run(
        ["/bin/bash", "-c", command], capture_output=True, text=True, env=environment(url), timeout=PATIENCE_SECONDS
    )

    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == "0"


def test_everything_can_be_read_from_postgresql(postgres_url: str) -> None:
    store = Store.open(postgres_url)
    lease = store.acquire("node001:77", 60)
    assert lease is not None
    store.record("node001", "job_log", [event(62)], {}, None, at(62))
    store.commit_turn(lease, the_interruption(), Cursor(), at(200))
    store.close()

    assert answer(postgres_url, "status")["responder"]["holder"] == "node001:77"
    assert answer(postgres_url, "jobs", "why")["incident"] == "inc-aaaa11112222"
    assert [each["seq"] for each in answer(postgres_url, "events", "list", "--severity", "error")] == [1]


def test_exclude_list_says_why_each_node_stays_out_of_a_job_and_which_returns(url: str, filled: Store) -> None:
    found = filled.read.job("job-llama-1")
    assert found is not None
    cleared = LeftOut("node006", NOON, 1, "inc-ab12", "nic", cleared_at=at(60), checked_at=at(60))
    job = replace(found.job, left_out=(cleared, LeftOut("node007", NOON, 2, "inc-ab12", "nic")))
    lease = filled.acquire("node001:77", 60)
    assert lease is not None
    filled.commit_turn(lease, Changes(jobs=(job,)), Cursor(), NOON)

    told = answer(url, "jobs", "exclude-list", "job-llama-1")

    assert [(each["left"]["node"], each["stays_because"] == "") for each in told] == [
        ("node006", True),
        ("node007", False),
    ]
    assert "with the next restart" in shown(url, "jobs", "exclude-list", "job-llama-1")
    assert run(url, "jobs", "exclude-list", "job-llama-1", "--list", "slurm").stdout == "node[006-007]\n"
