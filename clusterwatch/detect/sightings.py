"""A sighting to an event: one place that gives it its id, its component and its severity."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from clusterwatch.detect.rules import Rule
from clusterwatch.model import Component, ComponentKind, Event, Knowledge, Reading, Scalar, event_id, node_component

LONGEST_TEXT = 400

_PCI = re.compile(r"(?:[0-9a-f]{4})?([0-9a-f]{4}):([0-9a-f]{1,2}):([0-9a-f]{1,2})(?:\.[0-9a-f])?")
PCI_NAMED = frozenset({ComponentKind.GPU, ComponentKind.NVSWITCH})
"""Kinds of component whose id is a PCI address where one is known."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """What was recognised in a reading, before it becomes an event."""

    reading: Reading
    kind: str
    component: Component
    fields: Mapping[str, Scalar] = field(default_factory=dict)
    rule: str = ""
    text: str = ""
    rank: int | None = None


def event_of(sighting: Sighting, knowledge: Knowledge) -> Event:
    """Return the event of *sighting*; its severity is what the catalogue says of its kind."""
    reading = sighting.reading
    return Event(
        id=event_id(reading.node, reading.boot_id, reading.source, reading.position, sighting.kind),
        kind=sighting.kind,
        component=sighting.component,
        happened_at=reading.happened_at or reading.observed_at,
        observed_at=reading.observed_at,
        source=reading.source,
        origin=str(reading.fields.get("origin") or reading.position),
        trust=reading.trust,
        severity=knowledge[sighting.kind].severity,
        text=(sighting.text or reading.text)[:LONGEST_TEXT],
        rule=sighting.rule,
        fields={**_source_facts(reading), **sighting.fields},
        job=reading.job,
        attempt=reading.attempt,
        rank=sighting.rank if sighting.rank is not None else reading.rank,
        boot_id=reading.boot_id,
        simulated=reading.simulated,
    )


def _source_facts(reading: Reading) -> Mapping[str, Scalar]:
    """Return what the source itself numbers its records with, so that a lost one can be told by its neighbours."""
    return {name: reading.fields[name] for name in ("seq",) if name in reading.fields}


def default_component(reading: Reading, rank: int | None) -> Component:
    """Return what a reading is about when nothing in it says more: the rank, else the job, else the node."""
    if rank is not None:
        return Component(ComponentKind.RANK, str(rank), reading.node)
    if reading.job is not None:
        return Component(ComponentKind.JOB, reading.job)
    return node_component(reading.node)


def component_of(rule: Rule, fields: Mapping[str, Scalar], reading: Reading, rank: int | None) -> Component:
    """Return what *rule* says its line is about; the default where the line does not hold the id.

    A field "node" names the node the line speaks of: schedulers and controllers speak of others than their own.
    """
    if rule.component_kind is None:
        return default_component(reading, rank)
    node = str(fields.get("node") or reading.node)
    if rule.component_kind is ComponentKind.NODE:
        return node_component(node)
    # "{pci}|{gpu}": the first that the line holds, because drivers leave one or the other out.
    names = (filled(template, fields) for template in rule.component_id.split("|"))
    named = next((name for name in names if re.search(r"\w", name)), "")
    if not named:
        return default_component(reading, rank)
    return Component(rule.component_kind, component_id(rule.component_kind, named), node)


def component_id(kind: ComponentKind, name: str) -> str:
    """Return *name* as every source writes it: PCI addresses of GPUs as "0000:3b:00", without function."""
    address = _PCI.fullmatch(name.strip().lower()) if kind in PCI_NAMED else None
    return f"{address[1]}:{address[2]:0>2}:{address[3]:0>2}" if address else name


def filled(template: str, fields: Mapping[str, Scalar]) -> str:
    """Return *template* with its {fields}; "" when one of them is missing or empty."""
    names = re.findall(r"\{(\w+)\}", template)
    if any(fields.get(name) in (None, "") for name in names):
        return ""
    return re.sub(r"\{(\w+)\}", lambda group: str(fields[group[1]]), template)


def kind_from(template: str, fields: Mapping[str, Scalar]) -> str:
    """Return the kind a rule's template gives: fields in lower case, only letters, digits and "_" left.

    Where the line does not hold a field, the kind ends before it: "gpu.xid".
    """
    words = {name: re.sub(r"\W+", "_", str(value).lower()).strip("_") for name, value in fields.items()}
    return filled(template, words) or template.partition(".{")[0]
