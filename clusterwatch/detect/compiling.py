"""TOML to a catalogue, or every mistake in it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

from clusterwatch.detect import opinions
from clusterwatch.detect.entries import Entry, entries_in
from clusterwatch.detect.matcher import Matcher, compile_rules
from clusterwatch.detect.opinions import DEFAULT_PROFILE, Opinions
from clusterwatch.detect.refining import Mask, Refinement, Refinements, fields_known, mask_from
from clusterwatch.detect.rules import COLLECTORS, Rule, field_name
from clusterwatch.detect.sayings import Sayings
from clusterwatch.errors import CatalogError
from clusterwatch.model import UNLISTED, ComponentKind, Expectation, Knowledge, Role, Severity, Signal

_SIGNAL_TEXTS = frozenset(["kind", "meaning", "severity", "role", "suspect", "action", "sources"])
_SIGNAL_KINDS = frozenset(["unless", "after", "after_anywhere", "explains", "over_by", "harm"])
_SIGNAL_NUMBERS = frozenset(["looks_back_seconds", "borne_seconds", "per_node_day"])
_SIGNAL_KEYS = _SIGNAL_TEXTS | _SIGNAL_KINDS | _SIGNAL_NUMBERS | frozenset(["weights", "expects", "confirms", "slows"])
_EXPECTS_KEYS = frozenset(["kind", "source", "if_absent", "weights", "instead"])
_EXAMPLE_KEYS = frozenset(["match", "no_match"])
_RULE_KEYS = _EXAMPLE_KEYS | frozenset(
    ["name", "kind", "literal", "pattern", "component", "source", "sources", "ints", "beats", "heading"]
)
_REFINE_KEYS = frozenset(["kind", "to", "pattern", "when", "bits", "mask", "sources", "match"])
_GROUP = re.compile(r"\{(\w+)\}")
_MOST_BITS = 64
_ALL = "*"
_SEVERITIES = {severity.name.lower(): severity for severity in Severity}


@dataclass(frozen=True, slots=True)
class Catalog:
    """Everything detection knows: rules and the matcher built from them, what refines their kinds, what kinds mean.

    Attributes:
        sayings: What it found out of the lines it is applied to.
    """

    rules: tuple[Rule, ...]
    knowledge: Knowledge
    matcher: Matcher
    refinements: Refinements = field(default_factory=Refinements)
    opinions: Opinions = field(default_factory=Opinions)
    sayings: Sayings = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Begin with nothing found out."""
        object.__setattr__(self, "sayings", Sayings(self.refinements))


@dataclass(slots=True)
class _Draft:
    mistakes: list[str] = field(default_factory=list)
    signals: dict[str, Signal] = field(default_factory=dict)
    rules: dict[str, Rule] = field(default_factory=dict)
    refinements: list[Refinement] = field(default_factory=list)
    opinions: Opinions = field(default_factory=Opinions)


def compile_catalog(texts: Mapping[str, str], profile: str = DEFAULT_PROFILE) -> Catalog:
    """Return the catalogue that the TOML *texts* (by file name) hold, with Xids judged as *profile* does.

    Raises:
        CatalogError: With every mistake in every file, each with its file and rule.
    """
    draft = _Draft()
    for file, text in sorted(texts.items()):
        for entry in entries_in(file, text, _ADDERS, draft.mistakes):
            _ADDERS[entry.table](draft, entry)
    knowledge = Knowledge(draft.signals.values())
    draft.mistakes.extend([*_loose_ends(draft, knowledge), *opinions.loose_ends(draft.opinions, profile)])
    if draft.mistakes:
        count = f"{len(draft.mistakes)} mistake{'s' if len(draft.mistakes) != 1 else ''}"
        raise CatalogError("\n".join([f"detection catalogue: {count}", *(f"  {line}" for line in draft.mistakes)]))
    rules = tuple(_with_all_beaten(draft.rules.values()))
    judged = Knowledge(opinions.under_profile(knowledge, draft.opinions, profile))
    return Catalog(rules, judged, compile_rules(rules), Refinements(draft.refinements), draft.opinions)


def _add_signal(draft: _Draft, entry: Entry) -> None:
    entry.only(_SIGNAL_KEYS)
    kind = entry.text("kind")
    if kind in draft.signals:
        entry.wrong("stands twice in the catalogue")
    draft.signals[kind] = Signal(
        kind=kind,
        meaning=entry.text("meaning"),
        severity=entry.one_of("severity", _SEVERITIES, Severity.INFO),
        role=entry.one_of("role", {role.value: role for role in Role}, Role.CONTEXT),
        weights=entry.weights(entry.table_at("weights")),
        suspect=entry.one_of("suspect", _COMPONENT_KINDS, None) if "suspect" in entry.values else None,
        action=entry.text("action", required=False),
        expects=tuple(_expectations(entry)),
        unless=entry.texts("unless"),
        confirms=entry.flag("confirms"),
        after=entry.texts("after"),
        after_anywhere=entry.texts("after_anywhere"),
        explains=entry.texts("explains"),
        looks_back=timedelta(seconds=entry.seconds("looks_back_seconds")),
        over_by=entry.texts("over_by"),
        borne=timedelta(seconds=entry.seconds("borne_seconds")),
        harm=entry.texts("harm"),
        slows=entry.flag("slows"),
        per_node_day=entry.number("per_node_day"),
        sources=entry.texts("sources", required=True),
    )


_COMPONENT_KINDS: dict[str, ComponentKind | None] = {kind.value: kind for kind in ComponentKind}


