"""The command as people and monitoring systems run it: real children, the real pynvml, real torch on the CPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

import fake_nvml
from clusterwatch.app.known_answers import CHECKED, FAILED, computed
from clusterwatch.seams import Site

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SITE = Site("node001", "boot-1")
COMMAND = [sys.executable, "-m", "clusterwatch", "scan"]

# What a GPU with a weak transistor does: every third product has one bit wrong, and nothing reports an error.
FLIPS_A_BIT = """
import torch
right = torch.matmul
calls = 0
def matmul(left, right_side):
    global calls
    calls += 1
    result = right(left, right_side)
    if calls % 3 == 0:
        result[7, 11] += 1
    return result
torch.matmul = matmul
"""

pytestmark = pytest.mark.integration

Scan = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def library_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fake_nvml.built(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def scan(tmp_path: Path, library_dir: Path) -> Scan:
    """Return what scans a node whose driver says *lines*; the kernel log is empty, sums are computed on the CPU."""

    def run(*arguments: str, lines: tuple[str, ...] = ("gpus 2",), **extra: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "driver").write_text("".join(f"{line}\n" for line in lines))
        (tmp_path / "kmsg").touch()
        config = tmp_path / "clusterwatch.toml"
        config.write_text(
            f'node = "node001"\nstate_dir = "{tmp_path}/state"\n[scan]\ncompute = "cpu"\ndcgmi = ""\n'
            f'[collectors.nvml]\nlibrary_dir = "{library_dir}"\n[collectors.kernel_log]\npath = "{tmp_path}/kmsg"\n'
        )
        environment = {**os.environ, "FAKE_NVML_STATE": str(tmp_path / "driver"), **extra}
        command = [*COMMAND, "--config", str(config), *_without_others(), *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200)

    return run


def _without_others() -> list[str]:
    """Whatever else can be looked at depends on the machine that runs the test."""
    return [part for name in ("host", "fabric", "bmc", "pcie_edac", "disks") for part in ("--skip", name)]


def checks(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    return {check["name"]: check for check in json.loads(done.stdout)["checks"]}


def test_node_that_is_well_passes_every_check(scan: Scan):
    done = scan("-o", "json")

    report = json.loads(done.stdout)
    assert (done.returncode, report["state"], report["event"]["kind"]) == (0, "ok", "scan.ok")
    assert {name: check["state"] for name, check in checks(done).items()} == {
        "kernel_log": "ok",
        "known_answers": "ok",
        "nvml": "ok",
        "processors": "ok",
    }
    assert checks(done)["nvml"]["what"] == "2 of 2 GPUs answer"
    assert checks(done)["known_answers"]["what"] == "CPU: 21 products right"


def test_node_with_a_lost_gpu_is_not_fit_for_work(scan: Scan):
    done = scan("--skip", "known_answers", lines=("gpus 2", "gpu 1 error 15"))

    assert done.returncode == 10
    assert "node001 is not fit for work" in done.stderr
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [
        ["STATE", "CHECK"],
        ["ok", "kernel_log"],
        ["failed", "nvml"],
        ["ok", "processors"],
    ]


@pytest.mark.parametrize(
    ("lines", "code", "word"),
    [
        (("gpus 2",), 0, "OK"),
        (("gpus 2", "gpu 0 remap_pending 1"), 1, "WARNING"),
        (("gpus 2", "gpu 0 remap_failed 1"), 2, "CRITICAL"),
    ],
)
def test_monitoring_system_gets_one_line_and_its_own_codes(scan: Scan, lines: tuple[str, ...], code: int, word: str):
    done = scan("--nagios", "--skip", "known_answers", lines=lines)

    line, *found = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (code, "")
    assert [each.partition(": ")[0] for each in found] == ["found"] * (code == 2), "what failed, for who asked for it"
    assert line.startswith(f"SCAN {word} - ")
    assert " | ok=" in line


def test_nothing_to_check_is_unknown_to_a_monitoring_system(scan: Scan):
    done = scan(
        "--nagios", "--skip", "known_answers", "--skip", "processors", "--skip", "kernel_log", lines=("init 9",)
    )

    assert (done.returncode, done.stdout.split(" - ")[0]) == (3, "SCAN UNKNOWN")


def test_wrong_configuration_is_unknown_to_a_monitoring_system(tmp_path: Path):
    config = tmp_path / "clusterwatch.toml"
    config.write_text("[scan]\nrounds = 1\n")

    done = subprocess.run([*COMMAND, "--nagios", "--config", str(config)], capture_output=True, text=True, timeout=100)

    assert (done.returncode, done.stdout.startswith("SCAN UNKNOWN - ")) == (3, True)
    assert "scan.rounds" in done.stdout


def test_driver_that_hangs_fails_its_check_in_time_and_leaves_no_process(scan: Scan, tmp_path: Path):
    done = scan("-o", "json", "--skip", "known_answers", "--deadline", "6", lines=("gpus 1", "hang"))

    assert done.returncode == 10
    assert checks(done)["nvml"]["state"] == "failed"
    assert "did not answer" in checks(done)["nvml"]["what"]
    assert [process for process in psutil.process_iter() if _asks(process, tmp_path / "driver")] == []


def _asks(process: psutil.Process, driver: Path) -> bool:
    try:
        return process.environ().get("FAKE_NVML_STATE") == str(driver)
    except psutil.Error:
        return False


@pytest.fixture
def flipped(tmp_path: Path) -> dict[str, str]:
    folder = tmp_path / "weak"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(FLIPS_A_BIT)
    return {"PYTHONPATH": str(folder)}


def test_single_wrong_bit_is_found_and_named_silent_corruption(scan: Scan, flipped: dict[str, str]):
    done = scan("-o", "json", "--skip", "nvml", PYTHONPATH=flipped["PYTHONPATH"])

    check = checks(done)["known_answers"]
    assert (done.returncode, check["state"], check["kind"]) == (10, "failed", "scan.wrong_answer")
    assert check["what"] == "CPU: wrong result of bfloat16, float16, float32, float64, tf32"


def results(rounds: int = 2, seconds: float = 100, **more: Any) -> list[tuple[str, str]]:
    collected = computed(SITE, NOON, seconds, device="cpu", rounds=rounds, **{"python": "", **more})
    return [(reading.subject, reading.text) for reading in collected.readings]


def test_right_processor_gives_the_known_answers_each_time():
    assert results(rounds=2) == [(CHECKED, "CPU: 14 products right")]
    assert results(rounds=2) == [(CHECKED, "CPU: 14 products right")]


def interpreter(folder: Path, script: str) -> str:
    """Return a program that stands in for a Python whose torch does what *script* says."""
    program = folder / "python"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return str(program)


BEGINS_ON_GPU_3 = """
echo '{"device": "cuda:2", "name": "H100", "index": 2, "pci": "0000:02:00.0"}'
echo '{"device": "cuda:3", "name": "H100", "index": 3, "pci": "0000:03:00.0"}'
echo '{"device": "cuda:2", "begins": true}'
echo '{"device": "cuda:2", "problem": "float64", "round": 0, "digest": "a8069d46fe92dae01d6f7fe984e079e9"}'
echo '{"device": "cuda:3", "begins": true}'
"""


@pytest.mark.parametrize(
    ("ending", "words"),
    [("exec sleep 60", "no answer within 1 s"), ("echo oops >&2; kill -11 $$", "exit code -11 oops")],
)
def test_gpu_whose_computation_never_ends_is_named_and_what_others_did_counts(tmp_path: Path, ending: str, words: str):
    python = interpreter(tmp_path, BEGINS_ON_GPU_3 + ending)

    right, hung = computed(SITE, NOON, 1, python=python, device="cpu", rounds=2).readings

    assert (right.subject, right.text) == (CHECKED, "GPU 2: 1 products right")
    assert (hung.subject, hung.text) == (FAILED, f"GPU 3: the computation did not end: {words}")
    assert hung.fields["pci"] == "0000:03:00.0"


def test_torch_that_takes_its_interpreter_down_is_a_failed_computation(tmp_path: Path):
    (reading,) = computed(SITE, NOON, 20, python=interpreter(tmp_path, "kill -6 $$"), device="gpu", rounds=2).readings

    assert (reading.subject, reading.text) == (FAILED, "the computation did not begin: exit code -6")


def test_interpreter_without_torch_is_a_stated_condition(tmp_path: Path):
    bare = interpreter(tmp_path, f'exec {sys.executable} -S "$@"')

    collected = computed(SITE, NOON, 60, python=bare, device="gpu", rounds=2)

    assert collected.condition == "torch cannot be used here: No module named 'torch'"


def test_interpreter_that_is_not_there_is_a_stated_condition(tmp_path: Path):
    collected = computed(SITE, NOON, 60, python=str(tmp_path / "python"), device="gpu", rounds=2)

    assert collected.condition == f"{tmp_path}/python cannot be started: No such file or directory"


def test_machine_without_a_gpu_says_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")

    assert computed(SITE, NOON, 100, python="", device="gpu", rounds=2).condition == "torch sees no GPU here"
