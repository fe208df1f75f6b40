"""A log as a large job writes it: the lines that matter are few among very many that do not."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from clusterwatch.detect import Catalog
from clusterwatch.model import kinds

FAILURES = 0.001
PROGRESS = 0.04
NCCL = 0.35

_WORDS = (
    "batch",
    "cache",
    "epoch",
    "flushed",
    "gradient",
    "loading",
    "metrics",
    "opened",
    "prefetch",
    "queue",
    "shard",
)


def mixed_lines(catalog: Catalog, size_bytes: int, rng: Random) -> tuple[list[str], set[int]]:
    """Return lines of *size_bytes* together, and the indices of those that tell a failure.

    Failures are the catalogue's own examples of what it must find; one line in a thousand is one. Four in a hundred
    are progress, 35 NCCL's INFO lines, the rest what programs say all day.
    """
    failures = [line for rule in catalog.rules if rule.kind != kinds.PROGRESS for line in rule.match]
    steps = [line for rule in catalog.rules if rule.kind == kinds.PROGRESS for line in rule.match]
    lines: list[str] = []
    failed: set[int] = set()
    size = 0
    while size < size_bytes:
        drawn = rng.random()
        if drawn < FAILURES:
            failed.add(len(lines))
        lines.append(_line(drawn, failures, steps, rng))
        size += len(lines[-1]) + 1
    return lines, failed


def _line(drawn: float, failures: Sequence[str], steps: Sequence[str], rng: Random) -> str:
    if drawn < FAILURES:
        return rng.choice(failures)
    if drawn < FAILURES + PROGRESS:
        return rng.choice(steps)
    return _nccl_line(rng) if drawn < FAILURES + PROGRESS + NCCL else _ordinary_line(rng)


def _nccl_line(rng: Random) -> str:
    rank, peer, channel = rng.randrange(8), rng.randrange(8), rng.randrange(32)
    said = rng.choice(
        (
            f"Channel {channel:02d}/0 : {rank}[{rank}] -> {peer}[{peer}] via P2P/CUMEM/read",
            f"Channel {channel:02d}/32 :    {rank}   {peer}",
            f"Trees [{channel}] {peer}/-1/-1->{rank}->-1 [{channel + 1}] {peer}/-1/-1->{rank}->-1",
            f"comm 0x{rng.randrange(2**40):x} rank {rank} nranks 8 cudaDev {rank} busId {rank}b000 - Init COMPLETE",
            "NET/IB : Using [0]mlx5_0:1/IB [1]mlx5_1:1/IB [RO]; OOB eth0:10.20.0.7<0>",
        )
    )
    return f"node{rng.randrange(256):03d}:{rng.randrange(99999)}:{rng.randrange(99999)} [{rank}] NCCL INFO {said}"


def _ordinary_line(rng: Random) -> str:
    clock = f"2026-11-21 {rng.randrange(24):02d}:{rng.randrange(60):02d}:{rng.randrange(60):02d}"
    words = " ".join(rng.choice(_WORDS) for _ in range(rng.randrange(4, 18)))
    return f"{clock},{rng.randrange(1000):03d} INFO data.{rng.choice(_WORDS)}: {words} {rng.randrange(10**6)}"
