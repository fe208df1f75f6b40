"""Readings of state to events: the subject is the kind, a table says what it happened to."""

from __future__ import annotations

from clusterwatch.detect.sightings import Sighting, component_id, default_component
from clusterwatch.detect.signals import ending
from clusterwatch.model import Component, ComponentKind, Reading, Scalar, node_component
from clusterwatch.model.kinds import COLLECTOR_FAILED, GPU_XID, PROCESS_EXITED

# First word of the kind -> what it happened to; everything else happened to the node.
_OF_JOB = frozenset({"job", "attempt", "checkpoint", "training", "action"})
_OF_RANK = frozenset({"process", "rank", "python"})
_OF_COLLECTOR = frozenset({"collector"})
# Of a GPU where one is named, of the node otherwise.
_OF_GPU = frozenset({"gpu", "scan"})
_GPU_NAMES = ("pci", "uuid", "index")


def sighting_of_state(reading: Reading) -> Sighting:
    """Return what a reading of state says; all its fields are kept."""
    rank = rank_in(reading)
    return Sighting(reading, _kind(reading), _component(reading, rank), reading.fields, rank=rank)


def rank_in(reading: Reading) -> int | None:
    """Return the rank a reading belongs to, by its source or by its fields; None where neither says."""
    return reading.rank if reading.rank is not None else whole(reading.fields.get("rank"))


def whole(value: Scalar) -> int | None:
    """Return *value* as a whole number; None when it is none."""
    if value is None or type(value) is int:
        return value
    try:
        return int(str(value))
    except ValueError:
        return None


def _kind(reading: Reading) -> str:
    if reading.subject == PROCESS_EXITED:
        return f"{PROCESS_EXITED}.{ending(reading.fields)}"
    if reading.subject == GPU_XID and (xid := whole(reading.fields.get("xid"))) is not None:
        return f"{GPU_XID}.{xid}"
    if reading.subject == COLLECTOR_FAILED and reading.fields.get("silent"):
        return f"{COLLECTOR_FAILED}.silent.{reading.fields.get('collector')}"
    return reading.subject


def _component(reading: Reading, rank: int | None) -> Component:
    family = reading.subject.partition(".")[0]
    if family in _OF_JOB and reading.job is not None:
        return Component(ComponentKind.JOB, reading.job)
    if family in _OF_COLLECTOR:
        return Component(ComponentKind.SERVICE, str(reading.fields.get("collector") or reading.source), reading.node)
    if family in _OF_RANK:
        return _process(reading, rank)
    if family in _OF_GPU and (gpu := _gpu(reading)):
        return Component(ComponentKind.GPU, component_id(ComponentKind.GPU, gpu), reading.node)
    return node_component(reading.node)


def _gpu(reading: Reading) -> str:
    named = (reading.fields.get(name) for name in _GPU_NAMES)
    return next((str(name) for name in named if name not in (None, "")), "")


def _process(reading: Reading, rank: int | None) -> Component:
    pid = reading.fields.get("pid")
    if rank is None and reading.job is None and pid not in (None, ""):
        return Component(ComponentKind.PROCESS, str(pid), reading.node)
    return default_component(reading, rank)
