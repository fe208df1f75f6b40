"""Hundreds of ranks fail after one: the short form of what `make soak` does with 16,384."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from diagnosing import diagnosed, lines_counted
from rank_logs import write_rank_logs

pytestmark = pytest.mark.integration

RANKS = 256
BYTES_EACH = 600_000
CULPRIT = 171
# Of processors, which others may use as well. Python and the catalogue are loaded before anything is read.
STARTING_SECONDS = 5.0
MOST_TIMES = 10.0


def test_rank_that_failed_first_is_named_among_those_that_waited_for_it(tmp_path: Path):
    write_rank_logs(tmp_path, RANKS, BYTES_EACH, CULPRIT, Random(1))

    lines_counted(tmp_path)
    done = diagnosed(tmp_path)
    _, counting_seconds = lines_counted(tmp_path)

    (found,) = done.found
    suspect = found["suspects"][0]
    assert (suspect["rank"], suspect["node"], suspect["gpu"]) == (CULPRIT, "node0021", "3")
    assert found["cause"] in {"gpu_hbm", "gpu_sram", "faulty_gpu"}
    waiting = next(line for line in found["evidence"] if line["event"] == "nccl.collective_timeout")
    assert waiting["line"] > 1000
    assert done.peak_mb < 300
    assert done.processor_seconds < STARTING_SECONDS + MOST_TIMES * counting_seconds
