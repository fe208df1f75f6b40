"""The same supervised run on PostgreSQL, beside a daemon that holds the lease and decides for it."""

import json
import os
import subprocess
import sys
import threading

import pytest

from mortal import mortal

pytestmark = pytest.mark.integration

TRAINING = """
import os, pathlib, sys, time
folder = pathlib.Path(os.environ["CLUSTERWATCH_CHECKPOINT_DIR"])
folder.mkdir(exist_ok=True)
step = int(os.environ["CLUSTERWATCH_RESUME_STEP"])
while step < 40:
    time.sleep(0.05)
    step += 1
    print(f"step: {step} loss: {1 / step:.4f}", flush=True)
    if step % 10 == 0:
        (folder / ".writing").write_bytes(b"state")
        os.replace(folder / ".writing", folder / f"step_{step}.npz")
    if step == 25 and os.environ["CLUSTERWATCH_ATTEMPT"] == "1":
        raise KeyError("optimizer.state")
"""


def test_job_that_raises_resumes_whoever_decides(postgres_url, tmp_path):
    script = tmp_path / "train.py"
    script.write_text(TRAINING)
    quiet = {**os.environ, "CLUSTERWATCH_SERVER__PORT": "0"}
    daemon = subprocess.Popen(
        mortal(
            sys.executable, "-m", "clusterwatch", "daemon", "--database", postgres_url, "--state-dir", str(tmp_path)
        ),
        stderr=(tmp_path / "daemon.txt").open("wb"),
        env=quiet,
    )
    try:
        until(lambda: "responder started" in (tmp_path / "daemon.txt").read_text())
        run = subprocess.run(
            [
                *[sys.executable, "-m", "clusterwatch", "run", "--name=tiny", "--database", postgres_url],
                *["--state-dir", str(tmp_path), "--checkpoint-dir", str(tmp_path / "checkpoints")],
                *["--", sys.executable, str(script)],
            ],
            capture_output=True,
            text=True,
            timeout=240,
        )
    finally:
        daemon.terminate()
        daemon.wait(timeout=30)

    assert run.returncode == 0, run.stderr
    why = json.loads(
        subprocess.run(
            [sys.executable, "-m", "clusterwatch", "jobs", "why", "tiny", "-o", "json", "--database", postgres_url],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    )
    assert why["diagnosis"]["cause"] == "software_bug"
    assert why["job"]["highest_step"] == 40
    assert why["resumed"]["step"] == 20
    assert "decision recorded" in (tmp_path / "daemon.txt").read_text()
    assert "decision recorded" not in run.stderr


def until(is_so):
    nothing = threading.Event()
    for _ in range(1200):
        if is_so():
            return
        nothing.wait(0.1)
    raise AssertionError("not in time")
