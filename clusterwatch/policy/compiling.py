"""TOML to a policy, or every mistake in it.

The form:

1. `name`, `description` and `mode` (observe, suggest, approve or auto: the most that any rule of it may do).
2. `[[rule]]` tables, the first that fits decides: `name`, `why`, `do` (a list of actions), `when` (a table of
   conditions; none fits always), and what an action needs to know.
   Instead of rules of its own a policy may take those of a built-in one: `rules_of = "default"`.
3. A condition is FACT = value or list of values, FACT_at_least or FACT_at_most for numbers, FACT_like for patterns.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from typing import Any, get_type_hints

from clusterwatch.errors import ConfigError, Mistake
from clusterwatch.model import TABLE5_ROW, Cause, ComponentKind, Mode
from clusterwatch.policy.blame import Scope
from clusterwatch.policy.rules import Action, Comparison, Condition, Policy, Rule, Whom, WithoutSpares
from clusterwatch.policy.view import OTHER_CATEGORY, View

_KEYS = frozenset({"name", "description", "mode", "rule", "rules_of"})
_PATTERNS = frozenset({"job", "user", "actuator"})
_NUMBERS = {
    "nodes_at_most": (1, 64),
    "suspects": (0, 64),
    "back_seconds": (0, 7 * 86_400),
    "wait_seconds": (0, 86_400),
    "check_after_seconds": (0, 7 * 86_400),
}
_WHOLE = frozenset({"nodes_at_most", "suspects"})
_RULE_KEYS = frozenset({"name", "why", "when", "do", "mode", "whom", "without_spares", "sources"}) | _NUMBERS.keys()
_ALONE = frozenset({Action.WAIT, Action.ASK, Action.STOP})
_OF_RESTART = frozenset({Action.EXCLUDE, Action.ROLL_BACK, Action.CHECK, Action.SURVEY})
_OF_DRAIN = frozenset({Action.RESET, Action.REBOOT})

CHOICES: Mapping[str, frozenset[str]] = {
    "cause": frozenset(cause.value for cause in Cause),
    "category": frozenset(row.category for row in TABLE5_ROW.values() if row) | {OTHER_CATEGORY},
    "suspect_kind": frozenset(kind.value for kind in ComponentKind),
    "scope": frozenset(scope.value for scope in Scope),
    "weekday": frozenset({"mon", "tue", "wed", "thu", "fri", "sat", "sun"}),
}
"""The values a fact can have, where they are a closed set."""


def _facts() -> dict[str, type]:
    """Return the facts that rules can name, with the type of each: those of `View` up to what is its own."""
    found: dict[str, type] = {}
    for name, attribute in vars(View).items():
        if name == "blame":
            break
        if isinstance(attribute, cached_property):
            hint = str(get_type_hints(attribute.func)["return"])
            found[name] = next(kind for kind in (bool, float, int, str) if kind.__name__ in hint)
    return found


FACTS: Mapping[str, type] = _facts()
"""Every fact that a condition can name: bool, str, int or float."""


def compile_policy(origin: str, text: str, others: Mapping[str, str] | None = None) -> Policy:
    """Return the policy that the TOML *text* holds; *origin* names it in mistakes.

    Args:
        origin: File or name of the policy.
        text: Its TOML.
        others: Texts of the policies whose rules it may take, by name.

    Raises:
        ConfigError: With every mistake, each with its rule and key.
    """
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(origin, [Mistake(origin, f"is not valid TOML: {error}")]) from None
    draft = _Draft(others or {})
    policy = draft.policy(values)
    if draft.mistakes:
        raise ConfigError(f"policy {origin}", draft.mistakes)
    return policy


@dataclass(slots=True)
class _Draft:
    others: Mapping[str, str]
    mistakes: list[Mistake] = field(default_factory=list)
    place: str = ""

    def wrong(self, key: str, problem: str) -> None:
        self.mistakes.append(Mistake(f"{self.place}{key}", problem))

    def policy(self, values: Mapping[str, Any]) -> Policy:
        self.only(values, _KEYS)
        if "rules_of" in values:
            head = (self.text(values, "name"), self.text(values, "description"), self.one_of(values, "mode", Mode.AUTO))
            return Policy(*head, self.taken_over(values))
        listed = values.get("rule", [])
        if not isinstance(listed, list) or not listed or not all(isinstance(each, dict) for each in listed):
            self.wrong("rule", "is missing, expected at least one [[rule]]")
            listed = []
        head = (self.text(values, "name"), self.text(values, "description"), self.one_of(values, "mode", Mode.AUTO))
        rules = tuple(self.rule(number, each) for number, each in enumerate(listed, start=1))
        self.place = ""
        for name in {rule.name for rule in rules if [each.name for each in rules].count(rule.name) > 1} - {""}:
            self.wrong(f"rule {name}", "stands twice")
        self.unreachable(rules)
        return Policy(*head, rules)

    def taken_over(self, values: Mapping[str, Any]) -> tuple[Rule, ...]:
        name = values["rules_of"]
        if "rule" in values:
            self.wrong("rules_of", "and [[rule]] exclude each other")
        if name not in self.others or name == values.get("name"):
            self.wrong("rules_of", f"is {name!r}, expected {', '.join(sorted(self.others))}")
            return ()
        return compile_policy(name, self.others[name]).rules

    def rule(self, number: int, values: Mapping[str, Any]) -> Rule:
        self.place = f"rule {values.get('name') or number}: "
        self.only(values, _RULE_KEYS)
        when = values.get("when", {})
        if not isinstance(when, dict):
            self.wrong("when", "expected a table of conditions")
            when = {}
        do = self.actions(values)
        numbers = {key: self.number(values, key) for key in _NUMBERS if key in values}
        if Action.WAIT not in do and "wait_seconds" in values:
            self.wrong("wait_seconds", 'belongs to do = ["wait"]')
        return Rule(
            name=self.text(values, "name"),
            why=self.text(values, "why"),
            when=tuple(each for key, value in when.items() if (each := self.condition(key, value)) is not None),
            do=do,
            mode=self.one_of(values, "mode", Mode.AUTO),
            whom=self.one_of(values, "whom", Whom.TO_BLAME),
            without_spares=self.one_of(values, "without_spares", WithoutSpares.WAIT),
            sources=self.texts(values, "sources"),
            **numbers,
        )

    def unreachable(self, rules: tuple[Rule, ...]) -> None:
        always = next((place for place, rule in enumerate(rules) if not rule.when and not rule.wait_seconds), None)
        for rule in rules[always + 1 :] if always is not None else ():
            self.wrong(f"rule {rule.name}", f'is never reached: "{rules[always or 0].name}" before it always fits')

    def only(self, values: Mapping[str, Any], known: frozenset[str]) -> None:
        for key in sorted(values.keys() - known):
            self.wrong(key, f"unknown key{_did_you_mean(key, known)}")

    def text(self, values: Mapping[str, Any], key: str) -> str:
        value = values.get(key)
        if isinstance(value, str) and value.strip():
            return value.strip()
        self.wrong(key, "is missing, expected a text" if value is None else f"is {value!r}, expected a text")
        return ""

    def texts(self, values: Mapping[str, Any], key: str) -> tuple[str, ...]:
        value = values.get(key, [])
        if isinstance(value, list) and all(isinstance(each, str) for each in value):
            return tuple(value)
        self.wrong(key, f"is {value!r}, expected a list of texts")
        return ()

    def one_of(self, values: Mapping[str, Any], key: str, default: Any) -> Any:
        value, choices = values.get(key, default.value), [each.value for each in type(default)]
        if value in choices:
            return type(default)(value)
        self.wrong(key, f"is {value!r}, expected {', '.join(choices)}")
        return default

    def number(self, values: Mapping[str, Any], key: str) -> Any:
        value, (least, most) = values[key], _NUMBERS[key]
        kinds = (int,) if key in _WHOLE else (int, float)
        if isinstance(value, kinds) and not isinstance(value, bool) and least <= value <= most:
            return value
        self.wrong(key, f"is {value!r}, expected a {'whole ' if key in _WHOLE else ''}number from {least} to {most}")
        return least

    def actions(self, values: Mapping[str, Any]) -> tuple[Action, ...]:
        known = [action.value for action in Action]
        listed = self.texts(values, "do")
        for each in listed:
            if each not in known:
                self.wrong("do", f"knows no {each!r}{_did_you_mean(each, known)}")
        do = tuple(Action(each) for each in listed if each in known)
        if not listed:
            self.wrong("do", f"is missing, expected a list of {', '.join(known)}")
        self.contradictions(do)
        return do

    def contradictions(self, do: tuple[Action, ...]) -> None:
        for alone in _ALONE.intersection(do) if len(do) > 1 else ():
            self.wrong("do", f"{alone.value} stands alone")
        for part in sorted(_OF_RESTART.intersection(do)) if Action.RESTART not in do else ():
            self.wrong("do", f"{part.value} needs restart beside it")
        for part in sorted(_OF_DRAIN.intersection(do)) if Action.DRAIN not in do else ():
            self.wrong("do", f"{part.value} needs drain beside it: nobody may be on the node")
        if len(set(do)) < len(do):
            self.wrong("do", "names an action twice")

    def condition(self, key: str, value: object) -> Condition | None:
        fact, comparison = _split(key)
        kind = FACTS.get(fact)
        if kind is None:
            self.wrong(f"when.{key}", f"unknown fact{_did_you_mean(fact, FACTS)}")
            return None
        wanted = tuple(value) if isinstance(value, list) else (value,)
        problem = _COMPARED[comparison](fact, kind, wanted)
        if problem:
            self.wrong(f"when.{key}", problem)
            return None
        return Condition(fact, comparison, wanted)


def _split(key: str) -> tuple[str, Comparison]:
    for comparison in (Comparison.AT_LEAST, Comparison.AT_MOST, Comparison.LIKE):
        if key.endswith(comparison.value):
            return key.removesuffix(comparison.value), comparison
    return key, Comparison.IS


def _problem_of_values(fact: str, kind: type, wanted: tuple[object, ...]) -> str:
    if fact in _PATTERNS:
        return f'is compared by pattern: write {fact}_like = "PATTERN"'
    if kind in (int, float):
        return f"is a number: write {fact}_at_least or {fact}_at_most"
    if not wanted or not all(type(each) is kind for each in wanted):
        return f"is {_plain(wanted)!r}, expected {'true or false' if kind is bool else 'a text or a list of texts'}"
    unknown = [each for each in wanted if fact in CHOICES and each not in CHOICES[fact]]
    return f"knows no {unknown[0]!r}{_did_you_mean(str(unknown[0]), CHOICES[fact])}" if unknown else ""


def _problem_of_limit(fact: str, kind: type, wanted: tuple[object, ...]) -> str:
    if kind not in (int, float):
        return "is no number, so it has no limits"
    is_number = len(wanted) == 1 and isinstance(wanted[0], int | float) and not isinstance(wanted[0], bool)
    return "" if is_number else f"is {_plain(wanted)!r}, expected a number"


def _problem_of_pattern(fact: str, kind: type, wanted: tuple[object, ...]) -> str:
    if kind is not str:
        return "is no text, so it has no pattern"
    is_text = wanted and all(isinstance(each, str) and each for each in wanted)
    return "" if is_text else f"is {_plain(wanted)!r}, expected a pattern or a list of patterns"


_COMPARED: Mapping[Comparison, Callable[[str, type, tuple[object, ...]], str]] = {
    Comparison.IS: _problem_of_values,
    Comparison.AT_LEAST: _problem_of_limit,
    Comparison.AT_MOST: _problem_of_limit,
    Comparison.LIKE: _problem_of_pattern,
}


def _plain(wanted: tuple[object, ...]) -> object:
    return wanted[0] if len(wanted) == 1 else list(wanted)


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    near = get_close_matches(word, list(known), n=1)
    return f', did you mean "{near[0]}"?' if near else ""
