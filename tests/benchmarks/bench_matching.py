"""How fast lines are matched, beside what searches the same file for the same literals.

Each round runs both, one after the other, so that a busy machine slows both; the ratio of a round is what counts, and
the median of the rounds is printed. Ours begins with lines or readings in memory and ends with hits or events; grep
and ripgrep read a file that the machine has cached and print how many lines hold a literal. BENCH_MB sets the size.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from statistics import median

import pytest

from clusterwatch import pipeline, resources
from clusterwatch.clock import SystemClock
from clusterwatch.detect import Catalog, Matcher, ObserverState, compile_catalog, compile_rules
from clusterwatch.model import Reading, Trust
from mixed_log import mixed_lines

MEGABYTES = int(os.environ.get("BENCH_MB", "20"))
ROUNDS = 5
LINES_AT_ONCE = 5_000
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)

CATALOG = compile_catalog(resources.catalog_texts())


@dataclass(frozen=True)
class Log:
    """*failed* are the indices of the lines that tell a failure."""

    lines: list[str]
    failed: set[int]
    path: Path
    literals: Path


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    """A mixed log in memory and in a file, and the literals that the rules look for."""
    folder = tmp_path_factory.mktemp("log")
    lines, failed = mixed_lines(CATALOG, MEGABYTES * 1_000_000, Random(1))
    literals = sorted({literal for rule in CATALOG.rules for literal in rule.literals})
    (folder / "mixed.log").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "literals").write_text("\n".join(literals) + "\n", encoding="utf-8")
    print(
        f"\n{len(lines)} lines, {sum(map(len, lines)) / 1e6:.1f} MB, {len(failed)} of them failures;"
        f" {len(CATALOG.rules)} rules with {len(literals)} literals"
    )
    return Log(lines, failed, folder / "mixed.log", folder / "literals")


@pytest.mark.parametrize("rival", ["grep", "rg"])
@pytest.mark.parametrize("engine", ["hyperscan", "python"])
def test_matching_beside_a_search_for_the_same_literals(log: Log, engine: str, rival: str):
    if shutil.which(rival) is None:
        print(f"{rival} is not installed here: nothing to compare with")
        return
    matcher = compile_rules(CATALOG.rules, engine)

    ratios = _ratios(log, lambda: _hits(matcher, log.lines), rival, f"matching, {engine}")

    hits = _hits(matcher, log.lines)
    assert log.failed <= hits
    assert len(hits) <= _count(log, rival)
    if rival == "grep" and engine == "hyperscan":
        # A floor, not a mark: finding which rule matches, and what it captures, is not slower than a plain search.
        assert median(ratios) >= 1.0


def test_observing_beside_a_search_for_the_same_literals(log: Log):
    readings = [_reading(index, line) for index, line in enumerate(log.lines)]

    events = _observe(CATALOG, readings)
    _ratios(log, lambda: _observe(CATALOG, readings), "grep", "readings to events")

    print(f"{len(readings)} readings gave {events} events")
    assert events >= 1


def _ratios(log: Log, ours: Callable[[], object], rival: str, what: str) -> list[float]:
    """Return how many times as fast as *rival* ours is, by round, and print the median."""
    rounds = [(_seconds(ours), _seconds(lambda: _count(log, rival))) for _ in range(ROUNDS)]
    ratios = [theirs / mine for mine, theirs in rounds]
    mine_mb, theirs_mb = (MEGABYTES / median(each) for each in zip(*rounds, strict=True))
    print(
        f"{what:<22} {mine_mb:8.1f} MB/s | {rival} -cF -f literals {theirs_mb:8.1f} MB/s |"
        f" ratio {median(ratios):6.2f} ({min(ratios):.2f} to {max(ratios):.2f}, {ROUNDS} rounds)"
    )
    return ratios


def _hits(matcher: Matcher, lines: Sequence[str]) -> set[int]:
    return {
        start + index
        for start in range(0, len(lines), LINES_AT_ONCE)
        for index in matcher.hits(lines[start : start + LINES_AT_ONCE])
    }


def _observe(catalog: Catalog, readings: Sequence[Reading]) -> int:
    state, events_total = ObserverState(), 0
    for start in range(0, len(readings), LINES_AT_ONCE):
        batch = readings[start : start + LINES_AT_ONCE]
        state, events, _ = pipeline.observe(state, batch, catalog, batch[-1].observed_at)
        events_total += len(events)
    return events_total


def _reading(index: int, line: str) -> Reading:
    return Reading(
        source="job_log",
        node="node001",
        position=str(index),
        observed_at=NOON + timedelta(milliseconds=index),
        trust=Trust.USER,
        text=line,
        fields={"origin": f"train.log:{index}"},
        job="job-1",
        attempt=1,
    )


def _count(log: Log, rival: str) -> int:
    command = [rival, "-cF", "-f", log.literals, log.path]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "LC_ALL": "C"})
    return int(done.stdout)


def _seconds(work: Callable[[], object]) -> float:
    clock = SystemClock()
    began = clock.monotonic()
    work()
    return clock.monotonic() - began
