import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime

import pytest

from clusterwatch.model import Trust
from clusterwatch.seams import Site, WatchedJob
from collectors.process import ProcessCollector

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)
PATIENCE_SECONDS = 60

SLEEPER = "import time; time.sleep(60)"
LAUNCHER = """
import os, subprocess, sys, time
ranks = [
    subprocess.Popen([sys.executable, "-c", sys.argv[1]],
                     env={**os.environ, "RANK": str(8 + n), "LOCAL_RANK": str(n), "WORLD_SIZE": "16"})
    for n in range(2)
]
while True:
    for rank in ranks:
        rank.poll()
    time.sleep(0.02)
"""
FORKS_A_DATA_LOADER = "import os, time; os.fork(); time.sleep(60)"


class Watcher:
    """A collector that looks at one command again and again, as the agent does."""

    def __init__(self, pid: int | None) -> None:
        self.collector = ProcessCollector()
        self.position: dict[str, object] = {}
        self.site = Site("node001", "boot", jobs=(WatchedJob("job1", 3, pid=pid),))
        self.readings: list = []
        self.condition = ""

    def look(self):
        collected = self.collector.collect(self.site, self.position, NOON)
        self.position = json.loads(json.dumps(dict(collected.position)))
        self.condition = collected.condition
        self.readings += collected.readings
        return list(collected.readings)

    def until(self, is_enough):
        for _ in range(PATIENCE_SECONDS * 50):
            self.look()
            if is_enough(self.readings):
                return self.readings
            threading.Event().wait(0.02)
        raise AssertionError(f"never seen; only {self.readings}")

    def told(self, subject: str):
        return [reading for reading in self.readings if reading.subject == subject]


@pytest.fixture
def start():
    commands = []

    def started(*arguments: str, **environment: str) -> subprocess.Popen:
        environ = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
        command = subprocess.Popen(
            [sys.executable, "-c", *arguments], env=environ | environment, start_new_session=True
        )
        commands.append(command)
        return command

    yield started
    for command in commands:
        with suppress(ProcessLookupError):
            os.killpg(command.pid, signal.SIGKILL)
        command.wait()


def wait_until_ended(command: subprocess.Popen) -> None:
    os.waitid(os.P_PID, command.pid, os.WEXITED | os.WNOWAIT)


@pytest.mark.parametrize(
    ("program", "exit_code", "name"),
    [
        ("pass", 0, None),
        ("raise SystemExit(7)", 7, None),
        ("import os; os.kill(os.getpid(), 9)", -9, "SIGKILL"),
        ("import os; os.abort()", -6, "SIGABRT"),
        ("import os; os.kill(os.getpid(), 40)", -40, "signal 40"),
    ],
)
def test_end_of_a_command_is_told_once_and_left_for_its_parent_to_collect(start, program, exit_code, name):
    command = start(program)
    wait_until_ended(command)
    watcher = Watcher(command.pid)

    (reading,) = watcher.look()

    assert (reading.subject, reading.job, reading.attempt, reading.trust) == ("process.exit", "job1", 3, Trust.NODE)
    assert reading.fields == {"exit_code": exit_code, "signal": name, "pid": command.pid}
    assert reading.happened_at == NOON
    assert watcher.look() == []
    assert command.wait() == exit_code


def test_command_that_runs_is_no_news(start):
    watcher = Watcher(start(SLEEPER).pid)

    assert (watcher.look(), watcher.condition) == ([], "")


def test_job_without_a_command_here_is_no_news():
    assert Watcher(None).look() == []


def test_end_of_a_command_that_is_no_child_is_known_without_its_status(start):
    launcher = start(LAUNCHER, SLEEPER)
    (placed, _) = Watcher(launcher.pid).until(lambda told: len(told) == 2)
    watcher = Watcher(placed.fields["pid"])
    watcher.look()

    os.kill(placed.fields["pid"], signal.SIGKILL)
    watcher.until(lambda told: any(reading.subject == "process.exit" for reading in told))

    assert watcher.told("process.exit")[0].fields == {"exit_code": None, "signal": None, "pid": placed.fields["pid"]}


def test_ranks_are_placed_once_with_their_gpus(start):
    launcher = start(LAUNCHER, SLEEPER, CUDA_VISIBLE_DEVICES="4,5")
    watcher = Watcher(launcher.pid)

    watcher.until(lambda told: len(told) >= 2)
    watcher.look()

    facts = {reading.rank: dict(reading.fields) for reading in watcher.told("rank.placed")}
    pids = [fields.pop("pid") for fields in facts.values()]
    assert facts == {
        8: {"rank": 8, "local_rank": 0, "world_size": 16, "gpu": "4"},
        9: {"rank": 9, "local_rank": 1, "world_size": 16, "gpu": "5"},
    }
    assert len(set(pids)) == len(watcher.readings) == 2