def _expectations(entry: Entry) -> Iterator[Expectation]:
    listed = entry.values.get("expects", [])
    if not isinstance(listed, list) or not all(isinstance(item, dict) for item in listed):
        entry.wrong("expects must be a list of tables")
        return
    for values in listed:
        part = Entry(entry.file, entry.table, f"{entry.name}.expects", values, entry.mistakes)
        part.only(_EXPECTS_KEYS)
        weights = part.weights(part.table_at("weights"))
        kind, instead = part.text("kind"), part.texts("instead")
        yield Expectation(kind, part.text("source"), part.text("if_absent"), weights, instead)


def _add_rule(draft: _Draft, entry: Entry) -> None:
    entry.only(_RULE_KEYS)
    name = entry.text("name")
    if name in draft.rules:
        entry.wrong("stands twice in the catalogue")
    pattern = entry.pattern()
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
        heading=entry.flag("heading"),
        sources=entry.texts("sources", required=True),
        match=entry.texts("match", required=True),
        no_match=entry.texts("no_match"),
        file=entry.file,
    )
    _check_names(rule, entry)
    draft.rules[name] = rule


def _with_all_beaten(rules: Iterable[Rule]) -> Iterator[Rule]:
    """Yield *rules* with the names that "*" stands for: of all rules but those that beat all themselves."""
    known = tuple(rules)
    others = frozenset(rule.name for rule in known if _ALL not in rule.beats)
    for rule in known:
        yield replace(rule, beats=rule.beats - {_ALL} | others) if _ALL in rule.beats else rule


def _component(entry: Entry) -> tuple[ComponentKind | None, str]:
    values = entry.table_at("component")
    if not values:
        return None, ""
    part = Entry(entry.file, entry.table, f"{entry.name}.component", values, entry.mistakes)
    part.only(frozenset({"kind", "id"}))
    return part.one_of("kind", _COMPONENT_KINDS, None), part.text("id", required=False)


def _check_names(rule: Rule, entry: Entry) -> None:
    groups = {field_name(group) for group in rule.pattern.groupindex}
    for name in sorted({*_GROUP.findall(rule.kind), *_GROUP.findall(rule.component_id), *rule.ints} - groups):
        entry.wrong(f"the pattern has no group {name!r}")
    for name in sorted(rule.collectors - COLLECTORS):
        entry.wrong(f"unknown source {name!r}; known are {', '.join(sorted(COLLECTORS))}")
    if rule.heading and not rule.component_id:
        entry.wrong("a heading must name a component")
    if any("\n" in literal for literal in rule.literals):
        entry.wrong("a literal cannot span lines")


def _add_refinement(draft: _Draft, entry: Entry) -> None:
    entry.only(_REFINE_KEYS)
    refinement = Refinement(
        kinds=entry.texts("kind", required=True),
        to=entry.text("to"),
        pattern=entry.pattern() if "pattern" in entry.values else None,
        when={name: frozenset(map(str.lower, texts)) for name, texts in entry.table_of_texts("when").items()},
        bits=_bits(entry),
        masks=_masks(entry),
        sources=entry.texts("sources", required=True),
        match=entry.texts("match"),
        file=entry.file,
    )
    for kind in refinement.kinds:
        if not refinement.to.startswith(f"{kind}."):
            entry.wrong(f"{refinement.to!r} is no more special kind of {kind!r}")
    draft.refinements.append(refinement)


def _bits(entry: Entry) -> dict[str, frozenset[int]]:
    found: dict[str, frozenset[int]] = {}
    for name, values in entry.table_at("bits").items():
        if not isinstance(values, list) or not all(type(bit) is int and 0 <= bit < _MOST_BITS for bit in values):
            entry.wrong(f"bits of {name!r} must be a list of numbers from 0 to {_MOST_BITS - 1}")
            continue
        found[name] = frozenset(values)
    return found


def _masks(entry: Entry) -> dict[str, tuple[Mask, ...]]:
    found: dict[str, tuple[Mask, ...]] = {}
    for name, texts in entry.table_of_texts("mask").items():
        masks = [mask_from(text) for text in texts]
        if None in masks:
            entry.wrong(f"mask of {name!r} must be made of 0, 1 and -, highest bit first")
        found[name] = tuple(mask for mask in masks if mask is not None)
    return found


def _add_project(draft: _Draft, entry: Entry) -> None:
    opinions.add_project(draft.opinions, entry)


def _add_xid(draft: _Draft, entry: Entry) -> None:
    opinions.add_xid(draft.opinions, entry)


_ADDERS = {
    "signal": _add_signal,
    "rule": _add_rule,
    "refine": _add_refinement,
    "project": _add_project,
    "xid": _add_xid,
}


def _loose_ends(draft: _Draft, knowledge: Knowledge) -> Iterable[str]:
    for rule in draft.rules.values():
        if knowledge[_GROUP.sub("*", rule.kind)] is UNLISTED:
            yield f"{rule.file}: rule {rule.name!r}: no signal says what {rule.kind!r} means"
        for name in sorted(rule.beats - draft.rules.keys() - {_ALL}):
            yield f"{rule.file}: rule {rule.name!r}: beats {name!r}, which is no rule"
    for signal in draft.signals.values():
        for kind in (*signal.unless, *signal.after, *signal.over_by, *signal.harm):
            if knowledge[kind] is UNLISTED:
                yield f"signal {signal.kind!r}: no signal says what {kind!r} means"
    for each in draft.refinements:
        known = fields_known(each, draft.rules.values(), draft.refinements)
        for name in sorted({*each.when, *each.bits, *each.masks, *_GROUP.findall(each.to)} - known):
            yield f"{each.file}: refine {each.kinds[0]!r}: no pattern gives it a field {name!r}"
