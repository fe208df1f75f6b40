"""What a rule of the catalogue is."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Protocol

from clusterwatch.model import ComponentKind, Scalar
from clusterwatch.reading.lines import unprefixed

COLLECTORS = frozenset({"kernel_log", "job_log"})
"""Collectors a rule may be restricted to; lines of any other source are tried against all rules."""


class Match(Protocol):
    """What a pattern matched; `re.Match` is one."""

    def groupdict(self) -> Mapping[str, str | None]:
        """Return the named groups; None for one that took no part."""
        ...


@dataclass(frozen=True, slots=True)
class Rule:
    """How one sort of line is recognised and what it says.

    Attributes:
        kind: Kind of the event; may hold groups of the pattern: "gpu.xid.{xid}".
        literals: A matching line contains at least one of them; what makes most lines cheap to pass over.
        pattern: Searched in the line (see `found_in`); its named groups become the event's fields.
        component_kind, component_id: What it happened to, the id a template of groups; None for the default
            (the node; for job logs the rank or the job).
        collectors: Which sources it applies to; empty for all.
        ints: Groups that become numbers.
        beats: Names of rules that do not count on a line where this one matches; in a file "*" stands for all others.
        heading: Whether it only names what the lines after it in the same stream are about ("GPU 0000:3b:00.0" above a
            list of its counters): a rule for that kind of component that finds no id in its own line takes this one.
        sources: Where the wording is documented.
        match, no_match: Example lines.
    """

    name: str
    kind: str
    literals: tuple[str, ...]
    pattern: re.Pattern[str]
    component_kind: ComponentKind | None = None
    component_id: str = ""
    collectors: frozenset[str] = frozenset()
    ints: frozenset[str] = frozenset()
    beats: frozenset[str] = frozenset()
    heading: bool = False
    sources: tuple[str, ...] = ()
    match: tuple[str, ...] = ()
    no_match: tuple[str, ...] = ()
    file: str = ""

    def applies_to(self, collector: str) -> bool:
        """Return whether lines seen by *collector* are tried against this rule."""
        return not self.collectors or collector in self.collectors or collector not in COLLECTORS

    def found_in(self, line: str) -> re.Match[str] | None:
        """Return where the pattern matches *line*; "^" also stands for the place behind what carried the line."""
        match = self.pattern.search(line)
        if match is None and "^" in self.pattern.pattern:
            return self.pattern.search(unprefixed(line))
        return match

    def finder(self) -> Callable[[str], re.Match[str] | None]:
        """Return what does the same as `found_in`, in less time."""
        return self.found_in if "^" in self.pattern.pattern else self.pattern.search

    def fields(self, match: Match) -> Mapping[str, Scalar]:
        """Return the groups of *match* that took part, numbers where the rule says so."""
        groups = match.groupdict().items()
        found = {field_name(group): value.strip() for group, value in groups if value is not None}
        numbers = {name: number_in(found[name]) for name in self.ints & found.keys()}
        return {**found, **numbers} if numbers else dict(found)


@cache
def field_name(group: str) -> str:
    """Return the field that *group* fills: "nic_2" is another place in the pattern where the nic may stand."""
    return re.sub(r"_\d$", "", group)


def number_in(value: str) -> Scalar:
    """Return the number that *value* writes ("1,234"); *value* itself where it writes none."""
    # A group of a careless pattern may hold more than digits, or more digits than int() reads: keep the text then.
    try:
        return int(value.replace(",", ""))
    except ValueError:
        return value
