"""`clusterwatch run` on plain programs, while its terminal, its reader, its operator or it itself goes away."""

import json
import os
import signal
import subprocess
import sys
import threading

import psutil
import pytest

from clusterwatch.app.run import Run
from clusterwatch.app.wiring import jobs_folder, store_of
from clusterwatch.clock import SystemClock
from clusterwatch.config import load
from clusterwatch.model import JobState, Step, StepKind
from clusterwatch.supervise import JobDescription, Supervision
from clusterwatch.testing import NOON

pytestmark = pytest.mark.integration

PATIENCE_SECONDS = 180
CLUSTERWATCH = [sys.executable, "-m", "clusterwatch"]
PRINTS = """
import time
for step in range(1, {steps} + 1):
    print(f"step: {{step}} loss: 1.0", flush=True)
    time.sleep(0.2)
"""


class Supervised:
    """`clusterwatch run --name tiny -- python program.py`, with its own state folder."""

    def __init__(self, folder, program, *options, **standard):
        self.folder = folder
        self.errors = folder / "errors.txt"
        script = folder / "program.py"
        script.write_text(program)
        streams = {"stdout": subprocess.DEVNULL, "stderr": self.errors.open("ab"), **standard}
        naming = ("--name=tiny", f"--state-dir={folder / 'state'}")
        self.process = subprocess.Popen(
            [*CLUSTERWATCH, "run", *naming, *options, "--", sys.executable, str(script)],
            env={**os.environ, "CLUSTERWATCH_NODE": "node001"},
            **streams,
        )

    def json(self, *arguments):
        database = f"sqlite:///{self.folder / 'state' / 'clusterwatch.db'}"
        command = [*CLUSTERWATCH, *arguments, "-o", "json", "--database", database]
        return json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout)

    def jobs(self):
        return self.json("jobs", "list")

    def wait_until_on_record(self):
        """Wait until the job is in the database: what is killed before has left nothing to be told."""
        nothing = threading.Event()
        for _ in range(PATIENCE_SECONDS):
            if self.jobs():
                return
            nothing.wait(0.5)
        raise AssertionError("no job on record in time")

    def output(self, attempt=1):
        found = list((self.folder / "state").glob(f"jobs/*/attempt-{attempt}.log"))
        return found[0].read_text() if found else ""

    def wait_for(self, text, attempt=1):
        wait_until(lambda: text in self.output(attempt), self)

    def exit_code(self):
        return self.process.wait(timeout=PATIENCE_SECONDS)

    def programs(self):
        script = str(self.folder / "program.py")
        return [each for each in psutil.process_iter() if _is_program(each, script)]


def _is_program(process, script):
    try:
        return process.cmdline()[-1:] == [script] and "clusterwatch" not in process.cmdline()
    except psutil.Error:
        return False


def wait_until(is_so, run):
    nothing = threading.Event()
    for _ in range(PATIENCE_SECONDS * 10):
        if is_so():
            return
        nothing.wait(0.1)
    raise AssertionError(run.errors.read_text()[-3000:])


@pytest.fixture
def start(tmp_path):
    runs = []

    def start_run(program, *options, **standard):
        runs.append(Supervised(tmp_path, program, *options, **standard))
        return runs[-1]

    yield start_run
    for run in runs:
        if run.process.poll() is None:
            run.process.kill()
            run.process.wait()
        for program in run.programs():
            program.kill()


