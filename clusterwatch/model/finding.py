"""What a check of a node found, in words that go through a command's output and through the facts of a step.

A check prints a line for each thing, "found: KIND" or "found: KIND COMPONENT-KIND ID"; of several nodes it is told in
one text, "NODE KIND COMPONENT-KIND ID" with semicolons between.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from clusterwatch.model.component import Component, ComponentKind
from clusterwatch.model.component import node as node_component

MOST = 16
"""How many things one check may have found."""

_OF_HARDWARE = (
    *("scan.", "gpu.", "collector.failed.silent.", "driver.", "fabric_manager."),
    *("kernel.", "mce.", "edac.", "pcie.", "bmc.", "disk.", "fabric.", "network.", "rdma."),
    "node.check_failed.",
)
"""What a check may say that it found: faults, and never that a job ended or a step was done."""

_LINE = re.compile(r"found: (?P<kind>[a-z][a-z0-9_.]{2,99})(?: (?P<part>[a-z]{2,12}) (?P<id>[^;\s]{1,80}))?")
_TOLD = re.compile(
    r"(?P<node>\S{1,80}) (?P<kind>[a-z][a-z0-9_.]{2,99})(?: (?P<part>[a-z]{2,12}) (?P<id>[^;\s]{1,80}))?"
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check found: the kind of the event that it is, and what it happened to, the node or a part."""

    kind: str
    component: Component

    @property
    def line(self) -> str:
        """The line in which a check says it."""
        return f"found: {self._words}"

    @property
    def _words(self) -> str:
        of_node = self.component.kind is ComponentKind.NODE
        return self.kind if of_node else f"{self.kind} {self.component.kind} {_plain(self.component.id)}"

    def __str__(self) -> str:
        return f"{self.component.node} {self._words}"


def findings_printed(node: str, output: str) -> tuple[Finding, ...]:
    """Return what a check of *node* said that it found, among whatever else it printed."""
    found = (_LINE.fullmatch(line.strip()) for line in output.splitlines())
    meant = (_finding(node, match) for match in found if match is not None and match["kind"].startswith(_OF_HARDWARE))
    return tuple(dict.fromkeys(meant))[:MOST]


def findings_told(text: str) -> Iterator[Finding]:
    """Yield what `in_words` put into *text*."""
    for match in map(_TOLD.fullmatch, text.split("; ")):
        if match is not None:
            yield _finding(match["node"], match)


def in_words(findings: Iterable[Finding]) -> str:
    """Return *findings* as one text."""
    return "; ".join(map(str, findings))


def _finding(node: str, match: re.Match[str]) -> Finding:
    if match["part"] is None or match["part"] not in {kind.value for kind in ComponentKind}:
        return Finding(match["kind"], node_component(node))
    return Finding(match["kind"], Component(ComponentKind(match["part"]), match["id"], node))


def _plain(name: str) -> str:
    return re.sub(r"[;\s]+", "_", name)[:80]
