"""What is found of an installation."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from clusterwatch.app.doctor import CHECKS, examine, has_problems
from clusterwatch.app.findings import Finding, State, Surroundings, surroundings
from clusterwatch.clock import ManualClock
from clusterwatch.config import Settings
from clusterwatch.store import migrations

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path / "state", node="node001")


def around(settings: Settings, root: Path = Path("/"), now: datetime = NOW) -> Surroundings:
    return Surroundings(settings, None, ManualClock(now), root)


def found(check: str, surroundings: Surroundings) -> list[Finding]:
    return list(CHECKS[check](surroundings))


def only(check: str, surroundings: Surroundings) -> Finding:
    (finding,) = found(check, surroundings)
    return finding


@pytest.fixture
def daemon() -> Iterator[tuple[int, dict[str, object]]]:
    """A server that answers /healthz with what the test says."""
    told: dict[str, object] = {}

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(told).encode())

        def log_message(self, *_: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port, told
    server.shutdown()
    thread.join()
    server.server_close()


def test_every_mistake_of_the_configuration_is_a_finding(tmp_path: Path):
    file = tmp_path / "clusterwatch.toml"
    file.write_text('node = ""\n[server]\nport = 700000\n')

    findings = found("configuration", surroundings(file, ManualClock(NOW)))

    assert [finding.state for finding in findings] == [State.PROBLEM, State.PROBLEM]
    assert [finding.what.partition(":")[0] for finding in findings] == ["node", "server.port"]


def test_collector_that_nobody_installed_is_a_problem(settings: Settings):
    wrong = settings.model_copy(update={"collectors": {"nvlm": object()}})

    assert "collectors.nvlm" in only("configuration", around(wrong)).what


def test_state_folder_is_not_made_by_looking(settings: Settings):
    finding = only("state folder", around(settings))

    assert "made at the first start" in finding.what
    assert not settings.state_dir.exists()


def test_state_folder_below_a_file_is_a_problem(tmp_path: Path):
    (tmp_path / "taken").touch()

    finding = only("state folder", around(Settings(state_dir=tmp_path / "taken" / "state")))

    assert (finding.state, finding.next_step != "") == (State.PROBLEM, True)


def test_database_is_not_made_by_looking(settings: Settings):
    finding = only("database", around(settings))

    assert finding.state is State.NOTE
    assert not settings.state_dir.exists()


def test_database_of_this_version_is_fine_and_left_as_it_is(settings: Settings):
    settings.state_dir.mkdir()
    migrations.upgrade(settings.database)
    before = sorted(path.name for path in settings.state_dir.iterdir())

    finding = only("database", around(settings))

    assert (finding.state, migrations.head() in finding.what) == (State.OK, True)
    assert sorted(path.name for path in settings.state_dir.iterdir()) == before


def test_database_of_another_version_is_a_problem(settings: Settings):
    settings.state_dir.mkdir()
    migrations.upgrade(settings.database)
    with sqlite3.connect(settings.database.removeprefix("sqlite:///")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")

    assert only("database", around(settings)).state is State.PROBLEM


def test_database_that_is_none_is_a_problem(settings: Settings):
    settings.state_dir.mkdir()
    Path(settings.database.removeprefix("sqlite:///")).write_bytes(b"no database" * 500)

    assert only("database", around(settings)).state is State.PROBLEM


def test_database_server_that_does_not_answer_is_a_problem():
    finding = only("database", around(Settings(database="postgresql://somebody:secret@127.0.0.1:1/nothing")))

    assert finding.state is State.PROBLEM
    assert "secret" not in finding.what


def test_kernel_log_that_may_not_be_read_names_the_sysctl(settings: Settings, tmp_path: Path):
    (tmp_path / "dev" / "kmsg").mkdir(parents=True)
    restrict = tmp_path / "proc" / "sys" / "kernel" / "dmesg_restrict"
    restrict.parent.mkdir(parents=True)
    restrict.write_text("1\n")

    finding = only("kernel log", around(settings, tmp_path))

    assert finding.state is State.PROBLEM
    assert "dmesg_restrict is 1" in finding.what


def test_machine_without_a_kernel_log_is_worth_a_note(settings: Settings, tmp_path: Path):
    assert only("kernel log", around(settings, tmp_path)).state is State.NOTE


def test_configured_kernel_log_is_the_one_that_is_tried(tmp_path: Path):
    (tmp_path / "kern.log").write_text("[5.123456] hello\n")
    options = {"kernel_log": {"path": str(tmp_path / "kern.log")}}

    finding = only("kernel log", around(Settings(state_dir=tmp_path, collectors=options), tmp_path))

    assert (finding.state, finding.what) == (State.OK, f"{tmp_path}/kern.log can be read")


def test_machine_without_a_driver_is_worth_a_note(settings: Settings, tmp_path: Path):
    assert only("NVIDIA driver", around(settings, tmp_path)).state is State.NOTE


def test_driver_is_told_with_its_version(settings: Settings, tmp_path: Path):
    version = tmp_path / "proc" / "driver" / "nvidia" / "version"
    version.parent.mkdir(parents=True)
    version.write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.86.15\nGCC version: gcc 13\n")

    finding = only("NVIDIA driver", around(settings, tmp_path))

    assert (finding.state, "570.86.15" in finding.what) == (State.OK, True)


def test_each_collector_runs_once_and_a_broken_one_stops_no_other(tmp_path: Path):
    options = {"kernel_log": {"mode": "nonsense"}, "nvml": {"enabled": False}}

    findings = found("collectors", around(Settings(state_dir=tmp_path, collectors=options)))

    states = {finding.name: finding.state for finding in findings}
    assert states["collector kernel_log"] is State.PROBLEM
    assert states["collector host"] is State.OK
    assert "collector nvml" not in states


def test_port_that_a_daemon_of_ours_holds_is_fine(tmp_path: Path, daemon: tuple[int, dict[str, object]]):
    port, told = daemon
    told["alive"] = True

    finding = only("port", around(Settings(state_dir=tmp_path, server={"port": port})))

    assert (finding.state, "daemon answers" in finding.what) == (State.OK, True)


def test_port_that_somebody_else_holds_is_a_problem(tmp_path: Path, daemon: tuple[int, dict[str, object]]):
    port, _ = daemon

    finding = only("port", around(Settings(state_dir=tmp_path, server={"port": port})))

    assert (finding.state, "[server] port" in finding.next_step) == (State.PROBLEM, True)


def test_stalled_daemon_is_a_problem(tmp_path: Path, daemon: tuple[int, dict[str, object]]):
    port, told = daemon
    told["alive"] = False

    assert only("port", around(Settings(state_dir=tmp_path, server={"port": port}))).state is State.PROBLEM


def test_page_that_others_can_reach_is_worth_a_note(tmp_path: Path):
    finding = only("page and metrics", around(Settings(state_dir=tmp_path, server={"host": "0.0.0.0"})))

    assert finding.state is State.NOTE


def test_clock_before_this_program_is_a_problem(settings: Settings):
    assert only("clock", around(settings, now=datetime(1970, 1, 1, tzinfo=UTC))).state is State.PROBLEM


def test_check_that_stumbles_is_a_finding_and_stops_no_other(settings: Settings):
    broken = Surroundings(settings.model_copy(update={"server": None}), None, ManualClock(NOW))

    findings = examine(broken)

    assert [finding.name for finding in findings if "could not be checked" in finding.what] == [
        "port",
        "page and metrics",
    ]
    assert has_problems(findings)
