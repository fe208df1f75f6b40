"""Whether an event tells of the one fault that an incident is.

1. Two faults are one incident only if they strike the same component, or the same node within a minute, or the same
   cause strikes the same node, the same switch, rack or power domain, or the same job by its own word.
2. Symptoms and suspects join whatever explains them, while the job stands.
3. Once the job runs again, what may be a cause and strikes elsewhere than the fault that is known is another incident;
   without the nodes of that fault, everything is. While none is known it may be the same one that comes back, but for
   what somebody did on purpose: that stopped nothing before, and where somebody took a node from the job, or the
   diagnosis is clear, nothing that strikes elsewhere had stopped it. Neither had a part that breaks far from where the
   diagnosis suspects it: where a job failed is known sooner than why. What a program prints when it fails it would have
   printed the first time.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import timedelta

from clusterwatch.correlate.folding import Draft
from clusterwatch.model import HARDWARE_CAUSES, PLANNED_CAUSES, Cause, Event, Role, Signal, Topology, Trust

AT_ONCE = timedelta(minutes=1)
"""Two faults of a node that are no farther apart are one: it is rare that two things break in the same minute."""

_NOWHERE: AbstractSet[str] = frozenset()
_ON_PURPOSE = PLANNED_CAUSES | {Cause.HOST_MAINTENANCE}


@dataclass(frozen=True, slots=True)
class Suspected:
    """The nodes that an incident's diagnosis suspects, and whether it is clear: then nothing elsewhere changes it."""

    nodes: AbstractSet[str]
    is_clear: bool


def is_one_fault(
    draft: Draft,
    event: Event,
    signal: Signal,
    topology: Topology,
    runs_again_on: AbstractSet[str] | None = None,
    suspected: Suspected | None = None,
) -> bool:
    """Return whether *event* may tell of the fault of *draft*.

    *runs_again_on* are the nodes on which the job that the fault had stopped runs again; None while it stands.
    *suspected* is what its diagnosis says of where it is; None where it does not.
    """
    runs_again = runs_again_on is not None
    if not draft.fault_components:
        return not (runs_again and _is_another_matter(draft, event, signal, topology, suspected))
    if runs_again_on is not None and _is_left_out(draft, runs_again_on) and not _is_on_struck_node(draft, event):
        return False
    if signal.role is Role.SYMPTOM or (signal.role is Role.SUSPECT and not runs_again):
        return True
    if event.component in draft.fault_components or _is_at_once(draft, event):
        return True
    if signal.role is Role.SUSPECT and _is_on_struck_node(draft, event):
        return True
    return signal.leading_cause in draft.fault_causes and _is_same_place(draft, event, topology)


def _is_another_matter(
    draft: Draft, event: Event, signal: Signal, topology: Topology, suspected: Suspected | None
) -> bool:
    """Return whether *event* cannot be what stopped the job before: that is known, or only one was somebody's doing."""
    nodes, is_clear = (suspected.nodes, suspected.is_clear) if suspected is not None else (_NOWHERE, False)
    if signal.leading_cause in _ON_PURPOSE:
        done_to = {*nodes, *draft.suspected.get(signal.leading_cause, ())} - {""}
        return signal.leading_cause not in draft.causes or bool(event.node and done_to and event.node not in done_to)
    if _is_of_the_program(event, signal) and signal.leading_cause not in draft.causes:
        return True
    taken = {node for cause in _ON_PURPOSE for node in draft.suspected.get(cause, ())} - {""}
    if event.node in {*taken, *nodes, ""} or signal.role is Role.SYMPTOM:
        return False
    # A mistake in a program that told of itself before comes back anywhere.
    is_far = signal.leading_cause in HARDWARE_CAUSES and topology.places(nodes).isdisjoint(topology.near(event.node))
    return bool(taken) or is_clear or (bool(nodes) and is_far)


def _is_of_the_program(event: Event, signal: Signal) -> bool:
    """Return whether *event* is a line of the job that speaks for no part; what its recorders hold is no line."""
    is_printed = event.trust is Trust.USER and event.rule != ""
    return is_printed and signal.role is not Role.SYMPTOM and HARDWARE_CAUSES.isdisjoint(signal.weights)


def _is_at_once(draft: Draft, event: Event) -> bool:
    """Return whether the node has faults within a minute: what breaks together has one reason."""
    since, until = draft.fault_times.get(event.node, (None, None))
    if since is None or until is None or not event.node:
        return False
    return since - AT_ONCE <= event.last_at and event.happened_at <= until + AT_ONCE


def _is_on_struck_node(draft: Draft, event: Event) -> bool:
    return bool(event.node) and any(event.node == component.node for component in draft.fault_components)


def _is_left_out(draft: Draft, nodes: AbstractSet[str]) -> bool:
    """Return whether a job on *nodes* goes on without any node that the fault struck."""
    struck = {component.node for component in draft.fault_components}
    return "" not in struck and bool(nodes) and struck.isdisjoint(nodes)


def _is_same_place(draft: Draft, event: Event, topology: Topology) -> bool:
    """Return whether a fault strikes where the incident's faults do; a job speaks for all of itself."""
    nodes = {component.node for component in draft.fault_components}
    return (
        event.trust is Trust.USER
        or event.node in nodes
        or not topology.places(nodes - {""}).isdisjoint(topology.near(event.node))
    )
