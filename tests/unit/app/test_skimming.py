"""What is passed over says nothing: blocks of a log give what all its lines give."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from clusterwatch.app.inputs import InputBlock, InputLine
from clusterwatch.app.offline import Examination, offline_catalog
from clusterwatch.detect import Selector
from clusterwatch.model import Diagnosis
from clusterwatch.reading.blocks import blocks
from clusterwatch.reading.splitting import raw_lines

NOW = datetime(2026, 1, 20, 12, tzinfo=UTC)
CATALOG = offline_catalog()
SELECTOR = Selector(CATALOG.rules)
"""Of all examples: to make one takes longer than what it is then asked."""

SAID = [line for rule in CATALOG.rules[::3] for line in rule.match[:1] if "\n" not in line]
BENIGN = [
    "node3:4321:4400 [1] NCCL INFO Channel 03/0 : 1[1] -> 2[2] via P2P/CUMEM/read",
    "2026-01-16 11:42:38,123 [INFO] data.loader: shard 17 opened",
    " iteration      100/    1000 | consumed samples:  400 | lm loss: 8.238016E+00 |",
    "",
    "something without a time",
    "node3:4321:4400 [1] NCCL INFO comm 0x55 rank 5 nranks 8 cudaDev 1 nvmlDev 1 busId 1b000 - Init START",
]
TEXTS = [
    "Traceback (most recent call last):\n  File \"/opt/train.py\", line 10, in main\n    step()\nKeyError: 'labels'",
    "Root Cause (first observed failure):\n[0]:\n  time      : 2026-01-16_11:42:38\n  host      : node7\n"
    "  rank      : 3 (local_rank: 3)\n  exitcode  : -9 (pid: 4711)\n  error_file: <N/A>\n"
    "  traceback : Signal 9 (SIGKILL)\n==========",
]
WAYS = {
    "plain": lambda line: line,
    "rank": lambda line: f"[rank3]: {line}",
    "srun": lambda line: f"3: {line}",
    "time": lambda line: f"2026-01-16T11:42:38.123456789Z stderr F {line}",
    "colour": lambda line: f"\x1b[31m{line[:9]}\x1b[0m{line[9:]}",
    "bell": lambda line: f"{line[:5]}\x07{line[5:]}\u202e",
    "json": lambda line: json.dumps({"message": line, "level": "error"}),
    "journal": lambda line: json.dumps({"MESSAGE": line.removeprefix("NVRM: "), "SYSLOG_IDENTIFIER": "NVRM"}),
    "crlf": lambda line: f"{line}\r",
}


@st.composite
def logs(draw: st.DrawFn) -> bytes:
    way = WAYS[draw(st.sampled_from(sorted(WAYS)))]
    parts = draw(st.lists(st.sampled_from([*SAID, *TEXTS]) | st.sampled_from(BENIGN * 40), min_size=1, max_size=30))
    gaps = draw(st.lists(st.integers(0, 30), min_size=len(parts), max_size=len(parts)))
    lines = [
        line
        for part, gap in zip(parts, gaps, strict=True)
        for line in (*part.split("\n"), *(BENIGN[number % 3] for number in range(gap)))
    ]
    return "\n".join(way(line) for line in lines).encode()


def by_lines(raw: bytes) -> Examination:
    examination = Examination(CATALOG, NOW)
    for number, line in enumerate(raw_lines([raw], 0), start=1):
        examination.take(InputLine("node5/train.log", number, line.raw, line.start))
    return examination


def by_blocks(raw: bytes, block_bytes: int) -> Examination:
    examination = Examination(CATALOG, NOW, selector=SELECTOR)
    for block in blocks(io.BytesIO(raw), block_bytes):
        examination.take_block(InputBlock("node5/train.log", block))
    return examination


def told(diagnoses: tuple[Diagnosis, ...]) -> list[object]:
    return [
        (each.cause, each.confidence, each.suspects, each.absent, each.explanation, each.evidence) for each in diagnoses
    ]


@settings(max_examples=100, deadline=None)
@given(logs(), st.sampled_from([512, 3_000, 256 * 1024]))
def test_blocks_give_what_all_lines_give(raw: bytes, block_bytes: int):
    every, few = by_lines(raw), by_blocks(raw, block_bytes)

    assert few.lines == every.lines
    assert told(few.diagnoses()) == told(every.diagnoses())


def timeouts(ranks: int, first: int) -> bytes:
    """Lines of a watchdog on *ranks* ranks, one a second, but for rank *first*, which is an hour before."""
    return b"".join(
        b"2026-01-16 %02d:%02d:%02d,000 [rank%d]: [Rank %d] Watchdog caught collective operation timeout: "
        b"WorkNCCL(SeqNum=7, OpType=ALLREDUCE, Timeout(ms)=600000) ran for 600012 milliseconds before timing out.\n"
        % (10 if rank == first else 11, rank // 60, rank % 60, rank, rank)
        + b"nothing\n" * 400
        for rank in range(ranks)
    )


def test_passages_that_are_alike_are_counted_and_the_earliest_is_taken_wherever_it_stands():
    examination = by_blocks(timeouts(ranks=300, first=280), 256 * 1024)

    (diagnosis,) = examination.diagnoses()

    (line,) = diagnosis.evidence
    assert 290 <= line.count <= 300  # of what is cut by the end of a block some is not counted
    assert "at 10:04:40 UTC" in diagnosis.explanation


def test_memory_is_not_needed_for_lines_that_never_end():
    examination = by_blocks(
        b"x" * 9_000_000 + b"\nNVRM: Xid (PCI:0000:86:00): 79, GPU has fallen off the bus.\n", 256 * 1024
    )

    (diagnosis,) = examination.diagnoses()

    assert (diagnosis.cause.value, diagnosis.evidence[0].origin) == ("faulty_gpu", "node5/train.log:2")
