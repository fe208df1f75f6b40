"""The actuator of a supervised command, on real processes."""

import os
import signal
import sys
import threading

import psutil
import pytest

from clusterwatch.act.local_process import Command, LocalProcess
from clusterwatch.errors import ActionError
from clusterwatch.model import Step, StepKind, StepState, WorldState
from clusterwatch.testing import NOON, seconds

JOB = f"job-{os.getpid()}"
SLEEPS = "import time; print('here', flush=True); time.sleep(600)"
IGNORES_TERM = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEPS}"
HAS_A_CHILD = (
    "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
    "print('here', flush=True); time.sleep(600)"
)
ENDS_WELL_ON_TERM = f"import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); {SLEEPS}"
LEAVES_A_WORKER = (
    "import subprocess, sys; print(subprocess.Popen("
    "[sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True).pid, flush=True); sys.exit(3)"
)


@pytest.fixture
def process(tmp_path):
    made = []

    def make(code, grace_seconds=5.0):
        command = Command(JOB, (sys.executable, "-c", code), tmp_path, "/checkpoints", grace_seconds)
        made.append(LocalProcess(command, lambda started: None, lambda: None))
        return made[-1]

    yield make
    for each in made:
        each.terminate()


def step(kind, attempt=1, **arguments):
    return Step("s.1", "s", 1, kind, "local_process", "job-1", {"attempt": attempt, **arguments}, NOON + seconds(600))


def until(is_so):
    nothing = threading.Event()
    for _ in range(1200):
        if is_so():
            return
        nothing.wait(0.05)
    raise AssertionError("not in time")


def output(tmp_path, attempt=1):
    path = tmp_path / f"attempt-{attempt}.log"
    return path.read_text() if path.exists() else ""


def ended(process):
    nothing = threading.Event()
    for _ in range(1200):
        if (end := process.poll()) is not None:
            return end
        nothing.wait(0.05)
    raise AssertionError("still runs")


def test_command_learns_where_to_resume_from_its_environment(process, tmp_path):
    made = process("import os; print({k: v for k, v in os.environ.items() if k.startswith('CLUSTERWATCH_')})")

    made.start("/checkpoints/step_20", 20)

    until(lambda: "STEP" in output(tmp_path))
    for variable in (
        f"'CLUSTERWATCH_JOB_ID': '{JOB}'",
        "'CLUSTERWATCH_ATTEMPT': '1'",
        "'CLUSTERWATCH_RESUME_CHECKPOINT': '/checkpoints/step_20'",
        "'CLUSTERWATCH_RESUME_STEP': '20'",
        "'CLUSTERWATCH_CHECKPOINT_DIR': '/checkpoints'",
        f"'CLUSTERWATCH_JOB': '{JOB}'",
        f"'CLUSTERWATCH_REPORT': '{tmp_path}/attempt-1-reports/job.report'",
    ):
        assert variable in output(tmp_path)


def test_hold_ends_everything_the_command_started(process, tmp_path):
    made = process(HAS_A_CHILD)
    made.start()
    until(lambda: "here" in output(tmp_path))
    family = [psutil.Process(made.running[1]), *psutil.Process(made.running[1]).children(recursive=True)]

    outcome = made.perform(step(StepKind.HOLD), NOON)

    assert len(family) == 2
    assert outcome.state is StepState.DONE
    assert not any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in family)
    assert made.poll().held


def test_command_that_ignores_sigterm_is_killed_after_the_grace(process, tmp_path):
    made = process(IGNORES_TERM, grace_seconds=0.2)
    made.start()
    until(lambda: "here" in output(tmp_path))

    made.perform(step(StepKind.HOLD), NOON)

    assert made.poll().exit_code == -signal.SIGKILL


def test_stopped_command_does_not_use_up_the_grace(process, tmp_path):
    made = process(SLEEPS, grace_seconds=60)
    made.start()
    until(lambda: "here" in output(tmp_path))
    command = psutil.Process(made.running[1])
    command.suspend()
    until(lambda: command.status() == psutil.STATUS_STOPPED)

    made.perform(step(StepKind.HOLD), NOON)

    assert made.poll().exit_code == -signal.SIGKILL


def test_restart_is_the_next_attempt_and_refused_while_the_last_one_runs(process, tmp_path):
    made = process(SLEEPS)
    made.start()

    while_running = made.perform(step(StepKind.REQUEUE), NOON)
    made.perform(step(StepKind.HOLD), NOON)
    made.bury()
    after = made.perform(step(StepKind.REQUEUE), NOON)

    assert while_running.state is StepState.REFUSED
    assert after.state is StepState.DONE
    assert made.running[0] == 2


def test_restart_waits_until_the_end_of_the_last_attempt_was_taken_note_of(process):
    made = process("pass")
    made.start()
    ended(made)
    seen = []

    def take_note():
        seen.append(made.poll())
        made.bury()

    noting = threading.Timer(0.2, take_note)
    noting.start()
    outcome = made.perform(step(StepKind.REQUEUE), NOON)
    noting.join()

    assert outcome.state is StepState.DONE
    assert [each.number for each in seen] == [1]


def test_step_decided_about_an_earlier_attempt_is_refused(process):
    made = process(SLEEPS)
    made.start()

    outcome = made.perform(step(StepKind.HOLD, attempt=7), NOON)

    assert outcome.state is StepState.REFUSED
    assert made.running is not None


def test_restart_that_was_done_before_a_crash_is_known_as_done(process):
    made = process("pass")
    made.start()
    ended(made)
    made.bury()
    assert made.state_of(step(StepKind.REQUEUE)) is WorldState.NOT_DONE

    made.perform(step(StepKind.REQUEUE), NOON)

    assert made.state_of(step(StepKind.REQUEUE)) is WorldState.DONE


