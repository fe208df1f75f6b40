"""Raw lines of real systems, by what happened; the templates and their public sources stand in wording/*.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib import resources


class Speaker(StrEnum):
    """Who prints a line: the struck node's kernel, the struck rank, a rank on each other node, the launcher."""

    KERNEL = "kernel"
    RANK = "rank"
    PEER = "peer"
    LAUNCHER = "launcher"


@dataclass(frozen=True, slots=True)
class Line:
    """One template, printed by *speaker* a while after onset."""

    speaker: Speaker
    after_seconds: float
    text: str

    def printed(self, values: Mapping[str, object]) -> list[str]:
        """Return the lines of the template with *values* put in."""
        return self.text.format_map(values).splitlines()


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to word something: its lines in the order of time, and where such lines are public."""

    lines: tuple[Line, ...]
    sources: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """Time from onset to the last line."""
        return self.lines[-1].after_seconds if self.lines else 0.0


Wording = Mapping[str, tuple[Variant, ...]]
"""Variants by what they word, such as "gpu_fell_off_bus"; never empty."""


def load_wording() -> Wording:
    """Return everything that simulators can say."""
    files = sorted((resources.files("simulators") / "wording").iterdir(), key=lambda file: file.name)
    tables = [tomllib.loads(file.read_text(encoding="utf-8")) for file in files if file.name.endswith(".toml")]
    return {name: tuple(map(_variant, variants)) for table in tables for name, variants in table.items()}


def _variant(table: Mapping[str, list[list[str]]]) -> Variant:
    lines = tuple(Line(Speaker(who), float(after), text) for who, after, text in table["lines"])
    return Variant(lines, tuple(map(str, table["sources"])))
