"""What goes wrong with Slurm's commands, from the decision to the breaker; no Slurm is needed for that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from clusterwatch.act.slurm import Slurm, SlurmOptions
from clusterwatch.clock import ManualClock
from clusterwatch.metrics import Metrics
from clusterwatch.model import CLUSTER, Component, ComponentKind, Mode, StepKind, StepState, kinds
from clusterwatch.server import Actor, Responder
from clusterwatch.store import Store
from clusterwatch.testing import NOON, event, progress, seconds, training_job
from shipped import shipped_catalog, shipped_limits

pytestmark = pytest.mark.integration

FAILED_JOB = """\
JobId=7 JobName=train
   UserId=ada(1000) GroupId=ada(1000) MCS_label=N/A
   JobState=FAILED Reason=NonZeroExitCode Dependency=(null)
   Requeue=1 Restarts=0 BatchFlag=1 Reboot=0 ExitCode=1:0
   SubmitTime=2026-11-21T11:00:00 EligibleTime=2026-11-21T11:00:00
   StartTime=2026-11-21T12:00:00 EndTime=2026-11-21T12:00:55
   Partition=train AllocNode:Sid=head:1
   ReqNodeList=(null) ExcNodeList=(null)
   NodeList=node001
   BatchHost=node001
   NumNodes=1 NumCPUs=8 NumTasks=1
   Command=/home/ada/train.sh
   WorkDir=/home/ada
   StdOut=/home/ada/train.out
"""

ANSWERING = """\
#!/bin/sh
echo "$*" >> {folder}/calls
case "$*" in
  *--json*) echo "scontrol: unrecognized option '--json'" >&2; exit 1;;
  "show job"*) {shows};;
esac
{acts}
"""


@dataclass(frozen=True)
class Trouble:
    """How scontrol misbehaves, as shell: when it is asked, and when it is told something; and what must come of it."""

    shows: str
    acts: str
    state: StepState
    says: str
    """Part of what is said about the step."""


ASKED = "cat {folder}/job; exit 0"

TROUBLES = {
    "permission denied": Trouble(
        ASKED,
        "echo 'slurm_requeue error: Access/permission denied' >&2; exit 1",
        StepState.FAILED,
        "this user may not do that: run as SlurmUser or give it sudo",
    ),
    "sudo that asks": Trouble(
        "echo 'sudo: a password is required' >&2; exit 1", "exit 1", StepState.FAILED, "add a line to sudoers"
    ),
    "an answer that never comes": Trouble(
        ASKED, "exec sleep 600", StepState.UNKNOWN, "Nobody knows whether it was done: a person must look"
    ),
    "an answer that was lost": Trouble(
        ASKED,
        "echo 'slurm_requeue error: Socket timed out on send/recv operation' >&2; exit 1",
        StepState.UNKNOWN,
        "got no answer",
    ),
    "an answer that is none": Trouble(
        "echo 'JobId=7 JobName=x'; exit 0",
        "exit 0",
        StepState.FAILED,
        "answered what cannot be read, so nothing is done",
    ),
    "no controller": Trouble(
        "echo 'slurm_load_jobs error: Unable to contact slurm controller (connect failure)' >&2; exit 1",
        "exit 1",
        StepState.FAILED,
        'slurmctld does not answer: see "scontrol ping"',
    ),
    "a refusal nobody knows": Trouble(ASKED, "echo 'no' >&2; exit 9", StepState.FAILED, "see slurmctld's log"),
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(f"sqlite:///{tmp_path / 'test.db'}", create=True)
    yield opened
    opened.close()


class Troubled:
    """ClusterWatch over a crashed job of Slurm, with a breaker that no failed step is forgiven by."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.clock = ManualClock(NOON)
        actuator = Slurm(SlurmOptions(answer_within_seconds=0.5), Mode.AUTO)
        limits = shipped_limits(
            modes={"slurm": Mode.AUTO}, abilities={"slurm": actuator.kinds}, failed_steps_per_hour=0
        )
        self.responder = Responder(store, shipped_catalog().knowledge, limits, self.clock, Metrics(), "a")
        self.actor = Actor(store, [actuator], self.clock, Metrics())

    def act(self, *waits: float) -> None:
        """Let the job crash, and then as much time pass as *waits* say."""
        where = Component(ComponentKind.JOB, "slurm-7", "node001")
        crash = [
            *training_job("slurm-7", actuator="slurm"),
            *[progress("slurm-7", 1, step, NOON + seconds(10 * step)) for step in range(1, 6)],
            event(kinds.ATTEMPT_ENDED, where, NOON + seconds(55), job="slurm-7", attempt=1, exit_code=1),
        ]
        self.store.record("node001", "test", crash, {}, None, NOON)
        for wait in (60.0, 3.0, *waits):
            self.clock.advance(wait)
            self.responder.turn()
            while self.actor.turn():
                continue


def calls_in(folder: Path) -> list[str]:
    """Return what scontrol was told to do, in order; what it was asked does not count."""
    path = folder / "calls"
    lines = path.read_text().splitlines() if path.exists() else []
    return [line for line in lines if not line.startswith("show")]


def steps_of(store: Store) -> list[tuple[StepKind, StepState]]:
    """Return the steps of the first plan in order."""
    first = store.read.decisions()[-1]
    return [(step.kind, step.state) for step in first.steps]


@pytest.mark.parametrize("name", TROUBLES)
def test_step_that_slurm_does_not_take_says_why_and_leaves_nothing_half_done(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
):
    trouble = TROUBLES[name]
    (tmp_path / "job").write_text(FAILED_JOB)
    script = ANSWERING.replace("{shows}", trouble.shows).replace("{acts}", trouble.acts)
    (tmp_path / "scontrol").write_text(script.replace("{folder}", str(tmp_path)))
    (tmp_path / "scontrol").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    troubled = Troubled(store)

    troubled.act()

    assert steps_of(store) == [(StepKind.CHOOSE_CHECKPOINT, StepState.DONE), (StepKind.REQUEUE, trouble.state)]
    assert trouble.says in store.read.decisions()[-1].steps[-1].detail
    assert len(calls_in(tmp_path)) <= 1


def test_missing_commands_are_said_counted_and_open_the_breaker(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PATH", str(tmp_path))
    troubled = Troubled(store)

    troubled.act(20.0)

    assert "install Slurm's commands" in store.read.decisions()[-1].steps[-1].detail
    breaker = next(hold for hold in store.read.holds() if hold.subject == CLUSTER)
    assert breaker.reason == "1 steps failed within an hour, 0 may"
    again = store.read.decisions()[0]
    assert (again.mode, {step.state for step in again.steps}) == (Mode.APPROVE, {StepState.RECORDED})


def test_answer_that_never_comes_is_counted_by_the_breaker_and_calls_a_person(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "scontrol").write_text("#!/bin/sh\nexec sleep 600\n")
    (tmp_path / "scontrol").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    troubled = Troubled(store)

    troubled.act(20.0)

    (asked,) = store.read.asked(NOON)
    assert [(step.kind, step.state) for step in asked.steps] == [(StepKind.ASK, StepState.DONE)]
    assert any(hold.subject == CLUSTER for hold in store.read.holds())
