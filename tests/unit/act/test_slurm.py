"""What the actuator refuses before any command is run; tests/integration/test_slurm.py has a real Slurm."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from clusterwatch.act.slurm import Slurm, SlurmOptions
from clusterwatch.act.slurm_names import holds_id, reason, with_mark
from clusterwatch.errors import ActionError
from clusterwatch.model import Mode, Step, StepKind, StepState, WorldState

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOSTILE = [
    "node1;reboot",
    "node1 node2",
    "node1,node2",
    "node[1-9]",
    "$(reboot)",
    "`id`",
    "-n",
    "--help",
    "node1\nState=DOWN",
    "node1=x",
    "ALL*",
    ".",
    "node1\x00",
    "n" * 200,
]


def step(kind: StepKind, target: str = "slurm-7", **arguments: object) -> Step:
    return Step("dec-ab12-1-slurm-7-1.2", "dec-ab12-1-slurm-7-1", 2, kind, "slurm", target, arguments, NOON)


@pytest.fixture
def called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that holds a line for each time that one of Slurm's commands was called."""
    calls = tmp_path / "calls"
    for name in ("scontrol", "scancel"):
        (tmp_path / name).write_text(f'#!/bin/sh\necho "$*" >> {calls}\n')
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return calls


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("kind", [StepKind.DRAIN, StepKind.EXCLUDE, StepKind.RELEASE])
def test_node_of_such_a_name_is_refused_before_anything_is_run(called: Path, kind: StepKind, name: str):
    with pytest.raises(ActionError, match="no name of a node"):
        Slurm().perform(step(kind, attempt=1, node=name), NOON)

    assert not called.exists()


@pytest.mark.parametrize("target", ["7", "slurm-0", "slurm-7;id", "slurm--7", "slurm-7\n", "slurm-7 8", "run-3", ""])
def test_target_that_is_no_job_is_refused_before_anything_is_run(called: Path, target: str):
    with pytest.raises(ActionError, match="is no job of Slurm"):
        Slurm().perform(step(StepKind.REQUEUE, target, attempt=1), NOON)

    assert not called.exists()


@pytest.mark.parametrize("attempt", [None, 0, -1, "1", True, 1.0])
def test_step_that_does_not_say_for_which_attempt_is_refused(called: Path, attempt: object):
    with pytest.raises(ActionError, match="for which attempt"):
        Slurm().perform(step(StepKind.REQUEUE, attempt=attempt), NOON)

    assert not called.exists()


def test_step_id_that_is_none_of_ours_is_never_written(called: Path):
    hostile = Step("x y\nState=DOWN", "dec", 1, StepKind.DRAIN, "slurm", "slurm-7", {"node": "node1"}, NOON)

    with pytest.raises(ActionError, match="is no id of a step"):
        Slurm().perform(hostile, NOON)

    assert not called.exists()


def test_read_only_actuator_refuses_and_runs_nothing(called: Path):
    outcome = Slurm(SlurmOptions(read_only=True)).perform(step(StepKind.STOP, attempt=1), NOON)

    assert (outcome.state, outcome.detail) == (StepState.REFUSED, "the actuator is read-only ([slurm] read_only)")
    assert not called.exists()


def test_step_that_slurm_cannot_do_is_refused(called: Path):
    assert Slurm().perform(step(StepKind.ASK), NOON).state is StepState.REFUSED
    assert Slurm().state_of(step(StepKind.ASK)) is WorldState.NOT_DONE
    assert not called.exists()


def test_it_can_check_and_reset_only_with_a_command_for_that():
    assert set(StepKind) - Slurm().kinds == {StepKind.CHECK, StepKind.SURVEY, StepKind.RESET, StepKind.DUMP}
    assert {StepKind.CHECK, StepKind.SURVEY} <= Slurm(SlurmOptions(check_command=("check", "{node}"))).kinds


def test_it_only_observes_until_it_is_switched():
    assert Slurm().mode is Mode.OBSERVE