def test_data_loader_is_not_taken_for_its_rank(start):
    command = start(FORKS_A_DATA_LOADER, RANK="0", LOCAL_RANK="0", WORLD_SIZE="1")
    watcher = Watcher(command.pid)

    watcher.until(bool)
    for _ in range(5):
        watcher.look()
        threading.Event().wait(0.05)

    assert [(reading.rank, reading.fields["pid"]) for reading in watcher.readings] == [(0, command.pid)]


def test_scheduler_s_rank_of_a_launcher_gives_way_to_the_ranks_it_launches(start):
    command = start(LAUNCHER.replace("8 + n", "n"), SLEEPER, RANK="0", WORLD_SIZE="2")
    watcher = Watcher(command.pid)

    watcher.until(lambda told: sum(reading.fields["local_rank"] is not None for reading in told) == 2)

    last = {reading.rank: reading.fields["pid"] for reading in watcher.readings}
    assert command.pid not in last.values()


def test_stopped_rank_is_told_when_it_stays_stopped_and_again_when_it_runs(start):
    watcher = Watcher(start(LAUNCHER, SLEEPER).pid)
    watcher.until(lambda told: len(told) == 2)
    pid = next(reading.fields["pid"] for reading in watcher.readings if reading.rank == 9)

    os.kill(pid, signal.SIGSTOP)
    watcher.until(lambda _: watcher.told("process.stopped"))
    watcher.look()
    os.kill(pid, signal.SIGCONT)
    watcher.until(lambda _: watcher.told("process.continued"))

    ((stopped,), (continued,)) = watcher.told("process.stopped"), watcher.told("process.continued")
    assert (stopped.rank, stopped.fields["pid"], stopped.fields["state"]) == (9, pid, "stopped")
    assert (continued.rank, continued.fields["pid"]) == (9, pid)


def test_process_that_was_stopped_at_one_look_only_is_no_news(start):
    command = start(SLEEPER)
    watcher = Watcher(command.pid)
    os.kill(command.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, command.pid, os.WSTOPPED)

    first = watcher.look()
    os.kill(command.pid, signal.SIGCONT)
    os.waitid(os.P_PID, command.pid, os.WCONTINUED)

    assert (first, watcher.look()) == ([], [])


def test_stopping_twice_is_told_twice_under_different_positions(start):
    command = start(SLEEPER)
    watcher = Watcher(command.pid)

    for total in (1, 2):
        os.kill(command.pid, signal.SIGSTOP)
        watcher.until(lambda _, total=total: len(watcher.told("process.stopped")) == total)
        os.kill(command.pid, signal.SIGCONT)
        watcher.until(lambda _, total=total: len(watcher.told("process.continued")) == total)

    assert [reading.rank for reading in watcher.readings] == [None] * 4
    assert len({reading.position for reading in watcher.readings}) == 4


def test_rank_that_vanished_while_its_command_runs_is_told(start):
    watcher = Watcher(start(LAUNCHER, SLEEPER).pid)
    watcher.until(lambda told: len(told) == 2)
    pid = next(reading.fields["pid"] for reading in watcher.readings if reading.rank == 8)

    os.kill(pid, signal.SIGKILL)
    watcher.until(lambda _: watcher.told("process.gone"))
    watcher.look()

    (gone,) = watcher.told("process.gone")
    assert (gone.rank, gone.fields) == (8, {"pid": pid, "rank": 8, "ranks_running": 1})


def test_ranks_that_end_with_their_command_are_not_told_to_be_gone(start):
    launcher = start(LAUNCHER, SLEEPER)
    watcher = Watcher(launcher.pid)
    watcher.until(lambda told: len(told) == 2)

    os.killpg(launcher.pid, signal.SIGKILL)
    wait_until_ended(launcher)
    watcher.look()

    assert [reading.subject for reading in watcher.readings[2:]] == ["process.exit"]


def test_next_attempt_is_watched_afresh(start):
    first, second = start("pass"), start("raise SystemExit(1)")
    wait_until_ended(first)
    wait_until_ended(second)
    watcher = Watcher(first.pid)
    watcher.look()

    watcher.site = Site("node001", jobs=(WatchedJob("job1", 4, pid=second.pid),))
    (reading,) = watcher.look()

    assert (reading.attempt, reading.fields["exit_code"]) == (4, 1)
