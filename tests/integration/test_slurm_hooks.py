"""The hooks of docs/examples/slurm: whatever clusterwatch does, no job waits for it. What a job is told to resume."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from clusterwatch.clock import SystemClock
from clusterwatch.model import (
    Changes,
    Decision,
    Incident,
    IncidentState,
    Job,
    JobState,
    Mode,
    Step,
    StepKind,
    StepState,
)
from clusterwatch.store import Store
from slurm_cluster import SlurmCluster, end_processes_with, started_cluster, wait_until

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples" / "slurm"
NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOSTILE = "/ckpt/$(touch pwned); `touch pwned` \"x\" 'y' && touch pwned #\\ *"

# Slurm waits for none of them: 2 seconds, and room for a busy machine to start a shell.
PATIENCE_SECONDS = 5.0

BEHAVIOURS = {
    "missing": None,
    "hangs": "exec sleep 600",
    "ignores being told to end": "trap '' TERM; while :; do sleep 0.1; done",
    "crashes": "kill -SEGV $$",
    "fails": "exit 1",
    "is not set up": "exit 3",
    "talks nonsense": "head -c 100000 /dev/urandom; exit 7",
}


@pytest.fixture
def bin_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that stands before all others, with a scontrol that writes down how it was called."""
    folder = tmp_path / "bin"
    folder.mkdir()
    put(folder, "scontrol", f'echo "$*" >> {tmp_path}/calls')
    yield folder
    # Of a scan in the background that hangs.
    end_processes_with("CLUSTERWATCH_HEALTH_DIR", str(tmp_path / "health"))


def put(folder: Path, name: str, script: str | None) -> None:
    if script is not None:
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)


def ran(hook: str, folder: Path, **environment: str) -> tuple[int, str, float]:
    """Run a hook as Slurm does, as the leader of a process group; return its code, its output and its seconds."""
    clock = SystemClock()
    around = {"PATH": f"{folder}:/usr/bin:/bin", "CLUSTERWATCH_HEALTH_DIR": str(folder.parent / "health")}
    around |= {"SLURMD_NODENAME": "node1", "SLURM_JOB_ID": "7", **environment}
    began = clock.monotonic()
    done = subprocess.run(
        [EXAMPLES / hook], env=around, capture_output=True, text=True, timeout=30, process_group=0, cwd=folder.parent
    )
    return done.returncode, done.stdout + done.stderr, clock.monotonic() - began


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
@pytest.mark.parametrize("hook", ["prolog.sh", "epilog.sh", "health-check.sh"])
def test_hook_lets_everything_through_in_time(hook: str, behaviour: str, bin_folder: Path):
    put(bin_folder, "clusterwatch", BEHAVIOURS[behaviour])

    code, said, seconds = ran(hook, bin_folder)

    assert (code, said) == (0, "")
    assert seconds < PATIENCE_SECONDS
    assert not (bin_folder.parent / "calls").exists()


@pytest.mark.parametrize("hook", ["prolog.sh", "epilog.sh", "health-check.sh"])
def test_hook_without_a_node_or_with_a_hostile_one_does_nothing(hook: str, bin_folder: Path):
    put(bin_folder, "clusterwatch", "echo SCAN FAILED; exit 2")

    assert [ran(hook, bin_folder, SLURMD_NODENAME=name)[0] for name in ("", "../x", "a b", "$(id)")] == [0] * 4
    assert not (bin_folder.parent / "calls").exists()


def test_node_on_which_the_scan_finds_a_fault_is_drained_and_gets_no_job(bin_folder: Path):
    put(bin_folder, "clusterwatch", "echo 'SCAN FAILED - GPU 3: $(reboot) ; Xid 79 | failed=1'; exit 2")
    result = bin_folder.parent / "health" / "scan.node1"

    ran("health-check.sh", bin_folder)
    wait_until(result.exists, "the result of the scan")
    checked = ran("health-check.sh", bin_folder)
    hooks = [ran(hook, bin_folder)[0] for hook in ("prolog.sh", "epilog.sh")]

    assert checked[0] == 0
    assert hooks == [1, 1]
    assert (bin_folder.parent / "calls").read_text().splitlines()[0] == (
        "update NodeName=node1 State=DRAIN Reason=health: SCAN FAILED - GPU 3: (reboot) ; Xid 79  failed=1"
    )


def test_old_result_says_nothing(bin_folder: Path):
    result = bin_folder.parent / "health" / "scan.node1"
    result.parent.mkdir()
    result.write_text("2\nSCAN FAILED\n")
    hour_ago = SystemClock().now().timestamp() - 3600
    os.utime(result, (hour_ago, hour_ago))

    assert [ran(hook, bin_folder)[0] for hook in ("prolog.sh", "epilog.sh")] == [0, 0]


@pytest.fixture
def hooked(tmp_path: Path) -> Iterator[SlurmCluster]:
    """A cluster of one node with all hooks, on which clusterwatch hangs."""
    folder = tmp_path / "hooks"
    folder.mkdir()
    put(folder, "clusterwatch", BEHAVIOURS["hangs"])
    lines = []
    for setting, hook in (("Prolog", "prolog.sh"), ("Epilog", "epilog.sh"), ("HealthCheckProgram", "health-check.sh")):
        environment = f"export PATH={folder}:$PATH CLUSTERWATCH_HEALTH_DIR={tmp_path}/health"
        put(folder, hook, f'{environment}\nexec {EXAMPLES / hook} "$@"')
        lines.append(f"{setting}={folder / hook}")
    cluster = started_cluster(nodes=1, more="\n".join([*lines, "HealthCheckInterval=1", "PrologFlags=Alloc"]))
    yield cluster
    cluster.close()
    end_processes_with("CLUSTERWATCH_HEALTH_DIR", str(tmp_path / "health"))


