"""Ranks asked through their pipes: real processes that listen as PyTorch's ranks do."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from clusterwatch.act import recorders
from clusterwatch.act.recorders import Recorders, recorders_of

DUMPS = Path(__file__).parents[2] / "data" / "flight-recorder" / "absent"
LISTENS = """
import os, select, shutil, sys
pipe, source, target = sys.argv[1:]
os.mkfifo(pipe)
listening = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
print("here", flush=True)
select.select([listening], [], [])
shutil.copyfile(source, target)
select.select([], [], [], 60)
"""


@pytest.fixture
def listens(tmp_path):
    ranks = []

    def rank(number):
        source = DUMPS / f"node{number // 2:03}" / f"nccl_trace_rank_{number}"
        arguments = [tmp_path / f"ask_{number}.pipe", source, tmp_path / f"trace_{number}"]
        process = subprocess.Popen([sys.executable, "-c", LISTENS, *arguments], stdout=subprocess.PIPE)
        ranks.append(process)
        assert process.stdout.readline() == b"here\n"

    yield rank
    for process in ranks:
        process.kill()
        process.wait()
        process.stdout.close()


def asked(folder):
    return Recorders(str(folder / "ask_"), str(folder / "trace_")).asked()


def test_every_rank_that_listens_answers(tmp_path, listens):
    for rank in range(4):
        listens(rank)

    recalled = asked(tmp_path)

    assert sorted(dump.rank for dump in recalled.dumps) == [0, 1, 2, 3]
    assert recalled.detail == ""


def test_dump_that_lay_there_before_is_no_answer(tmp_path, monkeypatch):
    monkeypatch.setattr(recorders, "ANSWER_SECONDS", 0.5)
    os.mkfifo(tmp_path / "ask_0.pipe")
    (tmp_path / "trace_0").write_bytes((DUMPS / "node000" / "nccl_trace_rank_0").read_bytes())
    reader = os.open(tmp_path / "ask_0.pipe", os.O_RDONLY | os.O_NONBLOCK)

    recalled = asked(tmp_path)

    os.close(reader)
    assert (recalled.dumps, recalled.detail) == ((), "0 of 1 ranks answered in 0.5 s")


def test_pipe_that_nobody_reads_and_files_named_like_one_hold_up_nothing(tmp_path):
    os.mkfifo(tmp_path / "ask_0.pipe")
    (tmp_path / "ask_1.pipe").write_text("no pipe")
    (tmp_path / "other_2.pipe").write_text("not ours")
    done = threading.Event()
    told = []

    def ask():
        told.append(asked(tmp_path))
        done.set()

    threading.Thread(target=ask, daemon=True).start()

    assert done.wait(60)
    assert told[0].dumps == ()
    assert (tmp_path / "ask_1.pipe").read_text() == "no pipe"


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({}, None),
        ({"TORCH_NCCL_DEBUG_INFO_PIPE_FILE": "/d/ask_"}, None),
        (
            {"TORCH_NCCL_DEBUG_INFO_PIPE_FILE": "/d/ask_", "TORCH_FR_DUMP_TEMP_FILE": "/d/t_"},
            Recorders("/d/ask_", "/d/t_"),
        ),
        (
            {"TORCH_NCCL_DEBUG_INFO_PIPE_FILE": "/d/ask_", "TORCH_NCCL_DEBUG_INFO_TEMP_FILE": "/d/old_"},
            Recorders("/d/ask_", "/d/old_"),
        ),
    ],
)
def test_ranks_can_be_asked_where_they_are_told_to_listen_and_where_to_write(environment, found):
    assert recorders_of(environment) == found
