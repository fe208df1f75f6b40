from __future__ import annotations

import os
import pty
import subprocess
import sys
from datetime import datetime, timedelta, timezone

import pytest

from clusterwatch.cli.output import encode, print_json, say
from clusterwatch.model import Cause, Component, ComponentKind, Edge, Severity

SHOW = """
from clusterwatch.cli.output import print_page
from clusterwatch.cli.page import Section, Table, bad
print_page((Section("", (Table(("ID", "TEXT"), (("inc-0123456789ab", bad("word " * 40 + "END")),)),)),))
"""


def on_a_terminal(**environment: str) -> str:
    """Return what a page looks like on a terminal of 60 columns."""
    master, slave = pty.openpty()
    variables = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "COLUMNS": "60"} | environment
    subprocess.run([sys.executable, "-c", SHOW], stdout=slave, stderr=slave, env=variables, check=True)
    os.close(slave)
    chunks = []
    try:
        while chunk := os.read(master, 65536):
            chunks.append(chunk)
    except OSError:
        # Linux says EIO when the last writer of a terminal is gone.
        pass
    os.close(master)
    return b"".join(chunks).decode()


def test_records_become_plain_json_values() -> None:
    moment = datetime(2026, 3, 4, 14, 0, 0, 250000, tzinfo=timezone(timedelta(hours=2)))
    component = Component(ComponentKind.GPU, "0", "node001")

    assert encode({Edge.LAST_STEP: moment, "who": (component, None), "s": Severity.FATAL, "c": Cause.NIC}) == {
        "last_step": "2026-03-04T12:00:00.250000Z",
        "who": [{"kind": "gpu", "id": "0", "node": "node001"}, None],
        "s": "fatal",
        "c": "nic",
    }


def test_sets_have_one_order() -> None:
    assert encode(frozenset({"b", "a", "c"})) == ["a", "b", "c"]


def test_json_is_plain_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"text": "\x1b[31m\u202e\x9b naïve"}, one_line=True)

    assert capsys.readouterr().out == '{"text": "\\u001b[31m\\u202e\\u009b na\\u00efve"}\n'


def test_words_go_to_standard_error_without_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    say("no job \x1b[2J[red]x\nlist them")

    assert capsys.readouterr() == ("", "no job [red]x\nlist them\n")


def test_terminal_gets_colour_and_loses_no_word() -> None:
    shown = on_a_terminal()

    assert "\x1b[1;31m" in shown
    assert shown.count("word") == 40
    assert "inc-0123456789ab" in shown
    assert "END" in shown


def test_no_color_is_honoured() -> None:
    assert "31m" not in on_a_terminal(NO_COLOR="1")


def test_pipe_gets_one_line_a_row_and_no_colour() -> None:
    environment = {"PATH": os.environ["PATH"], "TERM": "xterm-256color"}

    done = subprocess.run([sys.executable, "-c", SHOW], capture_output=True, text=True, env=environment, check=True)

    assert done.stdout.splitlines() == ["ID                TEXT", "inc-0123456789ab  " + "word " * 40 + "END"]
