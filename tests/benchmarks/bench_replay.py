"""How long the 54 days take through the whole pipeline, on one core; BENCH_DAYS takes fewer.

What counts is the processor time of this process: that is the wall time on a machine with nothing else to do, save what
the server of the database takes.
"""

from __future__ import annotations

import os
import resource
import time
from dataclasses import replace
from pathlib import Path

import pytest

from clusterwatch import config
from clusterwatch.app.replay import Asked, replay
from simulators.trace.files import write_file
from simulators.trace.generating import generate
from simulators.trace.specs import builtin_spec

DAYS = float(os.environ.get("BENCH_DAYS", "54"))
TARGET_SECONDS, EVERY_RANK_SECONDS, TARGET_MEGABYTES = 60.0, 300.0, 500.0


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh database."""
    postgres = request.param == "postgresql"
    return request.getfixturevalue("postgres_url") if postgres else f"sqlite:///{tmp_path / 'bench.db'}"


def test_fifty_four_days_are_replayed(url: str, tmp_path: Path) -> None:
    assert _replayed(url, tmp_path, {}, TARGET_SECONDS) < TARGET_MEGABYTES


def test_fifty_four_days_are_replayed_with_the_lines_of_every_rank(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'bench.db'}"

    assert _replayed(url, tmp_path, {"every_rank": 1.0}, EVERY_RANK_SECONDS) < TARGET_MEGABYTES


def _replayed(url: str, folder: Path, options: dict[str, float], mark: float) -> float:
    """Replay, print what it took beside *mark*, and return the megabytes."""
    trace = folder / "trace.jsonl"
    write_file(replace(generate(builtin_spec("llama3-54d"), days=DAYS), name="bench"), trace)

    began = time.process_time()
    told = replay(Asked(str(trace), database=url, options=options), config.load(None, {}))
    spent = time.process_time() - began

    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    volume, what = told.volume, f"{url.partition(':')[0]}{', every rank' if options else ''}"
    print(
        f"\n{what:<18} {DAYS:g} days: {volume.readings:,} readings, {volume.events:,} events in {spent:.1f} s of "
        f"processor, {told.wall_seconds:.1f} s by the clock, {1e6 * spent / volume.events:.0f} us an event, "
        f"{megabytes:.0f} MB; 54 days would take {spent * 54 / DAYS:.0f} s (mark {mark:.0f})"
    )
    return megabytes
