"""policies.toml to policies: how fast and how rightly each of them answers a fault."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from importlib import resources

from clusterwatch.model import Cause
from simulators.whatif.causes import Harm
from simulators.whatif.latency import Latency, fixed, latency

ALL = "all"
"""Stands for every cause, or every harm, that has no figure of its own."""

ADVISED = "advised"

_SAME = "same"
_ROUNDED = 1e-3
_HARMS = frozenset({ALL, *Harm})
_CAUSES = frozenset({ALL, *Cause})
_KEYS = frozenset(
    {
        "title",
        "responder",
        "interval",
        "detect",
        "decide",
        "person",
        "right",
        "wrong",
        "excludes",
        "person_after",
        "rules",
    }
)
_MEASURED_KEYS = frozenset(
    {"measured", "origin", "date", "false_restarts_per_day", "detect", "decide", "located", "mislocated", "diagnosed"}
)


class Responder(StrEnum):
    """Who decides."""

    PIPELINE = "pipeline"
    SCRIPTED = "scripted"
    ORACLE = "oracle"


Chances = Mapping[str, float]
"""By cause, or "all"."""


@dataclass(frozen=True, slots=True)
class Policy:
    """One way to run a job.

    Attributes:
        interval_seconds: Useful time between two saves; None for the best one.
        detect, decide: How long that takes, by harm or "all".
        person: How long a person takes, beside detecting and deciding.
        right, wrong: Chances that the struck node is named, and that another one is, by cause or "all".
        diagnosed: By true cause or "all", the chances of what is diagnosed; "same" for the cause itself.
        excludes: What is named is left out; only asked of a responder that does not ask the pipeline.
        person_after: Strikes of one part after which a person is asked; 0: every time.
        rules: Of ClusterWatch, by the name of those that come with it; only asked of the pipeline.
    """

    name: str
    title: str
    responder: Responder
    interval_seconds: float | None = None
    detect: Mapping[str, Latency] = field(default_factory=lambda: {ALL: fixed(0.0)})
    decide: Mapping[str, Latency] = field(default_factory=lambda: {ALL: fixed(0.0)})
    person: Latency = field(default_factory=lambda: fixed(0.0))
    right: Chances = field(default_factory=lambda: {ALL: 1.0})
    wrong: Chances = field(default_factory=lambda: {ALL: 0.0})
    diagnosed: Mapping[str, Chances] = field(default_factory=lambda: {ALL: {_SAME: 1.0}})
    excludes: bool = True
    person_after: int = 1000
    false_restarts_per_day: float = 0.0
    is_measured: bool = False
    rules: str = "default"

    def detects(self, harm: Harm) -> Latency:
        """Return how long it takes to notice *harm*."""
        return self.detect[harm if harm in self.detect else ALL]

    def decides(self, harm: Harm) -> Latency:
        """Return how long it takes to decide after *harm*."""
        return self.decide[harm if harm in self.decide else ALL]


def built_in_policies() -> dict[str, Policy]:
    """Return the policies that come with the package, by name, with the figures that were measured of them."""
    return policies_of(*built_in_texts())


def built_in_texts() -> tuple[str, str]:
    """Return the files that come with the package: policies and what was measured of them, as TOML."""
    return _text("policies.toml"), _text("measured.toml")


def policies_of(policies: str, measured: str = "") -> dict[str, Policy]:
    """Return the policies that the TOML text *policies* tells, with the figures of the TOML text *measured*.

    Raises:
        ValueError: A key is unknown or missing, or a figure out of range; the message begins with the policy's name.
    """
    figures = tomllib.loads(measured)
    return {name: _named(name, table, figures.get(name)) for name, table in tomllib.loads(policies).items()}


def _named(name: str, table: object, measured: object) -> Policy:
    try:
        policy = _policy(name, _table(table, _KEYS))
        made = policy if measured is None else _with_measured(policy, _table(measured, _MEASURED_KEYS))
        _require_chances(made)
    except KeyError as error:
        raise ValueError(f"policy {name}: {error} is missing") from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"policy {name}: {error}") from error
    return made


def _table(told: object, known: Collection[str]) -> Mapping[str, object]:
    """Return *told*, a table whose keys are all *known*: a wrong word would leave the usual figure in its place."""
    if not isinstance(told, Mapping):
        raise ValueError(f"expected a table, not {told!r}")
    unknown = sorted(told.keys() - set(known))
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: unknown, expected some of {', '.join(sorted(known))}")
    return told


def _require_chances(policy: Policy) -> None:
    for key in policy.right.keys() | policy.wrong.keys():
        both = policy.right.get(key, policy.right[ALL]) + policy.wrong.get(key, policy.wrong[ALL])
        if both > 1.0 + _ROUNDED:
            raise ValueError(f"{key}: the chances of naming the struck node and another one add up to {both:g}")


def _policy(name: str, table: Mapping[str, object]) -> Policy:
    interval = table["interval"]
    return Policy(
        name,
        str(table["title"]),
        Responder(str(table["responder"])),
        None if interval == ADVISED else _number(interval),
        _latencies(table.get("detect", {ALL: 0})),
        _latencies(table.get("decide", {ALL: 0})),
        latency(table["person"]),
        _chances(table.get("right", 1.0)),
        _chances(table.get("wrong", 0.0)),
        excludes=_yes_or_no(table.get("excludes", True)),
        person_after=int(_number(table.get("person_after", 1000))),
        rules=str(table.get("rules", "default")),
    )


def _with_measured(policy: Policy, table: Mapping[str, object]) -> Policy:
    diagnosed = _table(table.get("diagnosed", {ALL: {_SAME: 1.0}}), _CAUSES)
    return replace(
        policy,
        detect=_latencies(table["detect"]),
        decide=_latencies(table["decide"]),
        right=_chances(table["located"]),
        wrong=_chances(table.get("mislocated", 0.0)),
        diagnosed={cause: _chances(chances, {_SAME, *Cause}) for cause, chances in diagnosed.items()},
        false_restarts_per_day=_number(table.get("false_restarts_per_day", 0.0)),
        is_measured=bool(table.get("measured", False)),
    )


def _latencies(told: object) -> dict[str, Latency]:
    found = {str(harm): latency(each) for harm, each in _table(told, _HARMS).items()}
    missing = [harm for harm in Harm if harm not in found and ALL not in found]
    if missing:
        raise ValueError(f"no latency for {', '.join(missing)}, and none for all")
    return found


def _chances(told: object, known: Collection[str] = _CAUSES) -> dict[str, float]:
    by_cause = _table(told, known) if isinstance(told, Mapping) else {ALL: told}
    found = {str(key): _number(each) for key, each in by_cause.items()}
    if not all(0.0 <= chance <= 1.0 for chance in found.values()):
        raise ValueError(f"a chance lies between 0 and 1: {found}")
    return found


def _yes_or_no(told: object) -> bool:
    if not isinstance(told, bool):
        raise ValueError(f"expected true or false, not {told!r}")
    return told


def _number(told: object) -> float:
    if isinstance(told, bool) or not isinstance(told, int | float):
        raise ValueError(f"expected a number, not {told!r}")
    return float(told)


def _text(name: str) -> str:
    return (resources.files("simulators") / "whatif" / name).read_text(encoding="utf-8")