def test_reader_that_goes_away_stops_nothing(start):
    run = start(PRINTS.format(steps=25), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    for _ in range(2):
        run.process.stdout.readline()
    run.process.stdout.close()

    assert run.exit_code() == 0
    (job,) = run.jobs()
    assert (job["state"], job["highest_step"]) == ("completed", 25)


def test_reader_that_stops_reading_does_not_stop_the_supervision(start):
    run = start("print(('x' * 99 + chr(10)) * 5000)", stdout=subprocess.PIPE)

    assert run.exit_code() == 0
    assert run.jobs()[0]["state"] == "completed"
    run.process.stdout.close()


def test_output_of_all_attempts_is_shown_to_the_end(start, tmp_path):
    program = (
        "import os, sys\n"
        "attempt = os.environ['CLUSTERWATCH_ATTEMPT']\n"
        "print(f'step: {attempt} loss: 1.0')\n"
        "sys.stdout.write(f'last words of {attempt}')\n"
        "sys.exit(3 if attempt == '1' else 0)\n"
    )
    with (tmp_path / "shown.txt").open("wb") as shown:
        run = start(program, stdout=shown)
        assert run.exit_code() == 0

    said = (tmp_path / "shown.txt").read_text()
    assert said == "step: 1 loss: 1.0\nlast words of 1step: 2 loss: 1.0\nlast words of 2"


def test_lost_terminal_does_not_stop_the_training(start):
    run = start(PRINTS.format(steps=20))
    run.wait_for("step: 3 ")

    run.process.send_signal(signal.SIGHUP)

    assert run.exit_code() == 0
    assert run.jobs()[0]["state"] == "completed"


def test_operator_who_stops_the_run_during_a_plan_gets_no_new_attempt(start):
    stubborn = PRINTS.format(steps=7) + (
        "import signal\nsignal.signal(signal.SIGTERM, lambda *_: print('asked to end', flush=True))\n"
        "for _ in range(6000): time.sleep(0.1)\n"
    )
    run = start(stubborn, "--hang-minimum=2")
    run.wait_for("asked to end")

    run.process.send_signal(signal.SIGINT)

    assert run.exit_code() == 1
    assert run.programs() == []
    (job,) = run.jobs()
    assert (job["state"], job["attempt"]) == ("stopped", 1)


def test_last_line_without_an_end_is_read_when_the_attempt_ended(start):
    run = start("import sys\nprint('step: 1 loss: 2.0')\nsys.stdout.write('step: 2 loss: 1.9')\n")

    assert run.exit_code() == 0
    assert run.jobs()[0]["highest_step"] == 2


def test_worker_that_outlived_its_launcher_is_gone_when_the_next_attempt_starts(start):
    program = """
import os, subprocess, sys
if os.environ["CLUSTERWATCH_ATTEMPT"] == "1":
    print(subprocess.Popen(["sleep", "600"], start_new_session=True).pid, flush=True)
    sys.exit(3)
"""
    run = start(program)

    assert run.exit_code() == 0
    worker = int(run.output())
    assert not psutil.pid_exists(worker) or psutil.Process(worker).status() == psutil.STATUS_ZOMBIE
    (decision,) = run.json("jobs", "why")["decisions"]
    assert "1 left in sessions of their own were ended" in decision["steps"][-1]["detail"]


def test_job_whose_supervisor_was_killed_is_ended_by_the_next_run_and_only_once(start):
    first = start(PRINTS.format(steps=600))
    first.wait_for("step: 3 ")
    first.wait_until_on_record()
    first.process.kill()
    first.process.wait()
    for program in first.programs():
        program.kill()

    for _ in range(2):
        assert start("print('step: 1 loss: 1.0')").exit_code() == 0

    lost = [job for job in first.jobs() if job["state"] == "stopped"]
    assert [job["outcome"] for job in lost] == ["its supervisor was killed; its processes may still run"]
    assert {job["state"] for job in first.jobs()} == {"stopped", "completed"}
    assert len(first.json("events", "list", "--kind", "job.ended")) == 3
    assert list((first.folder / "state").glob("jobs/*/supervisor.json")) == []


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A run in this process, which a test can reach into, of a program that ends well when it is asked to end."""
    program = tmp_path / "program.py"
    program.write_text(
        "import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
        "print('ready', flush=True)\nfor _ in range(6000): time.sleep(0.1)\n"
    )
    monkeypatch.setenv("CLUSTERWATCH_NODE", "node001")
    settings = load(None, {"state_dir": tmp_path / "state"})
    store = store_of(settings)
    job = JobDescription("job-here", "here", (sys.executable, str(program)), "node001")
    clock = SystemClock()
    supervision = Supervision(job, jobs_folder(settings) / job.id, clock)
    yield Run(settings, store, supervision, clock), supervision, store
    supervision.actuator.terminate()
    store.close()


def stop_when_ready(supervision):
    """Carry out the policy's last step from another thread, as the actor does."""

    def stop():
        actuator, nothing = supervision.actuator, threading.Event()
        while supervision.log_path is None or "ready" not in supervision.log_path.read_text():
            nothing.wait(0.05)
        arguments = {"attempt": 1, "reason": "no progress"}
        actuator.perform(Step("s.1", "s", 1, StepKind.STOP, actuator.name, "job-here", arguments, NOON), NOON)

    stopping = threading.Thread(target=stop, daemon=True)
    stopping.start()


def test_job_that_is_stopped_and_then_ends_well_is_not_called_completed(here):
    run, supervision, store = here
    stop_when_ready(supervision)

    assert run.to_the_end() == 1

    job = store.read.job("job-here").job
    assert (job.state, job.outcome) == (JobState.STOPPED, "no progress")


def test_mistake_in_a_turn_does_not_leave_the_command_alone(here, monkeypatch):
    run, supervision, store = here
    real, mistakes = supervision.actuator.poll, iter(range(5))

    def poll():
        if next(mistakes, None) is not None:
            raise KeyError("attempt")
        stop_when_ready(supervision)
        monkeypatch.setattr(supervision.actuator, "poll", real)
        return real()

    monkeypatch.setattr(supervision.actuator, "poll", poll)

    assert run.to_the_end() == 1

    assert store.read.job("job-here").job.outcome == "no progress"


def test_command_that_cannot_be_started_leaves_nothing(tmp_path):
    state = tmp_path / "state"
    answer = subprocess.run(
        [*CLUSTERWATCH, "run", f"--state-dir={state}", "--", "/no/such/command"],
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert answer.returncode == 1
    assert "/no/such/command" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert list(state.glob("jobs/*/supervisor.json")) == []
