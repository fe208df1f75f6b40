"""What was measured to a page in docs/measured."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from clusterwatch.clock import SystemClock

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "measured"


def write_page(name: str, title: str, words: str, rows: Sequence[Sequence[str]]) -> None:
    """Write docs/measured/NAME.md: *words*, where it was measured, and *rows*, the first of them the heading."""
    heading, *others = rows
    table = [heading, ["---"] * len(heading), *others]
    text = [f"# {title}", "", words, "", _machine(), "", *(f"| {' | '.join(row)} |" for row in table)]
    (FOLDER / f"{name}.md").write_text("\n".join(text) + "\n", encoding="utf-8")


def _machine() -> str:
    model = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "")
    load = os.getloadavg()[0]
    return (
        f"{SystemClock().now():%Y-%m-%d}, {model.partition(':')[2].strip()}, {len(os.sched_getaffinity(0))} of"
        f" {os.cpu_count()} cores, load average {load:.1f}, Python {platform.python_version()},"
        f" hyperscan {_version('hyperscan')}, ahocorasick_rs {_version('ahocorasick-rs')}."
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
