"""A real distributed training job, four gloo processes under torchrun, supervised by the real command."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.integration

TRAIN = Path(__file__).parent / "training" / "train.py"
PATIENCE_SECONDS = 180
REASONS = {"hang", "detect", "decide", "reschedule", "start", "restore", "recompute", "queue", "other", "checkpoint"}


class Run:
    """`clusterwatch run -- torchrun ... train.py`, as a person starts it."""

    def __init__(self, folder, **environment):
        self.folder = folder
        self.checkpoints = folder / "checkpoints"
        self.output = folder / "output.txt"
        torchrun = [str(Path(sys.executable).parent / "torchrun"), "--standalone", "--nproc-per-node=4", str(TRAIN)]
        options = [f"--state-dir={folder / 'state'}", f"--checkpoint-dir={self.checkpoints}", "--hang-minimum=4"]
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "clusterwatch", "run", "--name=tiny", *options, "--", *torchrun],
                stdout=output,
                stderr=(folder / "errors.txt").open("wb"),
                env={**os.environ, "CLUSTERWATCH_NODE": "node001", "PYTHONUNBUFFERED": "1", **environment},
            )

    def wait_for_step(self, step):
        wait_until(lambda: self.printed_step() >= step, f"step {step}", self)

    def printed_step(self):
        steps = re.findall(r"^step: (\d+) ", self.output.read_text(errors="replace"), re.MULTILINE)
        return int(steps[-1]) if steps else 0

    def rank_process(self, rank):
        for process in psutil.Process(self.process.pid).children(recursive=True):
            if "train.py" in " ".join(process.cmdline()) and process.environ().get("RANK") == str(rank):
                return process
        raise AssertionError(f"rank {rank} does not run")

    def exit_code(self):
        return self.process.wait(timeout=PATIENCE_SECONDS)

    def json(self, *arguments):
        command = [sys.executable, "-m", "clusterwatch", *arguments, "-o", "json", "--database", self.database]
        return json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout)

    @property
    def database(self):
        return f"sqlite:///{self.folder / 'state' / 'clusterwatch.db'}"

    def said(self):
        return self.output.read_text(errors="replace")[-3000:] + (self.folder / "errors.txt").read_text()[-3000:]

    def stop(self):
        if self.process.poll() is None:
            family = psutil.Process(self.process.pid).children(recursive=True)
            self.process.kill()
            for process in family:
                process.kill()
            self.process.wait()


def wait_until(is_so, what, run):
    nothing = threading.Event()
    for _ in range(PATIENCE_SECONDS * 10):
        if is_so():
            return
        assert run.process.poll() is None, f"ended before {what}: {run.said()}"
        nothing.wait(0.1)
    raise AssertionError(f"no {what} in time: {run.said()}")


@pytest.fixture
def start(tmp_path):
    runs = []

    def start_run(**environment):
        runs.append(Run(tmp_path, **environment))
        return runs[-1]

    yield start_run
    for run in runs:
        run.stop()


def assert_ledger_closes(why):
    ledger = why["ledger"]
    assert set(ledger["by_reason"]) <= REASONS | {"productive"}
    assert sum(ledger["by_reason"].values()) == pytest.approx(ledger["elapsed_seconds"], abs=0.01)
    assert ledger["productive_seconds"] + ledger["lost_seconds"] == pytest.approx(ledger["elapsed_seconds"], abs=0.01)
    assert ledger["productive_seconds"] > 0
    assert why["cost"]["lost_seconds"] > 0


def test_killed_rank_is_named_its_cause_stays_unknown_and_the_job_resumes(start):
    run = start()
    run.wait_for_step(23)

    run.rank_process(2).send_signal(signal.SIGKILL)

    assert run.exit_code() == 0, run.said()
    why = run.json("jobs", "why")
    diagnosis = why["diagnosis"]
    assert diagnosis["cause"] == "unknown"
    assert {"oom_host", "preemption_or_operator"} <= {each["cause"] for each in diagnosis["alternatives"]}
    assert "no OOM kill in the kernel log" in diagnosis["absent"]
    assert diagnosis["suspects"][0]["rank"] == 2
    assert why["job"]["state"] == "completed"
    assert why["job"]["highest_step"] == 40
    assert "training from step 20" in run.output.read_text()
    assert_ledger_closes(why)


def test_stopped_rank_is_called_a_hang_and_named(start):
    run = start()
    run.wait_for_step(23)

    run.rank_process(1).send_signal(signal.SIGSTOP)

    assert run.exit_code() == 0, run.said()
    why = run.json("jobs", "why")
    assert why["diagnosis"]["cause"] == "unknown"
    assert why["diagnosis"]["suspects"][0]["rank"] == 1
    assert {"training.hang", "process.stopped"} <= {line["event"] for line in why["diagnosis"]["evidence"]}
    assert why["cost"]["by_reason"]["hang"] > 2
    assert why["job"]["highest_step"] == 40
    assert "training from step 20" in run.output.read_text()
    assert_ledger_closes(why)


def test_exception_is_a_software_bug_of_that_rank(start):
    run = start(FAULT="raise")

    assert run.exit_code() == 0, run.said()
    why = run.json("jobs", "why")
    assert why["diagnosis"]["cause"] == "software_bug"
    assert why["diagnosis"]["suspects"][0]["rank"] == 1
    assert any("KeyError" in line["text"] for line in why["diagnosis"]["evidence"])
    assert why["job"]["highest_step"] == 40
    assert_ledger_closes(why)


def test_exception_that_comes_back_at_the_same_step_is_not_restarted_for_ever(start):
    run = start(FAULT="raise", FAULT_ALWAYS="1")

    assert run.exit_code() == 1, run.said()
    why = run.json("jobs", "why")
    assert why["job"]["state"] == "stopped"
    assert "KeyError at train.py" in why["job"]["outcome"]
    assert len(run.json("jobs", "show", why["job"]["id"])["attempts"]) == 3


def test_checkpoint_that_was_cut_short_is_never_resumed_from(start):
    run = start(FAULT="torn")

    assert run.exit_code() == 0, run.said()
    job = run.json("jobs", "show", "tiny")
    assert [each["resumed_step"] for each in job["attempts"]] == [0, 10]
    assert "training from step 10" in run.output.read_text()
    assert job["highest_step"] == 40
    torn = run.json("events", "list", "--kind", "checkpoint.torn")
    assert [Path(each["fields"]["path"]).name for each in torn] == ["step_20"]
    assert run.json("jobs", "why")["diagnosis"]["suspects"][0]["rank"] == 0
    assert_ledger_closes(run.json("jobs", "why"))


def test_healthy_run_has_no_incident_and_loses_only_its_start(start):
    run = start(STEPS="20")

    assert run.exit_code() == 0, run.said()
    assert run.json("incidents", "list", "--all") == []
    why = run.json("jobs", "why")
    assert why["interruption"] is None
    assert set(why["ledger"]["by_reason"]) <= {"queue", "start", "productive", "other"}


def test_operator_who_stops_the_run_causes_no_incident(start):
    run = start(STEPS="4000")
    run.wait_for_step(5)
    family = psutil.Process(run.process.pid).children(recursive=True)

    run.process.send_signal(signal.SIGTERM)

    assert run.exit_code() == 1
    job = run.json("jobs", "show", "tiny")
    assert job["state"] == "stopped"
    assert "SIGTERM" in job["outcome"]
    assert run.json("incidents", "list", "--all") == []
    assert len(family) >= 5
    assert not [each for each in family if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]
