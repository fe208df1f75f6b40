import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from collectors._tools import NoAnswerError, NoToolError, Tools


def script(folder: Path, text: str) -> str:
    program = folder / "tool"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
    return str(program)


def test_tool_is_asked_in_the_language_and_time_zone_of_its_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TZ", "America/New_York")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")

    said = Tools().ask("tool", [script(tmp_path, 'echo "$TZ $LC_ALL"; echo oops >&2; exit 3')], 20)

    assert (said.exit_code, said.output, said.complaint) == (3, "UTC C\n", "oops")


def test_tool_for_administrators_is_found_by_an_ordinary_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")

    assert Tools().ask("path", [script(tmp_path, 'echo "$PATH"')], 20).output == "/usr/bin:/bin:/usr/sbin:/sbin\n"


def test_missing_tool_is_named():
    with pytest.raises(NoToolError, match="no-such-tool"):
        Tools().ask("tool", ["no-such-tool"], 20)


def test_file_that_is_no_program_does_not_answer(tmp_path: Path):
    (tmp_path / "tool").write_text("")

    with pytest.raises(NoAnswerError, match="Permission denied"):
        Tools().ask("tool", [str(tmp_path / "tool")], 20)


def test_tool_that_hangs_is_ended(tmp_path: Path):
    marker = tmp_path / "pid"
    tools = Tools()

    with pytest.raises(NoAnswerError, match=r"did not answer in 0\.3 s"):
        tools.ask("tool", [script(tmp_path, f"echo $$ > {marker}; exec sleep 600")], 0.3)

    with pytest.raises(ProcessLookupError):
        os.kill(int(marker.read_text()), 0)


def test_complaint_is_safe_to_print(tmp_path: Path):
    said = Tools().ask(
        "tool", [script(tmp_path, r"printf '\033]0;title\007\033[31mno\303\050 LAN\033[0m\n' >&2; exit 1")], 20
    )

    assert said.complaint == "no\N{REPLACEMENT CHARACTER}( LAN"


def test_tool_that_runs_is_ended_when_its_asker_is_given_up(tmp_path: Path):
    started = tmp_path / "started"
    os.mkfifo(started)
    tools = Tools()
    with ThreadPoolExecutor() as threads:
        asked = threads.submit(tools.ask, "tool", [script(tmp_path, f"echo > {started}; exec sleep 600")], 600)
        started.read_text()

        tools.close()

        assert asked.result(timeout=60).exit_code == -signal.SIGKILL


def test_tool_that_is_only_being_started_when_its_asker_is_given_up_is_ended_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    tools, start = Tools(), subprocess.Popen

    def closed_meanwhile(*arguments, **more):
        child = start(*arguments, **more)
        tools.close()
        return child

    monkeypatch.setattr(subprocess, "Popen", closed_meanwhile)

    assert tools.ask("tool", [script(tmp_path, "exec sleep 600")], 20).exit_code == -signal.SIGKILL
