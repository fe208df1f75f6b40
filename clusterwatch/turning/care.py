"""What a turn comes to for nodes and people: who is suspect, what is brought back, and who is called."""

from __future__ import annotations

from collections.abc import Iterable

from clusterwatch import policy, track
from clusterwatch.model import Diagnosis, Event, kinds
from clusterwatch.model.world import world_with
from clusterwatch.turning.deciding import record
from clusterwatch.turning.situations import cluster_of
from clusterwatch.turning.state import Turning


def note_nodes(turn: Turning) -> None:
    """Take over which nodes were seen, which are suspect and which were taken out."""
    # Incidents that were closed in this turn still count: what they blame stays suspect.
    blamed = _blamed_by(turn.world.diagnoses[key] for key in turn.world.incidents)
    doubted = {(name, each.incident_id) for each in turn.doubted for name in _blamed_by([each])}
    turn.nodes = track.node_states(turn.world, turn.named, blamed, doubted, turn.now)
    known = {node.name: node for node in turn.nodes}
    if known or turn.world.heard:
        turn.world = world_with(turn.world, nodes={**turn.world.nodes, **known}, heard=frozenset())


def return_nodes(turn: Turning) -> None:
    """Have drained nodes checked, and brought back if they pass."""
    decisions, wake_at = policy.care(cluster_of(turn.world), turn.limits.policy, turn.now)
    for decision in decisions:
        record(turn, decision)
    turn.wake_ups += [wake_at] if wake_at is not None else []


def call_people(turn: Turning, events: Iterable[Event]) -> None:
    """Call a person for steps that no plan waits for and of which nobody can tell whether they were done."""
    for event in events:
        if event.kind == kinds.STEP_CHANGED:
            decision = policy.call_for(event, turn.limits.policy, turn.now)
            if decision is not None:
                record(turn, decision)


def _blamed_by(diagnoses: Iterable[Diagnosis]) -> dict[str, Diagnosis]:
    """Return the nodes whose own sources blame their hardware, and the diagnosis that says so."""
    return {
        suspect.component.node: diagnosis
        for diagnosis in diagnoses
        if diagnosis.blames_hardware and diagnosis.node_confirmed
        for suspect in diagnosis.suspects[:1]
    }
