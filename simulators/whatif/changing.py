"""Settings as text to a scenario: "spares=48", "spares=+16", "restart=-60,interval=600"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from clusterwatch.errors import ConfigError, Mistake
from clusterwatch.model import Scalar
from simulators.whatif.scenario import Ages, Arrivals, Scenario

ALIASES = {
    "restart": "start_seconds",
    "detect": "detect_change_seconds",
    "interval": "interval_seconds",
    "save": "save_seconds",
    "load": "load_seconds",
    "standby": "standby_seconds",
    "cold": "cold_seconds",
    "failures": "failures_per_1000_node_days",
}
"""Short names of settings."""

_WHOLE = frozenset({"gpus", "gpus_per_node", "spares"})
_MAY_BE_NEGATIVE = frozenset({"detect_change_seconds"})
_POSITIVE = frozenset({"days", "gpus", "gpus_per_node", "interval_seconds"})
_CHOICES: Mapping[str, type[Arrivals] | type[Ages]] = {"arrivals": Arrivals, "ages": Ages}
_LEAST = {"shape": 0.2, "slowdown": 1.0}
_LARGEST = {
    "gpus": 1_000_000,
    "days": 3_650,
    "spares": 20_000,
    "shape": 10.0,
    "repair_hours": 8_784.0,
    "repair_spread": 5.0,
}
_MOST_STOPS = 200_000
"""Of one run: memory and time grow with them."""

NAMES = tuple(each.name for each in fields(Scenario) if each.name != "mix")
"""Every setting; the mix of causes is none."""


def settings_of(scenario: Scenario) -> dict[str, Scalar]:
    """Return the settings of *scenario* by name; None where the policy says."""
    found: dict[str, Scalar] = {name: getattr(scenario, name) for name in NAMES}
    return found


def changed(scenario: Scenario, changes: Mapping[str, str], origin: str) -> Scenario:
    """Return *scenario* with *changes* of its settings; a value with a sign is added to what is there.

    Raises:
        ConfigError: With every mistake; *origin* tells where the changes come from.
    """
    values: dict[str, Any] = {}
    mistakes = []
    for name, text in changes.items():
        try:
            key = _key(name)
            if key in values:
                raise ValueError(f"{key} is changed twice: say it once")
            values[key] = _value(key, text.strip(), getattr(scenario, key))
        except ValueError as error:
            mistakes.append(Mistake(name, str(error)))
    if mistakes:
        raise ConfigError(origin, mistakes)
    made = replace(scenario, **values)
    stops = max(made.failures_per_second * made.seconds, made.planned_per_day * made.days)
    if stops > _MOST_STOPS:
        words = f"about {stops:,.0f} stops in a run, at most {_MOST_STOPS:,} are simulated: look at fewer days"
        raise ConfigError(origin, [Mistake("stops", words)])
    return made


def parsed(text: str) -> dict[str, str]:
    """Return the changes that "name=value,name=value" tells.

    Raises:
        ConfigError: If a part has no "=", or a name comes twice.
    """
    parts = [part.partition("=") for part in text.split(",")]
    wrong = [Mistake(name.strip(), 'expected NAME=VALUE, such as "spares=+16"') for name, sign, _ in parts if not sign]
    if wrong:
        raise ConfigError(f'"{text}"', wrong)
    named = [name.strip() for name, _, _ in parts]
    twice = [Mistake(name, "is changed twice: say it once") for name in dict.fromkeys(named) if named.count(name) > 1]
    if twice:
        raise ConfigError(f'"{text}"', twice)
    return {name.strip(): value.strip() for name, _, value in parts}


def _key(name: str) -> str:
    key = ALIASES.get(name, name)
    if key not in NAMES:
        raise ValueError(f"no such setting; there are {', '.join(sorted((*NAMES, *ALIASES)))}")
    return key


def _value(key: str, text: str, current: Any) -> Any:
    if key in _CHOICES:
        return _chosen(_CHOICES[key], text)
    number = _number(text)
    # The change of the detection is a difference itself: a sign there adds nothing to anything.
    if text[:1] in "+-" and key not in _MAY_BE_NEGATIVE:
        if current is None:
            raise ValueError("the policy says how long this is: give a value without a sign")
        number += current
    if number < 0 and key not in _MAY_BE_NEGATIVE:
        raise ValueError(f"must not be negative, not {number:g}")
    if number == 0 and key in _POSITIVE:
        raise ValueError("must be more than nothing")
    if number < _LEAST.get(key, number):
        raise ValueError(f"at least {_LEAST[key]:,}")
    if number > _LARGEST.get(key, number):
        raise ValueError(f"at most {_LARGEST[key]:,}")
    if key in _WHOLE and not number.is_integer():
        raise ValueError(f'expected a whole number, not "{text}"')
    return int(number) if key in _WHOLE else number


def _chosen(choices: type[Arrivals] | type[Ages], text: str) -> Arrivals | Ages:
    if text not in tuple(choices):
        raise ValueError(f'expected one of {", ".join(choices)}, not "{text}"')
    return choices(text)


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError as error:
        raise ValueError(f'expected a number, not "{text}"') from error
    if number != number or number in (float("inf"), float("-inf")):
        raise ValueError(f'expected a number, not "{text}"')
    return number
