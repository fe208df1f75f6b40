"""Dumps that real ranks wrote, through the command."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

HERE = Path(__file__).parent
DUMPS = HERE.parent / "data" / "flight-recorder"
EXAMPLE = HERE.parents[1] / "docs" / "examples" / "flight-recorder"


def clusterwatch(*arguments):
    command = [sys.executable, "-m", "clusterwatch", "flight-recorder", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def answer_of(*arguments):
    ran = clusterwatch(*arguments, "-o", "json")
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


@pytest.mark.parametrize(
    ("folder", "status", "culprits"),
    [
        (DUMPS / "fine", "ok", []),
        (EXAMPLE, "mismatch", [(2, "node001", "mismatched")]),
        (DUMPS / "size", "mismatch", [(2, "node001", "mismatched")]),
        (DUMPS / "absent", "stalled", [(2, "node001", "absent")]),
        (DUMPS / "absent-json", "stalled", [(2, "node001", "absent")]),
    ],
    ids=["fine", "other operation", "other size", "absent", "absent, JSON"],
)
def test_culprit_of_dumps_that_pytorch_wrote_is_named(folder, status, culprits):
    answer = answer_of(folder)

    assert answer["status"] == status
    assert [(each["rank"], each["node"], each["kind"]) for each in answer["culprits"]] == culprits


def test_job_that_hangs_now_names_the_rank_that_never_came(tmp_path):
    torchrun = [str(Path(sys.executable).parent / "torchrun"), "--standalone", "--nproc-per-node=4"]
    job = [*torchrun, str(HERE / "training" / "collectives.py"), str(tmp_path), "absent"]
    subprocess.run(job, env={**os.environ, "TORCH_FR_BUFFER_SIZE": "100"}, capture_output=True, check=True, timeout=180)

    answers = [answer_of(tmp_path / form) for form in ("pickle", "json")]

    # On a fast machine the others have not waited for long when they give up after five seconds.
    assert {answer["status"] for answer in answers} <= {"straggler", "stalled"}
    assert [[each["rank"] for each in answer["culprits"]] for answer in answers] == [[2], [2]]
    assert (answers[0]["collective_seq"], answers[0]["operation"], answers[0]["waiting"]) == (4, "all_reduce", 3)


def test_people_read_the_culprit_where_it_runs_and_the_line_of_its_program():
    shown = clusterwatch(EXAMPLE).stdout

    assert shown.splitlines()[0] == "MISMATCH"
    assert "Rank 2 called broadcast at /srv/job/train.py:" in shown
    assert "node001" in shown


def test_file_that_would_run_something_is_refused_and_its_neighbours_are_read(tmp_path):
    attacked = tmp_path / "attacked"
    (tmp_path / "rank_0").write_bytes(f"cos\nsystem\n(S'touch {attacked}'\ntR.".encode())
    os.mkfifo(tmp_path / "rank_7")
    (tmp_path / "rank_1").write_bytes((DUMPS / "fine" / "node000" / "nccl_trace_rank_1").read_bytes())

    ran = clusterwatch(tmp_path, "-o", "json")

    assert not attacked.exists()
    assert "opcode 0x63 at byte 0 makes more than plain values" in ran.stderr
    assert json.loads(ran.stdout)["missing_dumps"] == [0, 2, 3]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: folder / "gone", "is no folder"),
        (lambda folder: folder, "holds no file named as a dump"),
        (lambda folder: (folder / "rank_0").write_bytes(b"hello") and folder, "nothing could be read"),
    ],
    ids=["no folder", "nothing in it", "nothing readable"],
)
def test_what_cannot_be_read_is_told_with_exit_code_1(tmp_path, make, said):
    ran = clusterwatch(make(tmp_path))

    assert ran.returncode == 1
    assert said in ran.stderr


def test_list_of_ranks_that_is_none_is_a_usage_error():
    ran = clusterwatch(EXAMPLE, "--ended", "two")

    assert ran.returncode == 2
    assert "--ended" in ran.stderr


def test_ranks_that_ended_are_told_from_those_that_left_no_dump(tmp_path):
    for rank in (0, 1, 3):
        source = DUMPS / "absent-json" / f"node{rank // 2:03}" / f"rank_{rank}.json"
        # As it is while they wait: nothing is retired yet.
        (tmp_path / source.name).write_text(source.read_text().replace('"retired":true', '"retired":false'))

    assert answer_of(tmp_path)["culprits"][0]["kind"] == "no_dump"
    assert answer_of(tmp_path, "--ended", "2")["culprits"][0]["kind"] == "died"