def test_checkpoint_that_is_gone_is_not_resumed_from(process, tmp_path):
    made = process("pass")
    made.start()

    gone = made.perform(step(StepKind.CHOOSE_CHECKPOINT, checkpoint=str(tmp_path / "gone")), NOON)
    there = made.perform(step(StepKind.CHOOSE_CHECKPOINT, checkpoint=str(tmp_path)), NOON)

    assert (gone.state, there.state) == (StepState.FAILED, StepState.DONE)


def test_job_that_is_given_up_keeps_the_reason(process):
    made = process(SLEEPS)
    made.start()

    made.perform(step(StepKind.STOP, reason="died three times at step 7"), NOON)

    assert made.given_up == "died three times at step 7"
    assert made.poll() is not None


def test_how_a_command_ended_can_be_seen_by_others_until_it_is_buried(process):
    made = process("raise SystemExit(7)")
    made.start()
    _, pid = made.running

    first = ended(made)
    seen_by_others = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT).si_status
    again = made.poll()
    made.bury()

    assert first.exit_code == again.exit_code == seen_by_others == 7
    assert made.poll() is None


def test_command_that_does_not_exist_is_said_so(tmp_path):
    made = LocalProcess(Command("job-1", ("/no/such/command",), tmp_path), lambda started: None, lambda: None)

    with pytest.raises(ActionError, match="/no/such/command"):
        made.start()


def test_python_does_not_hold_back_what_the_command_prints(process, tmp_path, monkeypatch):
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)

    process("import time; print('step: 1 loss: 2.0'); time.sleep(600)").start()

    until(lambda: "step: 1" in output(tmp_path))


def test_buffering_that_the_user_chose_stays(process, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONUNBUFFERED", "")

    process("import os; print(repr(os.environ['PYTHONUNBUFFERED']))").start()

    until(lambda: output(tmp_path).strip() == "''")


@pytest.mark.parametrize("kind", [StepKind.HOLD, StepKind.REQUEUE])
def test_plan_of_a_job_that_an_operator_stopped_is_not_carried_on(process, kind):
    made = process(SLEEPS)
    made.start()

    made.retire("the job was stopped by an operator")
    made.terminate()
    made.bury()
    outcome = made.perform(step(kind), NOON)

    assert (outcome.state, outcome.detail) == (StepState.REFUSED, "the job was stopped by an operator")
    assert made.is_idle
    with pytest.raises(ActionError, match="stopped by an operator"):
        made.start()


def test_restart_that_waits_for_the_last_attempt_is_given_up_when_an_operator_stops_the_job(process):
    made = process("pass")
    made.start()
    ended(made)

    stopping = threading.Timer(0.2, lambda: made.retire("the job was stopped by an operator"))
    stopping.start()
    outcome = made.perform(step(StepKind.REQUEUE), NOON)
    stopping.join()

    assert outcome.state is StepState.REFUSED
    assert made.attempt == 1


def test_what_an_attempt_left_in_a_session_of_its_own_is_ended_before_the_next(process, tmp_path):
    made = process(LEAVES_A_WORKER)
    made.start()
    ended(made)
    made.bury()
    worker = psutil.Process(int(output(tmp_path)))

    outcome = made.perform(step(StepKind.REQUEUE), NOON)

    assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE
    assert outcome.state is StepState.DONE
    assert outcome.detail == "attempt 2 started; 1 left in sessions of their own were ended"


def test_hold_ends_what_left_the_session_of_the_command(process, tmp_path):
    made = process(
        "import subprocess, time; subprocess.run(['sh', '-c', 'setsid sleep 600 & echo $!']); time.sleep(600)"
    )
    made.start()
    until(lambda: output(tmp_path).endswith("\n"))
    worker = psutil.Process(int(output(tmp_path)))
    until(lambda: os.getsid(worker.pid) == worker.pid)

    outcome = made.perform(step(StepKind.HOLD), NOON)

    assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE
    assert outcome.detail == "all its processes have ended; 1 left in sessions of their own were ended"


def test_processes_of_other_jobs_are_left_alone(process, tmp_path):
    other = LocalProcess(
        Command(f"{JOB}-other", (sys.executable, "-c", SLEEPS), tmp_path / "other"), lambda started: None, lambda: None
    )
    other.start()
    made = process(SLEEPS)
    made.start()

    made.perform(step(StepKind.HOLD), NOON)

    assert other.poll() is None
    other.terminate()


def test_command_that_ends_well_when_it_is_stopped_did_not_complete(process, tmp_path):
    made = process(ENDS_WELL_ON_TERM)
    made.start()
    until(lambda: "here" in output(tmp_path))

    made.perform(step(StepKind.STOP, reason="no progress"), NOON)

    end = made.poll()
    assert (end.exit_code, end.held) == (0, True)
    assert made.given_up == "no progress"


def test_command_that_ended_before_it_was_held_ended_by_itself(process):
    made = process("raise SystemExit(7)")
    made.start()
    ended(made)

    made.perform(step(StepKind.HOLD), NOON)

    assert not made.poll().held


def test_end_can_be_looked_at_while_another_thread_ends_the_command(process, tmp_path):
    made = process(SLEEPS)
    for attempt in range(1, 6):
        made.start()
        until(lambda attempt=attempt: "here" in output(tmp_path, attempt))
        ending = threading.Thread(target=made.terminate)
        ending.start()
        while ending.is_alive():
            made.poll()
        assert made.poll().exit_code == -signal.SIGTERM
        made.bury()


def test_exit_by_signal_is_negative(process, tmp_path):
    made = process(SLEEPS)
    made.start()
    until(lambda: "here" in output(tmp_path))

    made.forward(signal.SIGINT)

    assert ended(made).exit_code in (-signal.SIGINT, 1)
