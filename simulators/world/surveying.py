"""A fault to what a check of its node finds; the table and its reasons stand in survey.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from random import Random

from clusterwatch.model import Component, ComponentKind, Finding, node_component
from clusterwatch.model.kinds import NO_ANSWER
from simulators.cluster import gpu_pci
from simulators.terms import Terms


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check finds of a kind of fault: kinds with the part they name ("" for the node), and how often (0-1)."""

    found: tuple[tuple[str, str], ...] = ()
    share: float | None = None


def checked(node: str, fault_kind: str, gpu: int, terms: Terms, rng: Random) -> Sequence[Finding] | None:
    """Return what a check finds on *node*, whose GPU number *gpu* has the fault; None when the node passes."""
    known = table().get(fault_kind, Checked())
    share = terms.survey_finds if known.share is None else known.share
    if rng.random() >= share:
        return None
    # A script that a site wraps around the scan may keep its words to itself; a silent node is noticed by who asks it.
    is_silent = any(kind == NO_ANSWER for kind, _ in known.found)
    if not is_silent and rng.random() >= terms.survey_says_which:
        return ()
    return [Finding(kind, _part(node, part, gpu)) for kind, part in known.found]


@cache
def table() -> Mapping[str, Checked]:
    """Return what a check finds, by kind of fault."""
    file = resources.files("simulators") / "world" / "survey.toml"
    rows = tomllib.loads(file.read_text(encoding="utf-8"))
    return {name: Checked(tuple(map(_kind_and_part, row["found"])), row.get("share")) for name, row in rows.items()}


def _kind_and_part(words: str) -> tuple[str, str]:
    kind, _, part = words.partition(" ")
    return kind, part


def _part(node: str, part: str, gpu: int) -> Component:
    return Component(ComponentKind.GPU, gpu_pci(gpu), node) if part == "gpu" else node_component(node)
