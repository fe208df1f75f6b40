"""`clusterwatch dashboards` against a server that answers like Grafana."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from clusterwatch.cli import dashboards
from dashboards import overview

pytestmark = pytest.mark.integration

TOKEN = "glsa_0123456789abcdef"
UID = "clusterwatch-overview"
OTHERS = {"uid": UID, "title": "My own board", "tags": ["mine"], "version": 4, "id": 9}


@dataclass
class FakeGrafana:
    """A Grafana of folders and boards, with the answers of version 12.

    Source: https://grafana.com/docs/grafana/latest/developers/http_api/dashboard/ and .../folder/

    Attributes:
        failing: Status and message with which a request (method and path) is answered instead.
        page: A page of a proxy, answered to everything.
    """

    boards: dict[str, dict[str, Any]] = field(default_factory=dict)
    folders: dict[str, str] = field(default_factory=dict)
    failing: dict[str, tuple[int, str]] = field(default_factory=dict)
    page: str = ""
    posts: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    never_answers: threading.Event | None = None

    def answer(self, method: str, path: str, token: str, body: dict[str, Any]) -> tuple[int, Any]:
        if self.never_answers is not None:
            self.never_answers.wait(60)
        if f"{method} {path}" in self.failing:
            status, message = self.failing[f"{method} {path}"]
            return status, {"message": message}
        if path == "/api/health":
            return 200, {"database": "ok", "version": "12.4.0", "commit": "abc"}
        if token != f"Bearer {TOKEN}":
            return 401, {"message": "Invalid API key"}
        if method == "GET":
            return self._show(*path.removeprefix("/api/").split("/", 1))
        self.posts.append((path, body))
        return self._write_folder(body) if path == "/api/folders" else self._write_board(body)

    def _show(self, kind: str, name: str) -> tuple[int, Any]:
        if kind == "folders":
            known = name in self.folders
            return (
                (200, {"uid": name, "title": self.folders[name]}) if known else (404, {"message": "folder not found"})
            )
        uid = name.removeprefix("uid/")
        if uid not in self.boards:
            return 404, {"message": "Dashboard not found"}
        return 200, {"dashboard": self.boards[uid], "meta": {"folderUid": "clusterwatch"}}

    def _write_folder(self, body: dict[str, Any]) -> tuple[int, Any]:
        self.folders[body["uid"]] = body["title"]
        return 200, {"uid": body["uid"], "title": body["title"]}

    def _write_board(self, body: dict[str, Any]) -> tuple[int, Any]:
        board = body["dashboard"]
        standing = self.boards.get(board["uid"])
        if body["folderUid"] not in self.folders:
            return 400, {"message": "folder not found"}
        if standing and not body["overwrite"] and board.get("version") != standing["version"]:
            return 412, {"status": "version-mismatch", "message": "The dashboard has been changed by someone else"}
        version = standing["version"] + 1 if standing else 1
        self.boards[board["uid"]] = {**board, "id": 9, "version": version}
        return 200, {"status": "success", "uid": board["uid"], "version": version}


@dataclass(frozen=True)
class Running:
    grafana: FakeGrafana
    url: str


@pytest.fixture
def grafana() -> Iterator[Running]:
    fake = FakeGrafana()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._reply()

        def do_POST(self) -> None:
            self._reply()

        def _reply(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else {}
            token = self.headers.get("Authorization", "")
            status, told = (200, fake.page) if fake.page else fake.answer(self.command, self.path, token, body)
            text = (told if isinstance(told, str) else json.dumps(told)).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/html" if isinstance(told, str) else "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *args: object) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield Running(fake, f"http://127.0.0.1:{server.server_port}")
    if fake.never_answers is not None:
        fake.never_answers.set()
    server.shutdown()
    server.server_close()
    thread.join()


def command(*arguments: str, token: str = TOKEN):
    app = typer.Typer()
    dashboards.register(app)
    return CliRunner().invoke(app, ["dashboards", *arguments], env={"GRAFANA_TOKEN": token})


def push(running: Running, *arguments: str, token: str = TOKEN):
    return command("push", "--url", running.url, *arguments, token=token)


# --- push -----------------------------------------------------------------------------------------------------------


def test_first_push_creates_the_folder_and_the_board(grafana: Running):
    result = push(grafana, "-o", "json")

    assert (result.exit_code, json.loads(result.stdout)) == (
        0,
        [{"uid": UID, "title": "ClusterWatch overview", "fate": "create", "reason": ""}],
    )
    assert grafana.grafana.folders == {"clusterwatch": "ClusterWatch"}
    assert grafana.grafana.boards[UID]["panels"] == overview.board()["panels"]
    assert grafana.grafana.posts[1][1]["folderUid"] == "clusterwatch"


def test_second_push_changes_nothing(grafana: Running):
    push(grafana)
    written = len(grafana.grafana.posts)

    result = push(grafana)

    assert "unchanged" in result.stdout
    assert len(grafana.grafana.posts) == written


def test_older_board_of_ours_is_updated_over_the_version_that_was_read(grafana: Running):
    push(grafana)
    grafana.grafana.boards[UID]["title"] = "Older"

    result = push(grafana)

    assert (result.exit_code, "updated" in result.stdout) == (0, True)
    assert grafana.grafana.posts[-1][1]["dashboard"]["version"] == 1
    assert grafana.grafana.posts[-1][1]["overwrite"] is False
    assert grafana.grafana.boards[UID]["version"] == 2


def test_board_of_somebody_else_is_left_alone(grafana: Running):
    grafana.grafana.boards[UID] = dict(OTHERS)

    result = push(grafana)

    assert result.exit_code == 1
    assert 'refused  "My own board" has this uid' in result.stdout
    assert grafana.grafana.boards[UID] == OTHERS


def test_board_of_somebody_else_is_replaced_when_forced(grafana: Running):
    grafana.grafana.boards[UID] = dict(OTHERS)

    result = push(grafana, "--force")

    assert (result.exit_code, "overwritten" in result.stdout) == (0, True)
    assert grafana.grafana.boards[UID]["tags"] == ["clusterwatch"]


def test_dry_run_writes_nothing(grafana: Running):
    result = push(grafana, "--dry-run")

    assert (result.exit_code, "would be created" in result.stdout) == (0, True)
    assert grafana.grafana.posts == []


def test_grafana_below_a_path_is_reached(grafana: Running):
    grafana.grafana.failing = {"GET /grafana/api/health": (503, "reached")}

    result = command("push", "--url", f"{grafana.url}/grafana")

    assert "reached" in result.stderr


# --- what can go wrong ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_line", "status", "said", "advice"),
    [
        ("POST /api/dashboards/db", 400, "bad panel", "does not take it: Bad Input"),
        ("GET /api/dashboards/uid/clusterwatch-overview", 401, "Unauthorized", "does not accept the token"),
        ("POST /api/folders", 403, "folders:create is missing", "role Editor (Client Error 403: folders:create"),
        ("GET /api/health", 404, "Not found", "is the URL complete, with the sub-path"),
        ("POST /api/dashboards/db", 412, "changed by someone else", "look at it, then push again"),
        ("GET /api/health", 502, "Bad Gateway", "look at its log, then try again (Server Error 502: Bad Gateway"),
    ],
)
def test_refusal_is_one_message_with_the_next_step(grafana: Running, request_line, status, said, advice):
    grafana.grafana.failing = {request_line: (status, f"{said} {TOKEN}")}

    result = push(grafana)

    assert (result.exit_code, result.stdout) == (1, "")
    assert advice in result.stderr
    assert grafana.url in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert TOKEN not in result.output


def test_wrong_token_is_not_shown(grafana: Running):
    result = push(grafana, token="glsa_wrong")

    assert result.exit_code == 1
    assert "does not accept the token" in result.stderr
    assert "glsa_wrong" not in result.output


def test_missing_token_is_a_usage_error(grafana: Running):
    result = push(grafana, token="")

    assert result.exit_code == 2
    assert "$GRAFANA_TOKEN is not set" in result.stderr


def test_login_page_of_a_proxy_is_not_taken_for_grafana(grafana: Running):
    grafana.grafana.page = "<html>Please log in</html>"

    result = push(grafana)

    assert result.exit_code == 1
    assert "is a login page or a proxy in between?" in result.stderr


def test_refused_connection_is_told_apart_from_a_refusal():
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"

        result = command("push", "--url", url)

    assert result.exit_code == 3
    assert result.stderr.startswith(f"nothing answers at {url}: is the URL right and Grafana running?")
    assert TOKEN not in result.output


def test_grafana_that_does_not_answer_in_time_is_told(grafana: Running):
    from clusterwatch.act.grafana import Grafana, GrafanaUnreachableError

    grafana.grafana.never_answers = threading.Event()

    with pytest.raises(GrafanaUnreachableError, match="does not answer in time"):
        Grafana(grafana.url, TOKEN, timeout_seconds=0.2).version()


def test_missing_library_is_named_with_its_extra(grafana: Running):
    script = (
        "import sys; sys.modules['grafana_client'] = None\n"
        "import typer; from clusterwatch.cli import dashboards\n"
        "app = typer.Typer(); dashboards.register(app); app()\n"
    )
    arguments = [sys.executable, "-c", script, "dashboards", "push", "--url", grafana.url]

    done = subprocess.run(arguments, capture_output=True, text=True, env={"GRAFANA_TOKEN": TOKEN}, timeout=60)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Grafana's client is not installed: pip install 'clusterwatch[grafana]'\n"


# --- build ----------------------------------------------------------------------------------------------------------


def test_build_writes_boards_and_what_lets_grafana_load_them(tmp_path: Path):
    result = command("build", "--out", str(tmp_path), "-o", "json")

    board, provisioning = tmp_path / "boards" / f"{UID}.json", tmp_path / "provisioning/dashboards/clusterwatch.yaml"
    assert (result.exit_code, json.loads(result.stdout)) == (0, [str(board), str(provisioning)])
    assert json.loads(board.read_text()) == overview.board()
    assert f'path: "{tmp_path}/boards"' in provisioning.read_text()


def test_build_says_which_folder_it_cannot_write(tmp_path: Path):
    (tmp_path / "boards").write_text("a file in the way")

    result = command("build", "--out", str(tmp_path))

    assert result.exit_code == 1
    assert f"{tmp_path}/boards" in result.stderr
