"""How fast a log is matched, from file to hits with what they captured, beside searches for the same literals.

Each round runs ours and the other, one after the other, so that a busy machine slows both; the ratio of a round is what
counts, and the median of the rounds is printed. All begin with a file that the machine has cached; grep and ripgrep
print how many lines hold a literal, ours says which rules match those lines and where what they capture stands. Ours is
the matcher on plain text; the same with every captured text cut out by name; and what "clusterwatch diagnose" does: it
also looks for escapes and control characters, and for literals as JSON writes them. The first round includes what ours
learns of the log. BENCH_MB sets the size; "taskset -c 0 make bench" keeps all of it on one core.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from statistics import median

import pytest

from clusterwatch import pipeline, resources
from clusterwatch.clock import SystemClock
from clusterwatch.detect import Catalog, Matcher, ObserverState, Selector, compile_catalog, compile_rules
from clusterwatch.model import Reading, Trust
from clusterwatch.reading.blocks import Block, blocks
from measured import write_page
from mixed_log import HOSTILE, USUAL, Mix, mixed_lines

MEGABYTES = int(os.environ.get("BENCH_MB", "50"))
OBSERVED_LINES = 100_000
ROUNDS = 5
LINES_AT_ONCE = 5_000
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
MIXES = {"usual": USUAL, "5 % progress": Mix(progress=0.05), "2 % hits, 10 % near misses": HOSTILE}

CATALOG = compile_catalog(resources.catalog_texts())


ROWS: list[list[str]] = [["log", "ours", "MB/s", "beside", "MB/s", "ratio", "lowest to highest"]]


@pytest.fixture(scope="module", autouse=True)
def page() -> Iterator[None]:
    """Write what was measured to docs/measured once all is measured."""
    yield
    literals = len({literal for rule in CATALOG.rules for literal in rule.literals})
    write_page(
        "matching",
        "Matching",
        f"What `bench_matching.py` measured last, on logs of {MEGABYTES} MB: from a cached file to hits and the places"
        f" of what they captured, of {len(CATALOG.rules)} rules with {literals} literals, beside `rg -cF -f` and"
        " `grep -cF -f` over the same literals. The ratio is how many times as fast ours is, the median of"
        f" {ROUNDS} paired rounds. The usual log has {USUAL.failures:.1%} failures and {USUAL.progress:.1%} progress"
        " lines. Captured texts: each cut out, in a dictionary. As diagnose: with what `clusterwatch diagnose` does"
        " before that, such as looking for escapes and for literals as JSON writes them.",
        ROWS,
    )


@dataclass(frozen=True)
class Log:
    """*failed_total* is how many of the lines tell a failure."""

    lines: list[str]
    failed_total: int
    path: Path
    literals: Path
    name: str


@pytest.fixture(scope="module", params=MIXES)
def log(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Log:
    """A mixed log in a file, its first lines in memory, and the literals that the rules look for."""
    folder = tmp_path_factory.mktemp("log")
    lines, failed = mixed_lines(CATALOG, MEGABYTES * 1_000_000, Random(1), MIXES[request.param])
    literals = sorted({literal for rule in CATALOG.rules for literal in rule.literals})
    (folder / "mixed.log").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "literals").write_text("\n".join(literals) + "\n", encoding="utf-8")
    print(
        f"\n{request.param}: {len(lines)} lines, {MEGABYTES} MB, {len(failed)} of them failures;"
        f" {len(CATALOG.rules)} rules with {len(literals)} literals"
    )
    log = Log(lines[:OBSERVED_LINES], len(failed), folder / "mixed.log", folder / "literals", request.param)
    assert _hits(compile_rules(CATALOG.rules), log) >= log.failed_total
    return log


@pytest.mark.parametrize("rival", ["rg", "grep"])
@pytest.mark.parametrize("engine", ["hyperscan", "ahocorasick"])
def test_matching_beside_a_search_for_the_same_literals(log: Log, engine: str, rival: str):
    if shutil.which(rival) is None:
        print(f"{rival} is not installed here: nothing to compare with")
        return
    matcher = compile_rules(CATALOG.rules, engine)

    ratios = _ratios(log, lambda: _hits(matcher, log), rival, f"file to hits, {engine}")

    assert _hits(matcher, log) <= _count(log, rival)
    if (log.name, rival, engine) == ("usual", "grep", "hyperscan"):
        # A floor, not a mark: finding which rule matches, and what it captures, is not slower than a plain search.
        assert median(ratios) >= 1.0


def test_captured_texts_beside_a_search(log: Log):
    if shutil.which("rg") is None:
        print("rg is not installed here: nothing to compare with")
        return
    matcher = compile_rules(CATALOG.rules)

    _ratios(log, lambda: _captured(matcher, log), "rg", "file to captured texts, hyperscan")

    assert _captured(matcher, log) >= log.failed_total


def test_selecting_and_matching_as_diagnose_does_beside_a_search(log: Log):
    if shutil.which("rg") is None:
        print("rg is not installed here: nothing to compare with")
        return
    selector, matcher = Selector(CATALOG.rules), compile_rules(CATALOG.rules)

    _ratios(log, lambda: _hits_of_selected(selector, matcher, log), "rg", "as diagnose, hyperscan")

    assert _hits_of_selected(selector, matcher, log) == _hits(matcher, log)


def test_observing_lines_that_are_readings_already(log: Log):
    readings = [_reading(index, line) for index, line in enumerate(log.lines)]

    began = SystemClock().monotonic()
    events = _observe(CATALOG, readings)
    seconds = SystemClock().monotonic() - began

    megabytes = sum(map(len, log.lines)) / 1e6
    print(f"readings to events     {megabytes / seconds:8.1f} MB/s | {len(readings)} readings gave {events} events")
    assert events >= 1


def _ratios(log: Log, ours: Callable[[], object], rival: str, what: str) -> list[float]:
    """Return how many times as fast as *rival* ours is, by round, and print the median."""
    rounds = [(_seconds(ours), _seconds(lambda: _count(log, rival))) for _ in range(ROUNDS)]
    ratios = [theirs / mine for mine, theirs in rounds]
    mine_mb, theirs_mb = (MEGABYTES / median(each) for each in zip(*rounds, strict=True))
    print(
        f"{what:<34} {mine_mb:8.1f} MB/s | {rival} -cF -f literals {theirs_mb:8.1f} MB/s |"
        f" ratio {median(ratios):6.2f} ({min(ratios):.2f} to {max(ratios):.2f}, {ROUNDS} rounds)"
    )
    span = f"{min(ratios):.2f} to {max(ratios):.2f}"
    ROWS.append([log.name, what, f"{mine_mb:.0f}", rival, f"{theirs_mb:.0f}", f"{median(ratios):.2f}", span])
    return ratios


def _hits(matcher: Matcher, log: Log) -> int:
    """Return how many lines of the file a rule matches."""
    with log.path.open("rb", buffering=0) as file:
        return sum(len(matcher.hits_in(block.buffer, block.end)) for block in blocks(file))


def _captured(matcher: Matcher, log: Log) -> int:
    """Return how many hits the file has, each with the texts its rule captured."""
    with log.path.open("rb", buffering=0) as file:
        return sum(
            len([each.hit(line).match.groupdict() for each in located])
            for block in blocks(file)
            for start, end, located in matcher.hits_in(block.buffer, block.end)
            if (line := block.buffer[start:end].decode("utf-8", "replace"))
        )


def _hits_of_selected(selector: Selector, matcher: Matcher, log: Log) -> int:
    """Return how many of the lines that diagnose would look at a rule matches."""
    with log.path.open("rb", buffering=0) as file:
        return sum(len(matcher.hits(_selected(selector, block))) for block in blocks(file))


def _selected(selector: Selector, block: Block) -> list[str]:
    lines = selector.lines(block.buffer, block.end)
    return [block.buffer[each.start : each.end].decode("utf-8", "replace") for each in lines if not each.is_placement]


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
