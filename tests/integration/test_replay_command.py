"""`clusterwatch replay` as a process: what it refuses before it begins, and what it leaves behind when it is ended."""

import os
import signal
import subprocess
import sys
import threading

import pytest

COMMAND = [sys.executable, "-m", "clusterwatch", "replay"]
PATIENCE_SECONDS = 60.0
PATIENCE_LOOKS = 600


@pytest.mark.integration
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["tiny", "--speed", "600", "--truth", "truth.jsonl"], "leave --truth"),
        (["tiny", "--speed", "600", "-o", "json"], "leave --truth"),
        (["tiny", "--speed", "600", "--port", "99999"], "65535"),
        (["tiny", "--seed", "-1"], "greater than or equal to 0"),
        (["tiny", "--assume", "laod_seconds=90"], "laod_seconds: no such assumption"),
    ],
)
def test_wrong_question_exits_with_two(arguments, told, tmp_path):
    ended = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, cwd=tmp_path, check=False)

    assert (ended.returncode, told in ended.stderr) == (2, True), ended.stderr


@pytest.mark.integration
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_replay_that_is_ended_leaves_no_database_behind(number, code, tmp_path):
    asked = [*COMMAND, "lemon-nodes"]
    with subprocess.Popen(asked, env={**os.environ, "TMPDIR": str(tmp_path)}, stderr=subprocess.PIPE) as running:
        for _ in range(PATIENCE_LOOKS):
            if list(tmp_path.glob("clusterwatch-replay-*/*.db")):
                break
            threading.Event().wait(0.1)

        running.send_signal(number)
        running.communicate(timeout=PATIENCE_SECONDS)

    assert running.returncode == code
    assert list(tmp_path.glob("clusterwatch-replay-*")) == []
