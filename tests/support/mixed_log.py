"""A log as a large job writes it: the lines that matter are few among very many that do not."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from benign_log import benign_lines, progress_lines
from clusterwatch.detect import Catalog
from clusterwatch.model import kinds


@dataclass(frozen=True)
class Mix:
    """Shares of the lines, each 0-1.

    Attributes:
        failures: Examples of what the catalogue must find, with other numbers.
        near_misses: Examples of what it must not.
        progress: Steps of a training; more of them come with what is benign, see `benign_lines`.
    """

    failures: float = 0.001
    near_misses: float = 0.0
    progress: float = 0.005


USUAL = Mix()
HOSTILE = Mix(failures=0.02, near_misses=0.10, progress=0.005)


def mixed_lines(catalog: Catalog, size_bytes: int, rng: Random, mix: Mix = USUAL) -> tuple[list[str], set[int]]:
    """Return lines of *size_bytes* together, and the indices of those that tell a failure."""
    failures = [line for rule in catalog.rules if rule.kind != kinds.PROGRESS for line in rule.match if _is_line(line)]
    misses = [line for rule in catalog.rules for line in rule.no_match if _is_line(line)]
    benign, steps = _without_progress(benign_lines(rng)), progress_lines(rng)
    lines: list[str] = []
    failed: set[int] = set()
    size = 0
    while size < size_bytes:
        drawn = rng.random()
        if drawn < mix.failures:
            failed.add(len(lines))
            line = rng.choice(failures)
        elif drawn < mix.failures + mix.near_misses:
            line = _renumbered(misses, rng)
        else:
            line = next(steps) if drawn < mix.failures + mix.near_misses + mix.progress else next(benign)
        lines.append(line)
        size += len(line) + 1
    return lines, failed


def _is_line(text: str) -> bool:
    return "\n" not in text


def _without_progress(lines: Iterator[str]) -> Iterator[str]:
    return (line for line in lines if not _PROGRESS.search(line))


_PROGRESS = re.compile(r"loss|iteration|\biter |step=|it/s|s/it")


def _renumbered(lines: Sequence[str], rng: Random) -> str:
    return re.sub(r"(?<=\d)\d(?=\d)", lambda digit: str(rng.randrange(10)), rng.choice(lines))
