"""What a report costs the training loop: a step with its time to a file, while other threads of the machine run on.

The median and the worst of many rounds are printed; nothing is subtracted.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter

from clusterwatch.client import Reporter
from clusterwatch.client.files import Nowhere, ReportFile
from measured import write_page

ROUNDS = 200
CALLS = 500
LIMIT_MICROSECONDS = 20.0


def microseconds(call: Callable[[int], None]) -> list[float]:
    """Return the mean time of a call in each round, in µs."""
    rounds = []
    for _ in range(ROUNDS):
        begin = perf_counter()
        for step in range(CALLS):
            call(step)
        rounds.append((perf_counter() - begin) / CALLS * 1e6)
    return rounds


def test_step_costs_a_few_microseconds(tmp_path: Path) -> None:
    to_file = Reporter(ReportFile(str(tmp_path / "job.report")), "3")
    nowhere = Reporter(Nowhere())
    measured = {
        "a step with loss and tokens to a file": microseconds(lambda step: to_file.step(step, 1.83, step * 4096)),
        "a checkpoint, begin and end": microseconds(lambda step: to_file.checkpoint(step, "/ckpt/step").end()),
        "a step where nobody asked for reports": microseconds(lambda step: nowhere.step(step, 1.83, step * 4096)),
    }

    rows = [(what, f"{median(rounds):.1f}", f"{max(rounds):.1f}") for what, rounds in measured.items()]
    words = (
        f"What a call costs the loop, in µs: median and worst of {ROUNDS} rounds of {CALLS} calls each. Files are put"
        " aside within the rounds as they are in use."
    )
    write_page("client", "Reports of a training loop", words, [("call", "median µs", "worst round µs"), *rows])
    assert median(measured["a step with loss and tokens to a file"]) < LIMIT_MICROSECONDS
