"""`clusterwatch diagnose` on the logs of all ranks of a large job, beside `cat * | wc -l` over the same files.

SOAK_RANKS and SOAK_GB make it smaller. The files are written first and taken away in the end; both commands read what
the machine has cached, as far as its memory holds that.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from random import Random
from statistics import median

from diagnosing import diagnosed, lines_counted
from measured import write_page
from rank_logs import node_of, write_rank_logs

RANKS = int(os.environ.get("SOAK_RANKS", "16384"))
GIGABYTES = float(os.environ.get("SOAK_GB", "10"))
ROUNDS = 3
MOST_MB = 300
MOST_TIMES = 5.0


def test_ten_gigabytes_of_rank_logs(tmp_path: Path):
    needed = GIGABYTES * 1.1e9
    assert shutil.disk_usage(tmp_path).free > needed, f"this needs {needed / 1e9:.0f} GB of disk"
    culprit = RANKS * 2 // 3
    folder = tmp_path / "logs"
    try:
        size = write_rank_logs(folder, RANKS, int(GIGABYTES * 1e9 / RANKS), culprit, Random(1))
        lines_counted(folder)  # so that both find the files cached
        rounds = [(diagnosed(folder), lines_counted(folder)) for _ in range(ROUNDS)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)

    ratios = [ours.seconds / seconds for ours, (_, seconds) in rounds]
    ours = rounds[-1][0]
    ours_seconds, theirs_seconds = median(each.seconds for each, _ in rounds), median(each for _, (_, each) in rounds)
    print(
        f"\n{size / 1e9:.1f} GB in {RANKS} files, {rounds[0][1][0]} lines: diagnose {ours_seconds:.1f} s,"
        f" cat | wc -l {theirs_seconds:.1f} s, ratio {median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f},"
        f" {ROUNDS} rounds), {max(each.peak_mb for each, _ in rounds):.0f} MB of memory"
    )
    write_page(
        "diagnose",
        "Diagnosing the logs of a large job",
        "What `soak_diagnose.py` measured last: `clusterwatch diagnose FOLDER` from its start to its end, beside"
        " `cat * | wc -l` over the same files, which the machine has cached. One rank fails first, all others wait.",
        [
            ["GB", "files", "lines", "diagnose, s", "cat and wc, s", "ratio", "lowest to highest", "memory, MB"],
            [
                *(
                    f"{size / 1e9:.1f}",
                    f"{RANKS}",
                    f"{rounds[0][1][0]}",
                    f"{ours_seconds:.1f}",
                    f"{theirs_seconds:.1f}",
                ),
                *(f"{median(ratios):.1f}", f"{min(ratios):.1f} to {max(ratios):.1f}"),
                f"{max(each.peak_mb for each, _ in rounds):.0f}",
            ],
        ],
    )
    suspect = ours.found[0]["suspects"][0]
    assert (suspect["rank"], suspect["node"], suspect["gpu"]) == (culprit, node_of(culprit), str(culprit % 8))
    assert max(each.peak_mb for each, _ in rounds) < MOST_MB
    assert median(ratios) < MOST_TIMES