def test_real_slurm_starts_and_ends_jobs_while_clusterwatch_hangs(hooked: SlurmCluster):
    number = hooked.submit("echo trained")

    hooked.wait_for_job(number, "COMPLETED", seconds=30)

    assert hooked.log_of(number).read_text() == "trained\n"
    assert hooked.node("node1").reason == ""


def decided(checkpoint: str) -> Decision:
    """A plan for attempt 1 of Slurm's job 7: leave node2 out, go on from *checkpoint*."""
    arguments = {"attempt": 1, "checkpoint": checkpoint, "step": 120}

    def part(order: int, kind: StepKind, is_in: StepState, **more: object) -> Step:
        given = {**arguments, **more}
        return Step(f"dec-1.{order}", "dec-1", order, kind, "slurm", "slurm-7", given, NOON, is_in, NOON)  # type: ignore[arg-type]

    steps = (
        part(1, StepKind.EXCLUDE, StepState.DONE, node="node2"),
        part(2, StepKind.CHOOSE_CHECKPOINT, StepState.DONE),
        part(3, StepKind.REQUEUE, StepState.BEGUN),
    )
    return Decision("dec-1", "inc-1", 1, "slurm-7", Mode.AUTO, "restart", NOON, steps, attempt=1)


def database_with(folder: Path, decision: Decision) -> str:
    url = f"sqlite:///{folder}/clusterwatch.db"
    store = Store.open(url, create=True)
    try:
        lease = store.acquire("test", 60)
        assert lease is not None
        job = Job("slurm-7", "pretrain", JobState.INTERRUPTED, NOON, NOON, actuator="slurm", attempt=1)
        incident = Incident("inc-1", IncidentState.ACTING, NOON, NOON, NOON, ())
        store.commit_turn(
            lease, Changes(jobs=(job,), incidents=(incident,), decisions=(decision,)), store.world(NOON)[1], NOON
        )
    finally:
        store.close()
    return url


def evaluated(folder: Path, url: str, **environment: str) -> tuple[str, str]:
    """Have a real bash evaluate the answer under `set -eu`; return what the variables hold, and what was said."""
    ask = shlex.join([sys.executable, "-m", "clusterwatch", "jobs", "resume-env", "--database", url])
    script = (
        f'set -eu; eval "$({ask})"\n'
        'printf "%s|" "${CLUSTERWATCH_RESUME_CHECKPOINT-unset}" "${CLUSTERWATCH_RESUME_STEP-unset}" '
        '"${CLUSTERWATCH_RESUME_EXCLUDE-unset}" "${CLUSTERWATCH_ATTEMPT-unset}"'
    )
    around = {**os.environ, "PYTHONPATH": str(ROOT), "SLURM_JOB_ID": "7", "SLURM_RESTART_COUNT": "1", **environment}
    done = subprocess.run(["bash", "-c", script], env=around, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def test_path_of_shell_syntax_reaches_the_job_as_it_is_and_runs_nothing(tmp_path: Path):
    url = database_with(tmp_path, decided(HOSTILE))

    values, _ = evaluated(tmp_path, url)

    assert values == f"{HOSTILE}|120|node2|2|"
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    "decision",
    [decided("/ckpt\ntouch pwned"), replace(decided("/ckpt"), attempt=2)],
    ids=["line break", "another attempt"],
)
def test_on_doubt_nothing_is_set(tmp_path: Path, decision: Decision):
    url = database_with(tmp_path, decision)

    values, said = evaluated(tmp_path, url)

    assert values == "unset|unset|unset|unset|"
    assert said
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    ("url", "environment"),
    [
        ("postgresql://nobody@127.0.0.1:1/none", {}),
        ("sqlite:///nothere.db", {"SLURM_JOB_ID": "7; touch pwned"}),
    ],
)
def test_without_an_answer_the_job_goes_on_by_itself(tmp_path: Path, url: str, environment: dict[str, str]):
    values, said = evaluated(tmp_path, url, **environment)

    assert values == "unset|unset|unset|unset|"
    assert said
    assert not (tmp_path / "pwned").exists()


def test_scripts_get_the_same_as_json(tmp_path: Path):
    url = database_with(tmp_path, decided("/ckpt/step_120"))

    command = [sys.executable, "-m", "clusterwatch", "jobs", "resume-env", "slurm-7", "--attempt", "2", "-o", "json"]
    done = subprocess.run([*command, "--database", url], capture_output=True, text=True, cwd=ROOT, timeout=120)

    assert json.loads(done.stdout)["CLUSTERWATCH_RESUME_CHECKPOINT"] == "/ckpt/step_120"


def test_batch_script_and_hooks_are_valid_shell():
    for path in EXAMPLES.iterdir():
        if path.suffix in {".sh", ".sbatch"}:
            assert subprocess.run(["bash", "-n", path], timeout=30).returncode == 0
