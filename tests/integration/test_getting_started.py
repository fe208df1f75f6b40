"""What the guide tells people to do first: the example is supervised, killed, and trains on."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.integration

TRAIN = Path(__file__).parents[2] / "docs" / "examples" / "train.py"
PATIENCE_SECONDS = 180


@pytest.fixture
def run(tmp_path):
    options = [f"--state-dir={tmp_path / 'state'}", f"--checkpoint-dir={tmp_path / 'checkpoints'}", "--name=first"]
    with (tmp_path / "output.txt").open("wb") as output, (tmp_path / "errors.txt").open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "clusterwatch", "run", *options, "--", sys.executable, str(TRAIN)],
            stdout=output,
            stderr=errors,
            env={**os.environ, "CLUSTERWATCH_NODE": "node001", "STEPS": "80", "SAVE_EVERY": "40"},
        )
    yield process
    if process.poll() is None:
        family = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
        for child in family:
            child.kill()


def wait_for_line(path, line):
    nothing = threading.Event()
    for _ in range(PATIENCE_SECONDS * 10):
        if line in path.read_text():
            return
        nothing.wait(0.1)
    raise AssertionError(f"no {line!r} in time: {path.read_text()[-1000:]}")


def training(run):
    return next(child for child in psutil.Process(run.pid).children() if str(TRAIN) in child.cmdline())


def test_example_that_is_killed_resumes_from_its_last_checkpoint_and_completes(run, tmp_path):
    output = tmp_path / "output.txt"
    wait_for_line(output, "step: 47 ")

    training(run).send_signal(signal.SIGKILL)

    assert run.wait(PATIENCE_SECONDS) == 0, (tmp_path / "errors.txt").read_text()
    said = output.read_text()
    assert "attempt 1 trains from step 0\n" in said
    assert "attempt 2 trains from step 40\n" in said
    assert said.endswith("step: 80 loss: 0.006819\n")
    database = f"sqlite:///{tmp_path / 'state' / 'clusterwatch.db'}"
    command = [sys.executable, "-m", "clusterwatch", "jobs", "show", "first", "--database", database, "-o", "json"]
    job = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert [(each["resumed_step"], each["exit_code"]) for each in job["attempts"]] == [(0, -9), (40, 0)]
