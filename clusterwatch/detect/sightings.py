"""A sighting to an event: one place that gives it its id, its component and its severity."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache

from clusterwatch.detect.rules import Rule
from clusterwatch.model import Component, ComponentKind, Event, Knowledge, Reading, Scalar, event_id
from clusterwatch.model.making import maker

LONGEST_TEXT = 400

_event = maker(Event)

COMPONENTS_KEPT = 1 << 15
"""As many as a fleet has nodes and ranks: in a burst each of them speaks time and again."""


@lru_cache(maxsize=COMPONENTS_KEPT)
def component(kind: ComponentKind, id_: str, node: str) -> Component:
    """Return the component, the same object for the same one of late."""
    return Component(kind, id_, node)


_PCI = re.compile(r"(?:[0-9a-f]{4})?([0-9a-f]{4}):([0-9a-f]{1,2}):([0-9a-f]{1,2})(?:\.[0-9a-f])?")
_WORD = re.compile(r"\w")
_NAME = re.compile(r"\{(\w+)\}")
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


sighting_with = maker(Sighting)
"""Makes a sighting of the values of all its fields: there is one for each line that says something."""


def event_of(sighting: Sighting, knowledge: Knowledge) -> Event:
    """Return the event of *sighting*; its severity is what the catalogue says of its kind."""
    reading, kind, fields = sighting.reading, sighting.kind, sighting.fields
    facts, source, position, observed_at = reading.fields, reading.source, reading.position, reading.observed_at
    # What the source itself numbers its records with, so that a lost one can be told by its neighbours.
    if "seq" in facts:
        fields = {"seq": facts["seq"], **fields}
    return _event(
        (
            event_id(reading.node, reading.boot_id, source, position, kind),
            kind,
            sighting.component,
            reading.happened_at or observed_at,
            observed_at,
            None,  # the store knows when it receives it
            source,
            str(facts.get("origin") or position),
            reading.trust,
            knowledge[kind].severity,
            (sighting.text or reading.text)[:LONGEST_TEXT],
            sighting.rule,
            fields,
            reading.job,
            reading.attempt,
            sighting.rank if sighting.rank is not None else reading.rank,
            1,
            None,
            reading.boot_id,
            reading.simulated,
        )
    )


def default_component(reading: Reading, rank: int | None) -> Component:
    """Return what a reading is about when nothing in it says more: the rank, else the job, else the node."""
    if rank is not None:
        return component(ComponentKind.RANK, str(rank), reading.node)
    if reading.job is not None:
        return component(ComponentKind.JOB, reading.job, "")
    return component(ComponentKind.NODE, reading.node, reading.node)


def component_of(rule: Rule, fields: Mapping[str, Scalar], reading: Reading, rank: int | None) -> Component:
    """Return what *rule* says its line is about; the default where the line does not hold the id.

    A field "node" names the node the line speaks of: schedulers and controllers speak of others than their own.
    """
    if rule.component_kind is None:
        return default_component(reading, rank)
    node = str(fields.get("node") or reading.node)
    if rule.component_kind is ComponentKind.NODE:
        # A log that several nodes write, read somewhere else: a line that names none is about the job or its rank.
        return component(ComponentKind.NODE, node, node) if node else default_component(reading, rank)
    # "{pci}|{gpu}": the first that the line holds, because drivers leave one or the other out.
    for template in _templates_in(rule.component_id):
        named = filled(template, fields)
        if named and _WORD.search(named):
            return component(rule.component_kind, component_id(rule.component_kind, named), node)
    return default_component(reading, rank)


def component_id(kind: ComponentKind, name: str) -> str:
    """Return *name* as every source writes it: PCI addresses of GPUs as "0000:3b:00", without function."""
    address = _PCI.fullmatch(name.strip().rstrip(":.").lower()) if kind in PCI_NAMED else None
    return f"{address[1]}:{address[2]:0>2}:{address[3]:0>2}" if address else name


def filled(template: str, fields: Mapping[str, Scalar]) -> str:
    """Return *template* with its {fields}; "" when one of them is missing or empty."""
    names = _names_in(template)
    for name in names:
        if fields.get(name) in (None, ""):
            return ""
    return _NAME.sub(lambda group: str(fields[group[1]]), template) if names else template


def kind_from(template: str, fields: Mapping[str, Scalar]) -> str:
    """Return the kind a rule's template gives: fields in lower case, only letters, digits and "_" left.

    Where the line does not hold a field, the kind ends before it: "gpu.xid".
    """
    if "{" not in template:
        return template
    named = {name: fields[name] for name in _names_in(template) if name in fields}
    words = {name: re.sub(r"\W+", "_", str(value).lower()).strip("_") for name, value in named.items()}
    return filled(template, words) or template.partition(".{")[0]


@cache
def _templates_in(component_id: str) -> tuple[str, ...]:
    return tuple(component_id.split("|"))


@cache
def _names_in(template: str) -> tuple[str, ...]:
    return tuple(_NAME.findall(template))
