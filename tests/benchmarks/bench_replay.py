"""How long the 54 days take through the whole pipeline, on one core; BENCH_DAYS takes fewer."""

from __future__ import annotations

import os
import resource
from dataclasses import replace
from pathlib import Path

import pytest

from clusterwatch import config
from clusterwatch.app.replay import Asked, replay
from simulators.trace.files import write_file
from simulators.trace.generating import generate
from simulators.trace.specs import builtin_spec

DAYS = float(os.environ.get("BENCH_DAYS", "54"))
TARGET_SECONDS, TARGET_MEGABYTES = 60.0, 500.0


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh database."""
    postgres = request.param == "postgresql"
    return request.getfixturevalue("postgres_url") if postgres else f"sqlite:///{tmp_path / 'bench.db'}"


def test_fifty_four_days_are_replayed(url: str, tmp_path: Path) -> None:
    trace = tmp_path / "trace.jsonl"
    write_file(replace(generate(builtin_spec("llama3-54d"), days=DAYS), name="bench"), trace)

    told = replay(Asked(str(trace), database=url), config.load(None, {}))

    scaled = told.wall_seconds * 54 / DAYS
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"\n{url.partition(':')[0]:<11} {DAYS:g} days: {told.volume.events:,} events in {told.wall_seconds:.1f} s, "
        f"{1e6 * told.wall_seconds / told.volume.events:.0f} us an event, {megabytes:.0f} MB; "
        f"54 days would take {scaled:.0f} s (mark {TARGET_SECONDS:.0f})"
    )
    assert megabytes < TARGET_MEGABYTES
