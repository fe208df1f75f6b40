"""`python -m clusterwatch diagnose`, as a person calls it."""

from __future__ import annotations

import gzip
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import zstandard

from diagnosing import diagnosed

pytestmark = pytest.mark.integration

FELL_OFF = (
    "Jan 16 11:42:38 node012 kernel: [1005433.812628] "
    "NVRM: Xid (PCI:0000:86:00): 79, pid=1234, name=python, GPU has fallen off the bus.\n"
)
MEGABYTE = 1024 * 1024


def diagnose(*arguments: Path | str, stdin: bytes = b"", **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "clusterwatch", "diagnose", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        timeout=120,
        env={**os.environ, **environment},
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def test_answer_for_scripts_has_the_promised_keys():
    done = diagnose("-", "-o", "json", stdin=FELL_OFF.encode())

    (found,) = json.loads(done.stdout)
    assert done.returncode == 0
    assert {name: found[name] for name in ("cause", "table5", "category", "absent")} == {
        "cause": "faulty_gpu",
        "table5": "Faulty GPU",
        "category": "GPU",
        "absent": [],
    }
    assert {name: value for name, value in found["suspects"][0].items() if name != "score"} == {
        "kind": "gpu",
        "id": "0000:86:00",
        "node": "node012",
        "gpu": "0000:86:00",
        "rank": None,
    }
    assert (found["evidence"][0]["source"], found["evidence"][0]["line"]) == ("stdin", 1)
    assert set(found) >= {"confidence", "alternatives", "explanation", "advice"}


def test_log_without_a_failure_gives_an_empty_list_and_a_sentence():
    done = diagnose("-", "-o", "json", stdin=b"all is well\n" * 3)

    assert (done.returncode, json.loads(done.stdout)) == (0, [])
    assert done.stderr == "nothing that looks like a failure in 3 lines\n"


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress], ids=["gzip", "zstd"])
def test_compressed_logs_in_a_folder_are_read(tmp_path: Path, pack):
    (tmp_path / "kern.log.1").write_bytes(pack(FELL_OFF.encode()))

    done = diagnose(tmp_path, "-o", "json")

    assert [found["cause"] for found in json.loads(done.stdout)] == ["faulty_gpu"]


def test_what_cannot_be_read_is_told_and_the_rest_goes_on(tmp_path: Path):
    (tmp_path / "core").write_bytes(random.Random(1).randbytes(50_000))
    (tmp_path / "kern.log").write_text(FELL_OFF)

    done = diagnose(tmp_path / "missing", tmp_path, "-o", "json")

    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        f"clusterwatch: {tmp_path}/missing: no such file or folder",
        f"clusterwatch: {tmp_path}/core: binary data, not a log",
        "1 line in 1 file read",
    ]
    assert len(json.loads(done.stdout)) == 1


@pytest.mark.parametrize(("form", "said"), [("slurm", "node[012-013]\n"), ("pbs", "node012+node013\n")])
def test_nodes_to_leave_out_are_printed_as_a_scheduler_reads_them(form: str, said: str):
    lines = FELL_OFF + FELL_OFF.replace("node012", "node013")

    done = diagnose("-", "--exclude-list", form, stdin=lines.encode())

    assert (done.returncode, done.stdout) == (0, said)


def test_nothing_readable_is_a_failure(tmp_path: Path):
    done = diagnose(tmp_path / "missing")

    assert (done.returncode, done.stdout) == (1, "")
    assert "no such file or folder" in done.stderr


def test_site_rules_that_are_not_there_are_told(tmp_path: Path):
    done = diagnose("-", "--rules-dir", tmp_path / "missing")

    assert done.returncode == 1
    assert "cannot be read" in done.stderr
    assert "Traceback" not in done.stderr


def test_page_fits_a_narrow_terminal_and_hostile_text_does_no_harm(tmp_path: Path):
    hostile = "RuntimeError: CUDA error: unspecified launch failure [bold]\x1b]0;owned\x07\x1b[2J\u202eevil"
    (tmp_path / "train.log").write_text(f"[rank3]: {hostile}\r\n{FELL_OFF}")

    done = diagnose(tmp_path, COLUMNS="80")

    assert done.returncode == 0
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "[bold]" in done.stdout
    assert not {"\x1b", "\x07", "\u202e"} & set(done.stdout)
    for title in ("WHAT HAPPENED", "WHICH PART", "HOW SURE", "EVIDENCE", "WHAT TO DO"):
        assert title in done.stdout


def test_large_log_is_read_in_little_memory(tmp_path: Path):
    line = "[rank{0}]: 2026-01-16 11:42:38,123 [INFO] loading shard {0} of the data set, {0} samples so far\n"
    with (tmp_path / "train.log").open("w") as log:
        number = 0
        while log.tell() < 50 * MEGABYTE:
            log.writelines(line.format(number + each) for each in range(1000))
            log.write(FELL_OFF)
            number += 1000
        log.write("x" * 5 * MEGABYTE)

    done = diagnosed(tmp_path)

    assert [found["cause"] for found in done.found] == ["faulty_gpu"]
    assert done.peak_mb < 300


def test_eight_hundred_thousand_lines_of_which_few_differ_mean_what_the_few_mean(tmp_path: Path):
    few, many = tmp_path / "few", tmp_path / "many"
    timeouts = (
        f"[rank{rank}]:[E120 12:08:02.118] ProcessGroupNCCL.cpp:629 [Rank {rank}] Watchdog caught collective operation "
        "timeout: WorkNCCL(SeqNum=48121, OpType=ALLREDUCE, Timeout(ms)=600000) ran for 600061 milliseconds\n"
        for rank in range(28)
    )
    text = FELL_OFF + "".join(timeouts)
    for folder, times in ((few, 1), (many, 27_587)):
        folder.mkdir()
        with (folder / "all.log").open("w") as log:
            log.writelines(text for _ in range(times))

    once, often = diagnosed(few), diagnosed(many)

    told = [[(each["cause"], each["confidence"], each["suspects"]) for each in done.found] for done in (once, often)]
    assert told[0] == told[1]
    # What a log of more than 64 MB is searched by costs some 40 MB once, however long the log is.
    assert often.peak_mb < once.peak_mb + 70
