"""Rules, and what a line means by them, to JSON and to tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from clusterwatch.app.rulebook import Matched, ReadLine, likelihoods, opens_incident
from clusterwatch.cli.output import Column
from clusterwatch.cli.page import Page, Phrase, Section, Table, quiet, strong
from clusterwatch.cli.wording import or_dash
from clusterwatch.detect import Catalog, Opinion, Rule, provenance
from clusterwatch.model import Event, Knowledge, Signal

_GROUP = re.compile(r"\{\w+\}")
_XID = re.compile(r"gpu\.xid\.(\d+)(?:\.|$)")


def listed(catalog: Catalog, text: str, cause: str | None) -> list[Rule]:
    """Return the rules whose name, kind or file holds *text*, and whose event speaks for *cause* most."""
    held = (rule for rule in catalog.rules if any(text in each for each in (rule.name, rule.kind, rule.file)))
    return [rule for rule in held if cause is None or _leading(_meaning(rule, catalog.knowledge)) == cause]


def rule_columns(knowledge: Knowledge) -> list[Column[Rule]]:
    """Return the columns of a list of rules."""
    return [
        Column("RULE", lambda rule: rule.name),
        Column("EVENT", lambda rule: rule.kind),
        Column("ROLE", lambda rule: _meaning(rule, knowledge).role.value),
        Column("SPEAKS FOR", lambda rule: or_dash(_leading(_meaning(rule, knowledge)))),
        Column("MEANS", lambda rule: or_dash(_meaning(rule, knowledge).meaning)),
        Column("FILE", lambda rule: rule.file),
    ]


def rule_json(rule: Rule, knowledge: Knowledge) -> dict[str, Any]:
    """Return *rule* with what its event means."""
    return {
        "name": rule.name,
        "event": rule.kind,
        "file": rule.file,
        "literals": list(rule.literals),
        "pattern": rule.pattern.pattern,
        "component": rule.component_kind.value if rule.component_kind else None,
        "sources": list(rule.sources),
        **_signal_json(_meaning(rule, knowledge)),
    }


def line_columns() -> list[Column[ReadLine]]:
    """Return the columns of a list of recognised lines."""
    return [
        Column("WHERE", lambda read: read.place),
        Column("RULES", lambda read: ", ".join(each.rule.name for each in read.matched if each.counts) or "-"),
        Column("EVENT", lambda read: ", ".join(event.kind for event in read.events) or "-"),
        Column("COMPONENT", lambda read: ", ".join(str(event.component) for event in read.events) or "-"),
        Column("TEXT", lambda read: read.line.text),
    ]


def line_json(read: ReadLine, knowledge: Knowledge) -> dict[str, Any]:
    """Return what a line is and means."""
    return {
        "place": read.place,
        "text": read.line.text,
        "source": read.line.source,
        "node": read.line.node or None,
        "at": read.line.at,
        "rank": read.line.rank,
        "rules": [{"name": each.rule.name, "file": each.rule.file, "counts": each.counts} for each in read.matched],
        "events": [_event_json(event, knowledge) for event in read.events],
    }


def explanation_page(read: ReadLine, catalog: Catalog) -> Page:
    """Return what a line is, which rules match it, what each event it gives means, and who says what of its Xid."""
    events = (_event_section(event, catalog.knowledge) for event in read.events)
    return (_line_section(read), _rules_section(read), *events, *_xid_sections(read, catalog))


def _xid_sections(read: ReadLine, catalog: Catalog) -> Iterator[Section]:
    numbers = {found[1] for event in read.events if (found := _XID.match(event.kind))}
    for number in sorted(numbers, key=int):
        rows = tuple(_opinion_row(each) for each in provenance(int(number), catalog.opinions, catalog.knowledge))
        yield Section(f"WHO SAYS WHAT OF XID {number}", (Table(("WHO", "VERDICT", "ACTION", "WHERE OR WHY"), rows),))


def _opinion_row(each: Opinion) -> tuple[str, ...]:
    return each.title, each.verdict.value, or_dash(each.action), or_dash(each.why or each.source)


def _line_section(read: ReadLine) -> Section:
    line = read.line
    facts = (("taken for", line.source), ("node", line.node), ("time", line.at), ("rank", line.rank))
    known = [f"{name}: {value}" for name, value in facts if value not in ("", None)]
    return Section("THE LINE", (line.text, ", ".join(known)))


def _rules_section(read: ReadLine) -> Section:
    if not read.matched:
        return Section("RULES", (quiet("no rule recognises it: it opens nothing and weighs nothing"),))
    return Section("RULES", tuple(_rule_line(each) for each in read.matched))


def _rule_line(each: Matched) -> str | Phrase:
    if each.counts:
        return strong(f"{each.rule.name} ({each.rule.file})")
    return quiet(f"{each.rule.name} ({each.rule.file}) matches too, and does not count here")


def _event_section(event: Event, knowledge: Knowledge) -> Section:
    signal = knowledge[event.kind]
    return Section(f"EVENT {event.kind}", tuple(_event_parts(event, signal)))


def _event_parts(event: Event, signal: Signal) -> Iterator[str | Phrase | Table]:
    yield f"{signal.meaning}."
    yield f"component: {event.component}; severity {signal.severity.name.lower()}; role {signal.role.value}"
    if event.fields:
        yield f"read from it: {', '.join(f'{name}={value}' for name, value in sorted(event.fields.items()))}"
    if signal.weights:
        yield Table(
            ("CAUSE", "WEIGHT"), tuple((cause.value, f"{weight:+.2f}") for cause, weight in likelihoods(signal))
        )
    elif not opens_incident(signal):
        yield "shown beside an incident; opens none and weighs nothing"
    if signal.action:
        yield f"what to do: {signal.action}"
    yield f"sources: {', '.join(signal.sources)}"


def _event_json(event: Event, knowledge: Knowledge) -> dict[str, Any]:
    component = {"kind": event.component.kind.value, "id": event.component.id, "node": event.component.node or None}
    fields = dict(event.fields)
    return {"event": event.kind, "component": component, "fields": fields, **_signal_json(knowledge[event.kind])}


def _signal_json(signal: Signal) -> dict[str, Any]:
    return {
        "meaning": signal.meaning,
        "role": signal.role.value,
        "severity": signal.severity.name.lower(),
        "weights": {cause.value: weight for cause, weight in likelihoods(signal)},
        "action": signal.action,
        "meaning_sources": list(signal.sources),
    }


def _meaning(rule: Rule, knowledge: Knowledge) -> Signal:
    return knowledge[_GROUP.sub("*", rule.kind)]


def _leading(signal: Signal) -> str:
    return signal.leading_cause.value if signal.leading_cause else ""
