"""The page, health and metrics, on a real server in front of a real database."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from clusterwatch import __version__, api
from clusterwatch.clock import ManualClock
from clusterwatch.errors import ClusterWatchError
from clusterwatch.metrics import Metrics
from clusterwatch.model import (
    Alternative,
    Attempt,
    Cause,
    Changes,
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
from clusterwatch.store import Cursor, Store
from clusterwatch.store.engine import Database

pytestmark = pytest.mark.integration

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
GPU = Component(ComponentKind.GPU, "0000:1b:00", "node003")
XID_LINE = "NVRM: Xid (PCI:0000:1b:00): 79, pid=4242, name=python, GPU has fallen off the bus."
HOSTILE_LINE = 'RuntimeError: <script>alert(1)</script> \x1b[31m\u202e& "quotes"'


def before(**span: float) -> datetime:
    return NOON - timedelta(**span)


def broken_fleet() -> Changes:
    """A GPU fell off the bus twenty minutes into a job, which is being restarted without its node."""
    xid = Sample("e" * 32, XID_LINE, "kernel_log", "/dev/kmsg:1234", before(seconds=70))
    user = Sample("f" * 32, HOSTILE_LINE, "job_log", "train.log:88", before(seconds=68))
    failed = Evidence("gpu.xid.79", GPU, Severity.FATAL, Trust.NODE, xid.at, xid.at, 1, (xid,))
    raised = Evidence("python.exception", GPU, Severity.ERROR, Trust.USER, user.at, user.at, 8, (user,))
    steps = (
        Step("dec-1.1", "dec-1", 1, StepKind.EXCLUDE, "slurm", "llama", {"node": "node003"}, NOON, StepState.DONE),
        Step(
            "dec-1.2", "dec-1", 2, StepKind.REQUEUE, "slurm", "llama", {}, NOON, StepState.BEGUN, detail="asked Slurm"
        ),
    )
    reason = "The GPU is gone until its node is reset: restart without node003, from the checkpoint of step 1,150."
    return Changes(
        jobs=(
            Job(
                "llama", "llama-8b", JobState.INTERRUPTED, before(minutes=20), NOON, nodes=("node003",), gpus=8,
                attempt=1, highest_step=1187, last_step=1187, last_step_at=before(seconds=72), step_seconds=1.0,
                last_checkpoint_step=1150, last_checkpoint_at=before(seconds=110),
            ),
        ),
        attempts=(
            Attempt(
                "llama", 1, before(minutes=20), before(minutes=20), before(minutes=19), first_step=1, last_step=1187,
                last_step_at=before(seconds=72), first_new_step_at=before(minutes=19), interrupted_at=xid.at,
            ),
        ),
        interruptions=(
            Interruption("int-1", "llama", 1, "inc-1", False, 1187, {Edge.LAST_STEP: before(seconds=72)}),
        ),
        nodes=(
            Node("node003", NodeState.DRAINED, before(seconds=5), reason="GPU fell off the bus", drained_by="dec-1"),
            Node("node004", NodeState.IN_SERVICE, before(seconds=4)),
        ),
        incidents=(
            Incident(
                "inc-1", IncidentState.ACTING, xid.at, NOON, xid.at, (failed, raised), ("llama",), ("node003",),
                revision=1,
            ),
            Incident(
                "inc-0", IncidentState.CLOSED, before(hours=3), before(hours=2), before(hours=3), (failed,),
                revision=1, closed_at=before(hours=2),
            ),
        ),
        diagnoses=(diagnosis("inc-1", Cause.FAULTY_GPU), diagnosis("inc-0", Cause.GPU_THERMAL)),
        decisions=(Decision("dec-1", "inc-1", 1, "llama", Mode.AUTO, reason, before(seconds=60), steps),),
    )  # fmt: skip


def diagnosis(incident: str, cause: Cause) -> Diagnosis:
    lines = (
        WeighedLine("kernel_log", "/dev/kmsg:1234", XID_LINE, "gpu.xid.79", "e" * 32, 4.0),
        WeighedLine("job_log", "train.log:88", HOSTILE_LINE, "python.exception", "f" * 32, -0.5, 8),
    )
    explanation = "The GPU at 0000:1b:00 stopped answering on PCIe; everything else follows from that."
    return Diagnosis(
        incident, 1, cause, 0.93, (Alternative(Cause.SERVER_CHASSIS, 0.04),), (Suspect(GPU, 0.9, 3, "3"),), lines,
        ("no AER error of the slot",), explanation, "Reset the node; replace the GPU if it happens again.", NOON, True,
    )  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(f"sqlite:///{tmp_path / 'cw.db'}", create=True)
    yield opened
    opened.close()


def fill(store: Store) -> None:
    """Write the broken fleet, a collector that works and one that fails."""
    lease = store.acquire("test", 60)
    assert lease is not None
    store.commit_turn(lease, broken_fleet(), Cursor(), NOON)
    store.record("node003", "host", [], {}, CollectorStatus("node003", "host", NOON, NOON), NOON)
    failing = CollectorStatus(
        "node003", "nvml", before(minutes=5), NOON, error="no answer within 5 s", failures_total=3
    )
    store.record("node003", "nvml", [], {}, failing, NOON)


@contextmanager
def served(store: Store, health: api.Health | None = None, clock: ManualClock | None = None) -> Iterator[api.Server]:
    told = health or api.Health(True)
    app = api.create_app(store, Metrics(), clock or ManualClock(NOON), lambda: told)
    server = api.serve(app, "127.0.0.1", 0, names=["watch.example.org"])
    try:
        yield server
    finally:
        server.stop()


def get(server: api.Server, path: str, host: str = "") -> tuple[int, Mapping[str, str], str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request("GET", path, headers={"Host": host or f"127.0.0.1:{server.port}"})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode()
    finally:
        connection.close()


def break_database(store: Store, path: Path) -> None:
    """Take the tables away under the open store."""
    database = Database(f"sqlite:///{path}")
    with database.write() as connection:
        for table in ("jobs", "alembic_version"):
            connection.exec_driver_sql(f"ALTER TABLE {table} RENAME TO gone_{table}")
    database.close()


# --- probes ---------------------------------------------------------------------------------------------------------


def test_healthz_says_which_loop_is_stalled_without_asking_the_database(store: Store):
    store.close()

    with served(store, api.Health(False, {"responder": "stalled"})) as server:
        status, _, body = get(server, "/healthz")

    assert status == 503
    assert json.loads(body) == {"alive": False, "details": {"responder": "stalled"}}


def test_service_is_healthy_and_ready(store: Store):
    with served(store) as server:
        healthy, ready = get(server, "/healthz"), get(server, "/readyz")

    assert (healthy[0], json.loads(healthy[2])) == (200, {"alive": True, "details": {}})
    assert (ready[0], json.loads(ready[2])) == (200, {"ready": True, "problem": ""})


def test_readyz_says_what_to_do_about_a_database_of_another_version(store: Store, tmp_path: Path):
    with served(store) as server:
        break_database(store, tmp_path / "cw.db")
        status, _, body = get(server, "/readyz")

    assert status == 503
    assert "clusterwatch db upgrade" in json.loads(body)["problem"]


# --- the page -------------------------------------------------------------------------------------------------------


def test_page_tells_what_stopped_the_job_and_what_is_done_about_it(store: Store):
    fill(store)

    with served(store) as server:
        status, headers, html = get(server, "/")

    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    words = " ".join(re.sub(r"<[^>]+>", " ", html).split())
    assert [part for part in EXPECTED if part not in words] == []


EXPECTED = (
    "1 job interrupted",
    "1 collector failing",
    "Faulty GPU acting 93 %, nearly certain inc-1",
    "gpu 0000:1b:00 on node003, rank 3 (90 % of the blame)",
    "Opened 1 min ago",
    "stopped answering on PCIe",
    "GPU has fallen off the bus. speaks for it · kernel_log, /dev/kmsg:1234",
    "speaks against it · job_log, train.log:88 · 8 times",
    "Expected, but absent: no AER error of the slot",
    "It could also be: Server chassis 4 %",
    "Automatic: The GPU is gone until its node is reset",
    "Leave the node out of the job node003 done",
    "Restart the job llama under way asked Slurm",
    "llama-8b llama interrupted 1,187 1 min ago step 1,150 1 min ago",
    "Faulty GPU, 1 min ago, down for 1 min",
    "node003 drained GPU fell off the bus 5 s ago",
    "GPU too hot 93 %, nearly certain",
    "nvml node003 failing no answer within 5 s 5 min ago",
    "1 of 2 work without remark",
)


def test_markup_and_control_characters_of_a_log_line_are_harmless(store: Store):
    fill(store)

    with served(store) as server:
        html = get(server, "/")[2]

    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert not {"\x1b", "\u202e"} & set(html)


def test_answers_load_nothing_from_elsewhere_and_sit_in_no_frame(store: Store):
    with served(store) as server:
        pages = {path: get(server, path) for path in ("/", "/style.css", "/icon.svg", "/metrics", "/missing")}

    assert {path: status for path, (status, _, _) in pages.items()} == {
        "/": 200, "/style.css": 200, "/icon.svg": 200, "/metrics": 200, "/missing": 404,
    }  # fmt: skip
    for _, headers, _ in pages.values():
        assert headers["content-security-policy"].startswith("default-src 'self'")
        assert "unsafe-inline" not in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
    html = pages["/"][2]
    assert re.findall(r"(?:src|href)=\"(?!/|#)", html) == []
    assert re.findall(r"<style|\sstyle=|\son\w+=", html) == []


def test_empty_database_is_told_what_to_do_next(store: Store):
    with served(store) as server:
        html = get(server, "/")[2]

    assert "Nothing is recorded yet" in html
    assert "clusterwatch run -- " in html


def test_page_says_that_the_database_does_not_answer(store: Store, tmp_path: Path):
    with served(store) as server:
        break_database(store, tmp_path / "cw.db")
        status, _, html = get(server, "/")

    assert status == 503
    assert "The database does not answer" in html
    assert "clusterwatch db upgrade" in html


def test_page_can_be_held_while_it_is_read(store: Store):
    with served(store) as server:
        renewed, held = get(server, "/")[2], get(server, "/?refresh=0")[2]

    assert 'http-equiv="refresh" content="10"' in renewed
    assert 'http-equiv="refresh"' not in held


# --- metrics --------------------------------------------------------------------------------------------------------


def samples(text: str) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_metrics_show_the_open_state_of_the_database(store: Store):
    fill(store)

    with served(store) as server:
        _, headers, text = get(server, "/metrics")

    found = samples(text)
    assert headers["content-type"].startswith("text/plain; version=0.0.4")
    assert found["clusterwatch_incidents_open", "faulty_gpu"] == 1
    assert found["clusterwatch_incidents_open", "gpu_thermal"] == 0
    assert found["clusterwatch_nodes", "drained"] == 1
    assert found["clusterwatch_jobs", "interrupted"] == 1
    assert found["clusterwatch_job_step", "llama"] == 1187
    assert 0.8 < found["clusterwatch_job_ettr_ratio", "llama"] < 0.95
    assert found["clusterwatch_job_lost_seconds", "llama", "decide"] == 70
    assert found["clusterwatch_build_info", __version__] == 1


def test_metrics_please_the_linter_of_prometheus(store: Store):
    promtool = shutil.which("promtool")
    assert promtool, 'promtool is missing: run "make test-packages"'
    fill(store)

    with served(store) as server:
        text = get(server, "/metrics")[2]
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_metrics_outlive_the_database(store: Store, tmp_path: Path):
    fill(store)
    clock = ManualClock(NOON)

    with served(store, clock=clock) as server:
        get(server, "/metrics")
        break_database(store, tmp_path / "cw.db")
        clock.advance(60)
        status, _, text = get(server, "/metrics")

    assert status == 200
    assert samples(text)["clusterwatch_incidents_open", "faulty_gpu"] == 1


# --- the server -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8642", "localhost:8642", "[::1]:8642", "WATCH.example.org"])
def test_own_names_and_addresses_are_answered(store: Store, host: str):
    with served(store) as server:
        assert get(server, "/healthz", host)[0] == 200


@pytest.mark.parametrize("host", ["evil.example.com", "localhost.evil.example.com:8642", "127.0.0.1.evil.example", "-"])
def test_name_of_somebody_else_is_refused(store: Store, host: str):
    with served(store) as server:
        status, _, body = get(server, "/", host)

    assert status == 400
    assert "not known under that name" in body


def test_taken_port_is_named_with_what_to_do(store: Store):
    with served(store) as server:
        app = api.create_app(store, Metrics(), ManualClock(NOON), lambda: api.Health(True))

        with pytest.raises(ClusterWatchError) as caught:
            api.serve(app, "127.0.0.1", server.port)

    assert str(caught.value) == f"port {server.port} on 127.0.0.1 is taken: use --port or [server] port"


def test_address_of_another_machine_is_named(store: Store):
    app = api.create_app(store, Metrics(), ManualClock(NOON), lambda: api.Health(True))

    with pytest.raises(ClusterWatchError, match=r"192\.0\.2\.1 is no address of this machine"):
        api.serve(app, "192.0.2.1", 0)


def test_stopped_server_gives_its_port_back(store: Store):
    with served(store) as first:
        port = first.port
    app = api.create_app(store, Metrics(), ManualClock(NOON), lambda: api.Health(True))

    second = api.serve(app, "127.0.0.1", port)

    try:
        assert get(second, "/healthz")[0] == 200
    finally:
        second.stop()


def test_interactive_documentation_that_needs_the_internet_is_not_served(store: Store):
    with served(store) as server:
        assert [get(server, path)[0] for path in ("/docs", "/redoc", "/openapi.json")] == [404, 404, 200]
