"""A policy: rules in order, each with the conditions under which it fits and what is to be done then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from clusterwatch.model import Mode, StepKind
from clusterwatch.policy.view import View

Can = Callable[[StepKind], bool]
"""Whether the actuator of a job knows how to do a kind of step."""


class Action(StrEnum):
    """What a rule can ask for."""

    RESTART = "restart"
    EXCLUDE = "exclude"
    ROLL_BACK = "roll_back"
    DRAIN = "drain"
    RESET = "reset"
    REBOOT = "reboot"
    CHECK = "check"
    SURVEY = "survey"
    WAIT = "wait"
    ASK = "ask"
    STOP = "stop"


class Comparison(StrEnum):
    """How a fact is held against what a rule wants; the value is what a key ends in."""

    IS = ""
    AT_LEAST = "_at_least"
    AT_MOST = "_at_most"
    LIKE = "_like"


class Whom(StrEnum):
    """Which nodes a rule leaves out."""

    TO_BLAME = "to_blame"
    LIKELY = "likely"
    NEIGHBOURHOOD = "neighbourhood"


class WithoutSpares(StrEnum):
    """What becomes of a job whose nodes nobody can replace."""

    WAIT = "wait"
    SMALLER = "smaller"
    KEEP = "keep"


@dataclass(frozen=True, slots=True)
class Condition:
    """One fact and what it must be. *wanted* holds every accepted value, or the one limit or pattern."""

    fact: str
    comparison: Comparison
    wanted: tuple[str | float | bool, ...]

    def holds(self, view: View) -> bool:
        """Say whether the fact is known and as wanted."""
        value = getattr(view, self.fact)
        return value is not None and any(_HOLDS[self.comparison](value, wanted) for wanted in self.wanted)

    def in_words(self) -> str:
        """Return the condition as the file has it."""
        wanted = " or ".join(map(_shown, self.wanted))
        return f"{self.fact} {_WORDS[self.comparison]} {wanted}".replace("  ", " ")

    def why_not(self, view: View) -> str:
        """Return what the fact is, and what it would have to be."""
        value = getattr(view, self.fact)
        return f"{self.fact} is {'unknown' if value is None else _shown(value)}, wanted {self._short()}"

    def _short(self) -> str:
        wanted = " or ".join(map(_shown, self.wanted))
        return wanted if self.comparison is Comparison.IS else f"{_WORDS[self.comparison]} {wanted}"


_HOLDS: dict[Comparison, Callable[[object, object], bool]] = {
    Comparison.IS: lambda value, wanted: value == wanted,
    Comparison.AT_LEAST: lambda value, wanted: float(str(value)) >= float(str(wanted)),
    Comparison.AT_MOST: lambda value, wanted: float(str(value)) <= float(str(wanted)),
    Comparison.LIKE: lambda value, wanted: fnmatchcase(str(value), str(wanted)),
}
_WORDS = {
    Comparison.IS: "is",
    Comparison.AT_LEAST: "at least",
    Comparison.AT_MOST: "at most",
    Comparison.LIKE: "like",
}


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True, slots=True)
class Rule:
    """What to do when all conditions hold.

    Attributes:
        why: The reason, in an operator's words; sources are where the practice is published.
        mode: How far this rule may go at most, whatever the actuator may.
        nodes_at_most: How many nodes may be left out at once.
        whom: Leave out the nodes that are to blame, or with them those that may be broken, or all that share a place
            with one that was left out of late.
        suspects: Leave out this many of the most suspect nodes, singled out or not; 0 only those that are to blame.
        back_seconds: Roll back to a checkpoint saved at least so long before the first evidence; 0 to the one before
            that which the failed attempt had resumed from.
        wait_seconds: The rule fits only so long after the interruption, and nothing is done meanwhile.
        check_after_seconds: A drained node is checked so long after, and returns if it passes.
    """

    name: str
    why: str
    when: tuple[Condition, ...] = ()
    do: tuple[Action, ...] = (Action.ASK,)
    mode: Mode = Mode.AUTO
    nodes_at_most: int = 1
    whom: Whom = Whom.TO_BLAME
    suspects: int = 0
    back_seconds: float = 0.0
    wait_seconds: float = 0.0
    check_after_seconds: float = 1800.0
    without_spares: WithoutSpares = WithoutSpares.WAIT
    sources: tuple[str, ...] = ()

    def objection(self, view: View, can: Can) -> str | None:
        """Return the first thing that speaks against the rule; None when it fits. *can* says what can be done there."""
        if Action.SURVEY in self.do and not can(StepKind.SURVEY):
            return "nobody can check all nodes of the job"
        for condition in self.when:
            if not condition.holds(view):
                return condition.why_not(view)
        if self.wait_seconds and (view.down_seconds is None or view.down_seconds >= self.wait_seconds):
            return f"it waits {self.wait_seconds:g} s only"
        return None


NOTHING_FITS = Rule("no rule fits", "No rule of the policy fits, so a person has to decide.")


@dataclass(frozen=True, slots=True)
class Policy:
    """Rules in order; the first that fits decides. Without any, every decision is a person's."""

    name: str = "none"
    description: str = ""
    mode: Mode = Mode.AUTO
    rules: tuple[Rule, ...] = ()

    def rule_for(self, view: View, can: Can) -> Rule:
        """Return the first rule that fits."""
        return next((rule for rule in self.rules if rule.objection(view, can) is None), NOTHING_FITS)

    def considered(self, view: View, can: Can) -> Iterator[str]:
        """Yield what spoke against each rule before the one that fits, and the next that would fit too."""
        has_fitted = False
        for rule in self.rules:
            objection = rule.objection(view, can)
            if not has_fitted and objection is not None:
                yield f"{rule.name}: {objection}"
            elif has_fitted and objection is None:
                yield f"{rule.name}: would fit too, but stands later"
                return
            has_fitted = has_fitted or objection is None
