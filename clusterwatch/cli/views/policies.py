"""Policies to their rules, and decisions to the rule that made them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from clusterwatch.cli.output import Column, encode
from clusterwatch.cli.page import Page, Phrase, Section, Table, Tone, good, quiet, strong
from clusterwatch.cli.views.decisions import decision_json, decision_parts
from clusterwatch.cli.wording import or_dash, stamp
from clusterwatch.model import Decision, Mode

if TYPE_CHECKING:
    from clusterwatch.app.judging import Judged
    from clusterwatch.policy import Policy, Rule
    from clusterwatch.store import IncidentView


def policy_columns() -> tuple[Column[Policy], ...]:
    """Return the columns of a list of policies."""
    return (
        Column("POLICY", lambda policy: policy.name),
        Column("MODE AT MOST", lambda policy: policy.mode.value),
        Column("RULES", lambda policy: str(len(policy.rules))),
        Column("WHAT IT DOES", lambda policy: policy.description),
    )


def policy_json(policy: Policy) -> dict[str, Any]:
    """Return a policy with its rules in order."""
    return {
        "name": policy.name,
        "description": policy.description,
        "mode": policy.mode.value,
        "rules": [_rule_json(rule) for rule in policy.rules],
    }


def _rule_json(rule: Rule) -> dict[str, Any]:
    answer: dict[str, Any] = encode(rule)
    return {**answer, "when": [condition.in_words() for condition in rule.when]}


def policy_page(policy: Policy) -> Page:
    """Return a policy: one row a rule, the first that fits decides."""
    rows = tuple(
        (str(number), strong(rule.name), conditions_of(rule), actions_of(rule), rule.why)
        for number, rule in enumerate(policy.rules, start=1)
    )
    return (
        Section(f"POLICY {policy.name}", (policy.description, f"mode at most {policy.mode.value}")),
        Section("RULES, THE FIRST THAT FITS DECIDES", (Table(("", "RULE", "WHEN", "DO", "WHY"), rows),)),
    )


def conditions_of(rule: Rule) -> str:
    """Return all conditions of a rule in words."""
    words = [condition.in_words() for condition in rule.when]
    words += [f"down less than {rule.wait_seconds:g} s"] if rule.wait_seconds else []
    return ", ".join(words) or "always"


def actions_of(rule: Rule) -> str:
    """Return what a rule does in words, with what bounds it."""
    words = ", ".join(action.value for action in rule.do)
    return words if rule.mode is Mode.AUTO else f"{words} ({rule.mode.value})"


def policy_table(policy: Policy) -> str:
    """Return the rules of a policy as a Markdown table."""
    rows = [
        f"| {number} | `{rule.name}` | {conditions_of(rule)} | {actions_of(rule)} | {rule.why} |"
        for number, rule in enumerate(policy.rules, start=1)
    ]
    return "\n".join(["| | rule | when | do | why |", "|---|---|---|---|---|", *rows, ""])


def explanation_json(view: IncidentView, instead: Sequence[Judged]) -> dict[str, Any]:
    """Return the decisions about an incident, each with the rule and what was considered."""
    other = {each.recorded.id: each for each in instead}
    return {
        "incident": view.incident.id,
        "decisions": [_explained_json(decision, other.get(decision.id)) for decision in view.decisions],
    }


def _explained_json(decision: Decision, other: Judged | None) -> dict[str, Any]:
    answer = decision_json(decision)
    return answer if other is None else {**answer, "instead": decision_json(other.instead), "differs": other.differs}


def explanation_page(view: IncidentView, instead: Sequence[Judged]) -> Page:
    """Return what decided about an incident, decision by decision."""
    if not view.decisions:
        return (Section(f"INCIDENT {view.incident.id}", (quiet("nothing was decided yet"),)),)
    other = {each.recorded.id: each for each in instead}
    return tuple(_explained(decision, other.get(decision.id)) for decision in view.decisions)


def _explained(decision: Decision, other: Judged | None) -> Section:
    head = f"policy {or_dash(decision.policy)}, rule {or_dash(decision.rule)}, mode {decision.mode.value}"
    parts: list[str | Phrase | Table] = [head, *decision_parts([decision])]
    parts += [quiet(f"considered  {each}") for each in decision.considered]
    if other is not None:
        parts += [_instead(other), *decision_parts([other.instead])]
    return Section(f"DECISION {decision.id}", tuple(parts))


def _instead(other: Judged) -> Phrase:
    name = f"policy {other.instead.policy}, rule {or_dash(other.instead.rule)}"
    if other.differs:
        return Phrase(f"{name} would have done something else:", Tone.DOUBTFUL)
    return good(f"{name} would have done the same:")


def backtest_json(policy: str, found: Sequence[Judged]) -> dict[str, Any]:
    """Return how far a policy agrees with what was decided."""
    last = found[-1] if found and found[-1].differs else None
    return {
        "policy": policy,
        "decisions": len(found),
        "alike": sum(not each.differs for each in found),
        "diverged_at": encode(last.recorded.made_at) if last else None,
        "recorded": decision_json(last.recorded) if last else None,
        "instead": decision_json(last.instead) if last else None,
    }


def backtest_page(policy: str, found: Sequence[Judged]) -> Page:
    """Return how far a policy agrees with what was decided, and the first decision that differs."""
    if not found:
        return (Section(f"POLICY {policy}", (quiet("no decision about a job is on record in that time"),)),)
    alike = sum(not each.differs for each in found)
    summary = f"{alike} decisions alike, {stamp(found[0].recorded.made_at)} to {stamp(found[-1].recorded.made_at)}"
    if not found[-1].differs:
        return (Section(f"POLICY {policy}", (good(f"{summary}; none differs"),)),)
    last = found[-1]
    return (
        Section(f"POLICY {policy}", (summary, "from the next one on the world would have gone another way")),
        Section(f"RECORDED {last.recorded.id}", decision_parts([last.recorded])),
        Section(f"INSTEAD, RULE {or_dash(last.instead.rule)}", decision_parts([last.instead])),
    )
