"""A real torchrun job that is read through what it reports of itself."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

TRAIN = Path(__file__).parent / "training" / "reporting.py"


@pytest.fixture
def finished(tmp_path):
    torchrun = [str(Path(sys.executable).parent / "torchrun"), "--standalone", "--nproc-per-node=2", str(TRAIN)]
    options = [f"--state-dir={tmp_path / 'state'}", f"--checkpoint-dir={tmp_path / 'checkpoints'}", "--hang-minimum=10"]
    ran = subprocess.run(
        [sys.executable, "-m", "clusterwatch", "run", "--name=tiny", *options, "--", *torchrun],
        env={**os.environ, "CLUSTERWATCH_NODE": "node001"},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    return tmp_path


def shown(folder, *arguments):
    database = f"sqlite:///{folder / 'state' / 'clusterwatch.db'}"
    command = [sys.executable, "-m", "clusterwatch", *arguments, "-o", "json", "--database", database]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout)


def test_job_that_reports_is_followed_by_its_reports_and_resumes_from_its_own_format(finished):
    job = shown(finished, "jobs", "show", "tiny")
    events = shown(finished, "events", "list", "--limit", "1000")

    assert (job["state"], job["highest_step"]) == ("completed", 30)
    assert job["loss"] < 2
    assert [attempt["resumed_step"] for attempt in job["attempts"]] == [0, 10]
    assert {checkpoint["step"] for checkpoint in job["checkpoints"]} >= {5, 10, 15, 20, 25}
    reported = [event for event in events if event["rule"] == "report"]
    assert {"checkpoint.begun", "checkpoint.reported", "checkpoint.loaded", "section.begun", "section.ended"} <= {
        event["kind"] for event in reported
    }
    assert {event["source"] for event in reported} == {"job_log"}


def test_every_rank_has_a_file_of_whole_lines_for_each_attempt(finished):
    files = sorted(path.relative_to(finished) for path in finished.rglob("*.report"))
    last = (finished / files[-1]).read_text().splitlines()

    assert [re.sub(r"job-\w+", "JOB", str(path)) for path in files] == [
        f"state/jobs/JOB/attempt-{attempt}-reports/job.rank{rank}.report" for attempt in (1, 2) for rank in (0, 1)
    ]
    assert all(line.startswith("clusterwatch: ") for line in last)