def test_missing_commands_say_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ActionError, match="no scontrol here: install Slurm's commands"):
        Slurm().perform(step(StepKind.REQUEUE, attempt=1), NOON)

    assert Slurm().state_of(step(StepKind.REQUEUE, attempt=1)) is WorldState.CANNOT_TELL


@pytest.mark.parametrize(
    ("cause", "written"), [("faulty_gpu", "faulty_gpu"), ("x; reboot", "unknown"), (None, "unknown")]
)
def test_reason_of_a_drain_holds_cause_incident_and_step(cause: object, written: str):
    about = step(StepKind.DRAIN, node="node1", cause=cause)

    assert reason(about) == f"[clusterwatch] {written} inc=inc-ab12 dec-ab12-1-slurm-7-1.2"
    assert holds_id(reason(about), about)
    assert not holds_id("[clusterwatch] x inc=y dec-ab12-1-slurm-7-1.23", about)


def test_comment_of_an_administrator_stays_beside_our_mark():
    assert with_mark("ticket 7", "[clusterwatch] attempt=1 a") == "ticket 7 [clusterwatch] attempt=1 a"
    assert with_mark("ticket 7 [clusterwatch] attempt=1 a", "[clusterwatch] attempt=2 b") == (
        "ticket 7 [clusterwatch] attempt=2 b"
    )


def test_check_of_the_site_is_run_with_the_name_of_the_node(tmp_path: Path):
    check = tmp_path / "check"
    check.write_text('#!/bin/sh\necho "checked $1"; test "$1" = node1\n')
    check.chmod(0o755)
    slurm = Slurm(SlurmOptions(check_command=(str(check), "{node}")))

    passed = slurm.perform(step(StepKind.CHECK, node="node1"), NOON)
    failed = slurm.perform(step(StepKind.CHECK, node="node2"), NOON)

    assert (passed.state, passed.detail) == (StepState.DONE, "checked node1")
    assert (failed.state, failed.detail) == (StepState.FAILED, "exit code 1: checked node2")


def survey_of(nodes: str):
    options = SlurmOptions(
        check_command=("sh", "-c", 'test "$0" != node002 || { echo "GPU 3 fails"; exit 3; }', "{node}")
    )
    return Slurm(options).perform(step(StepKind.SURVEY, attempt=1, nodes=nodes), NOON)


def test_survey_checks_every_node_and_names_those_that_fail():
    outcome = survey_of("node001,node002,node003")

    assert (outcome.state, outcome.facts) == (StepState.FAILED, {"failed": "node002"})
    assert outcome.detail == "node002 failed the check: exit code 3: GPU 3 fails"


def test_survey_tells_what_the_check_of_a_node_found():
    script = 'case "$0" in node002) echo bad; echo "found: scan.wrong_answer gpu 0000:2a:00"; exit 3;; esac'
    options = SlurmOptions(check_command=("sh", "-c", script, "{node}"))

    outcome = Slurm(options).perform(step(StepKind.SURVEY, attempt=1, nodes="node001,node002"), NOON)

    assert outcome.facts == {"failed": "node002", "found": "node002 scan.wrong_answer gpu 0000:2a:00"}


def test_node_that_does_not_answer_keeps_no_other_from_being_heard():
    script = 'case "$0" in node001) sleep 60;; node002) exit 3;; esac'
    options = SlurmOptions(check_command=("sh", "-c", script, "{node}"), check_within_seconds=1.0)

    outcome = Slurm(options).perform(step(StepKind.SURVEY, attempt=1, nodes="node001,node002"), NOON)

    assert outcome.facts == {"failed": "node001,node002", "found": "node001 node.check_failed.no_answer"}


def test_survey_that_finds_nothing_is_done():
    outcome = survey_of("node001,node003")

    assert (outcome.state, outcome.detail, outcome.facts) == (StepState.DONE, "2 nodes passed their check", {})


def test_survey_of_a_name_that_is_none_runs_nothing():
    with pytest.raises(ActionError):
        survey_of("node001,$(reboot)")
