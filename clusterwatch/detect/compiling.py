"""TOML to a catalogue, or every mistake in it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from clusterwatch.detect.matcher import Matcher, compile_rules
from clusterwatch.detect.rules import COLLECTORS, Rule, field_name
from clusterwatch.errors import CatalogError
from clusterwatch.model import UNLISTED, Cause, ComponentKind, Expectation, Knowledge, Role, Severity, Signal

T = TypeVar("T")

_SIGNAL_KEYS = frozenset(["kind", "meaning", "severity", "role", "weights", "suspect", "action", "sources", "expects"])
_EXPECTS_KEYS = frozenset(["kind", "source", "if_absent", "weights"])
_EXAMPLE_KEYS = frozenset(["match", "no_match"])
_RULE_KEYS = _EXAMPLE_KEYS | {"name", "kind", "literal", "pattern", "component", "source", "sources", "ints", "beats"}
_TABLES = frozenset({"signal", "rule"})
_CAUSES = frozenset(cause.value for cause in Cause)
_GROUP = re.compile(r"\{(\w+)\}")
_SEVERITIES = {severity.name.lower(): severity for severity in Severity}
_TEXT, _TEXTS, _NUMBER = "a text", "a list of texts", "a number"


@dataclass(frozen=True, slots=True)
class Catalog:
    """Everything detection knows: the rules, what their kinds mean, and the matcher built from them."""

    rules: tuple[Rule, ...]
    knowledge: Knowledge
    matcher: Matcher


@dataclass(slots=True)
class _Entry:
    """One table of a file; reads its keys and notes what is wrong with them."""

    file: str
    table: str
    name: str
    values: Mapping[str, Any]
    mistakes: list[str]

    def wrong(self, what: str) -> None:
        self.mistakes.append(f"{self.file}: {self.table} {self.name!r}: {what}")

    def only(self, known: frozenset[str]) -> None:
        for key in sorted(self.values.keys() - known):
            self.wrong(f"unknown key {key!r}; known are {', '.join(sorted(known))}")

    def text(self, key: str, required: bool = True) -> str:
        value = self.values.get(key, "")
        if not isinstance(value, str) or (required and not value):
            self.wrong(f"{key} must be {_TEXT}")
            return ""
        return value

    def texts(self, key: str, required: bool = False) -> tuple[str, ...]:
        value = self.values.get(key, [])
        listed = [value] if isinstance(value, str) else value
        if not isinstance(listed, list) or not all(isinstance(item, str) and item for item in listed):
            self.wrong(f"{key} must be {_TEXTS}")
            return ()
        if required and not listed:
            self.wrong(f"{key} is missing")
        return tuple(listed)

    def weights(self, values: Mapping[str, Any]) -> dict[Cause, float]:
        found: dict[Cause, float] = {}
        for name, weight in values.items():
            if name not in _CAUSES:
                self.wrong(f"unknown cause {name!r}")
            elif isinstance(weight, bool) or not isinstance(weight, int | float):
                self.wrong(f"weight of {name!r} must be {_NUMBER}")
            else:
                found[Cause(name)] = float(weight)
        return found

    def table_at(self, key: str) -> Mapping[str, Any]:
        value = self.values.get(key, {})
        if isinstance(value, dict):
            return value
        self.wrong(f"{key} must be a table")
        return {}


@dataclass(slots=True)
class _Draft:
    mistakes: list[str] = field(default_factory=list)
    signals: dict[str, Signal] = field(default_factory=dict)
    rules: dict[str, Rule] = field(default_factory=dict)


def compile_catalog(texts: Mapping[str, str]) -> Catalog:
    """Return the catalogue that the TOML *texts* (by file name) hold.

    Raises:
        CatalogError: With every mistake in every file, each with its file and rule.
    """
    draft = _Draft()
    for file, text in sorted(texts.items()):
        for entry in _entries(file, text, draft.mistakes):
            (_add_signal if entry.table == "signal" else _add_rule)(draft, entry)
    knowledge = Knowledge(draft.signals.values())
    draft.mistakes.extend(_loose_ends(draft.rules, knowledge))
    if draft.mistakes:
        count = f"{len(draft.mistakes)} mistake{'s' if len(draft.mistakes) != 1 else ''}"
        raise CatalogError("\n".join([f"detection catalogue: {count}", *(f"  {line}" for line in draft.mistakes)]))
    rules = tuple(draft.rules.values())
    return Catalog(rules, knowledge, compile_rules(rules))


def _entries(file: str, text: str, mistakes: list[str]) -> Iterator[_Entry]:
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        mistakes.append(f"{file}: not TOML: {error}")
        return
    for table, entries in tables.items():
        if table not in _TABLES or not isinstance(entries, list):
            mistakes.append(f"{file}: {table!r} is not one of [[signal]], [[rule]]")
            continue
        for values in entries:
            name = str(values.get("name") or values.get("kind") or "without a name")
            yield _Entry(file, table, name, values, mistakes)


def _add_signal(draft: _Draft, entry: _Entry) -> None:
    entry.only(_SIGNAL_KEYS)
    kind = entry.text("kind")
    if kind in draft.signals:
        entry.wrong("stands twice in the catalogue")
    draft.signals[kind] = Signal(
        kind=kind,
        meaning=entry.text("meaning"),
        severity=_one_of(entry, "severity", _SEVERITIES, Severity.INFO),
        role=_one_of(entry, "role", {role.value: role for role in Role}, Role.CONTEXT),
        weights=entry.weights(entry.table_at("weights")),
        suspect=_one_of(entry, "suspect", _COMPONENT_KINDS, None) if "suspect" in entry.values else None,
        action=entry.text("action", required=False),
        expects=tuple(_expectations(entry)),
        sources=entry.texts("sources", required=True),
    )


_COMPONENT_KINDS: dict[str, ComponentKind | None] = {kind.value: kind for kind in ComponentKind}


def _one_of(entry: _Entry, key: str, known: Mapping[str, T], otherwise: T) -> T:
    value = entry.values.get(key)
    if isinstance(value, str) and value in known:
        return known[value]
    entry.wrong(f"{key} must be one of {', '.join(known)}, not {value!r}")
    return otherwise


def _expectations(entry: _Entry) -> Iterator[Expectation]:
    listed = entry.values.get("expects", [])
    if not isinstance(listed, list) or not all(isinstance(item, dict) for item in listed):
        entry.wrong("expects must be a list of tables")
        return
    for values in listed:
        part = _Entry(entry.file, entry.table, f"{entry.name}.expects", values, entry.mistakes)
        part.only(_EXPECTS_KEYS)
        weights = part.weights(part.table_at("weights"))
        yield Expectation(part.text("kind"), part.text("source"), part.text("if_absent"), weights)


def _add_rule(draft: _Draft, entry: _Entry) -> None:
    entry.only(_RULE_KEYS)
    name = entry.text("name")
    if name in draft.rules:
        entry.wrong("stands twice in the catalogue")
    pattern = _pattern(entry)
    component_kind, component_id = _component(entry)
    rule = Rule(
        name=name,
        kind=entry.text("kind"),
        literals=entry.texts("literal", required=True),
        pattern=pattern,
        component_kind=component_kind,
        component_id=component_id,
        collectors=frozenset(entry.texts("source")),
        ints=frozenset(entry.texts("ints")),
        beats=frozenset(entry.texts("beats")),
        sources=entry.texts("sources", required=True),
        match=entry.texts("match", required=True),
        no_match=entry.texts("no_match"),
        file=entry.file,
    )
    _check_names(rule, entry)
    draft.rules[name] = rule


def _pattern(entry: _Entry) -> re.Pattern[str]:
    try:
        return re.compile(entry.text("pattern"))
    except re.error as error:
        entry.wrong(f"pattern is not a regular expression: {error}")
        return re.compile("")


def _component(entry: _Entry) -> tuple[ComponentKind | None, str]:
    values = entry.table_at("component")
    if not values:
        return None, ""
    part = _Entry(entry.file, entry.table, f"{entry.name}.component", values, entry.mistakes)
    part.only(frozenset({"kind", "id"}))
    return _one_of(part, "kind", _COMPONENT_KINDS, None), part.text("id", required=False)


def _check_names(rule: Rule, entry: _Entry) -> None:
    groups = {field_name(group) for group in rule.pattern.groupindex}
    for name in sorted({*_GROUP.findall(rule.kind), *_GROUP.findall(rule.component_id), *rule.ints} - groups):
        entry.wrong(f"the pattern has no group {name!r}")
    for name in sorted(rule.collectors - COLLECTORS):
        entry.wrong(f"unknown source {name!r}; known are {', '.join(sorted(COLLECTORS))}")
    if any("\n" in literal for literal in rule.literals):
        entry.wrong("a literal cannot span lines")


def _loose_ends(rules: Mapping[str, Rule], knowledge: Knowledge) -> Iterable[str]:
    for rule in rules.values():
        if knowledge[_GROUP.sub("*", rule.kind)] is UNLISTED:
            yield f"{rule.file}: rule {rule.name!r}: no signal says what {rule.kind!r} means"
        for name in sorted(rule.beats - rules.keys()):
            yield f"{rule.file}: rule {rule.name!r}: beats {name!r}, which is no rule"
