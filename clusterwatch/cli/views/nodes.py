"""Nodes to rows."""

from __future__ import annotations

from datetime import datetime

from clusterwatch.cli.output import Column
from clusterwatch.cli.page import Phrase, Tone
from clusterwatch.cli.wording import age, or_dash
from clusterwatch.model import Node, NodeState

_TONE = {
    NodeState.IN_SERVICE: Tone.GOOD,
    NodeState.SUSPECT: Tone.DOUBTFUL,
    NodeState.DRAINED: Tone.BAD,
    NodeState.SILENT: Tone.BAD,
}


def node_columns(now: datetime) -> tuple[Column[Node], ...]:
    """Return the columns of a list of nodes."""
    return (
        Column("NODE", lambda node: node.name),
        Column("STATE", lambda node: Phrase(node.state.value, _TONE[node.state])),
        Column("SEEN", lambda node: age(node.seen_at, now)),
        Column("GPUS", lambda node: or_dash(str(node.gpus) if node.gpus else "")),
        Column("DRAINED BY", lambda node: or_dash(node.drained_by)),
        Column("REASON", lambda node: or_dash(node.reason)),
    )
