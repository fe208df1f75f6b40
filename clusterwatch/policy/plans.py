"""A rule and what it fits to the plan: steps in order, with the reason in an operator's words.

The order of steps: what still runs is ended, nodes are left out, suspects checked, the checkpoint chosen, the job
started. Only then are nodes drained, reset or rebooted: the job waits for none of that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from clusterwatch.model import Checkpoint, Job, Mode, Scalar, StepKind
from clusterwatch.policy.choosing import ROLLED_BACK, chosen_checkpoint
from clusterwatch.policy.rules import Action, Rule, Whom, WithoutSpares
from clusterwatch.policy.view import View

PlannedStep = tuple[StepKind, tuple[tuple[str, Scalar], ...]]
"""What to do, and with which arguments."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do and why: (kind, arguments) in order.

    *mode* is the most that the rule allows; *notes* are what brakes and circumstances changed in it.
    """

    reason: str
    steps: tuple[PlannedStep, ...] = ()
    rule: str = ""
    mode: Mode = Mode.AUTO
    notes: tuple[str, ...] = ()

    def has(self, kind: StepKind) -> bool:
        """Say whether a step of *kind* is in it."""
        return any(each == kind for each, _ in self.steps)

    def nodes_of(self, kind: StepKind) -> list[str]:
        """Return the nodes on which a step of *kind* is planned."""
        return [str(dict(arguments)["node"]) for each, arguments in self.steps if each == kind]

    def without(self, kinds: frozenset[StepKind], nodes: Sequence[str] | None, note: str) -> Plan:
        """Return the plan without the steps of *kinds* on *nodes* (None: any), and why."""
        kept = tuple(
            (kind, arguments)
            for kind, arguments in self.steps
            if kind not in kinds or (nodes is not None and dict(arguments).get("node") not in nodes)
        )
        return replace(self, steps=kept, notes=(*self.notes, note)) if kept != self.steps else self

    def in_words(self) -> str:
        """Return the reason with every note."""
        return " ".join([self.reason, *self.notes])


def planned(view: View, rule: Rule, job: Job) -> Plan:
    """Return the plan that *rule* asks for, before any brake."""
    make = next((make for action, make in _ALONE.items() if action in rule.do), _restart)
    return replace(make(view, rule, job), rule=rule.name, mode=rule.mode)


def stopping(job: Job, reason: str, rule: str) -> Plan:
    """Return the plan that ends a job for good."""
    return Plan(reason, ((StepKind.STOP, (("attempt", job.attempt), ("reason", reason))),), rule)


def asking(job: Job, reason: str, rule: str) -> Plan:
    """Return the plan that leaves it to a person."""
    return Plan(reason, ((StepKind.ASK, (("attempt", job.attempt), ("reason", reason))),), rule)


def _wait(view: View, rule: Rule, job: Job) -> Plan:
    return Plan(f"{_cause_in_words(view)}: {rule.why}")


def _ask(view: View, rule: Rule, job: Job) -> Plan:
    return asking(job, f"A person is asked: {_cause_in_words(view)}. {rule.why}", rule.name)


def _stop(view: View, rule: Rule, job: Job) -> Plan:
    return stopping(job, f"Stopped: {_cause_in_words(view)}. {rule.why}", rule.name)


_ALONE: Mapping[Action, Callable[[View, Rule, Job], Plan]] = {
    Action.WAIT: _wait,
    Action.ASK: _ask,
    Action.STOP: _stop,
}


def _restart(view: View, rule: Rule, job: Job) -> Plan:
    left_out, notes = _left_out(view, rule, job)
    checkpoint, note = chosen_checkpoint(view, rule)
    attempt: tuple[str, Scalar] = ("attempt", job.attempt)
    resume: tuple[tuple[str, Scalar], ...] = (
        ("checkpoint", checkpoint.path if checkpoint else ""),
        ("step", checkpoint.step if checkpoint else 0),
    )
    rolled: tuple[tuple[str, Scalar], ...] = ((ROLLED_BACK, True),) if Action.ROLL_BACK in rule.do else ()
    steps: list[PlannedStep] = [(StepKind.HOLD, (attempt,))] if view.hung else []
    steps += [(StepKind.EXCLUDE, (attempt, ("node", node))) for node in left_out if Action.EXCLUDE in rule.do]
    if Action.CHECK in rule.do:
        steps += [(StepKind.CHECK, (attempt, ("node", node))) for node in _suspects(view, rule)]
    if Action.SURVEY in rule.do:
        steps.append((StepKind.SURVEY, (attempt, ("nodes", ",".join(job.nodes)))))
    steps.append((StepKind.CHOOSE_CHECKPOINT, (attempt, *resume, *rolled)))
    steps.append(
        (StepKind.REQUEUE, (attempt, ("next_attempt", job.attempt + 1), *resume, *_size(view, rule, job, steps)))
    )
    steps += _care(view, rule, job)
    reason = _restart_reason(view, checkpoint, [node for node in left_out if Action.EXCLUDE in rule.do])
    return Plan(reason, tuple(steps), notes=tuple(each for each in (*notes, note) if each))


def _left_out(view: View, rule: Rule, job: Job) -> tuple[list[str], list[str]]:
    """Return the nodes to leave out, and why there are not more."""
    if Action.EXCLUDE not in rule.do:
        return [], []
    suspects = _suspects(view, rule)
    if not suspects or len(job.nodes) <= len(suspects):
        why = "no node stands out" if not suspects else "the job has no other node"
        return [], [f"No node is left out: {why}."]
    if len(suspects) > rule.nodes_at_most:
        limit = f"more than the {rule.nodes_at_most} that the rule leaves out at once"
        return [], [f"No node is left out: {len(suspects)} are to blame, {limit}."]
    if view.spares is not None and view.spares < len(suspects) and rule.without_spares is WithoutSpares.KEEP:
        return [], [f"No node is left out: {view.spares} spare nodes for {len(suspects)}."]
    return suspects, [_in_figures(view)] if rule.whom is Whom.LIKELY and not view.hardware else []


def _in_figures(view: View) -> str:
    """Return what the nodes that may be broken are left out for."""
    chances = [(node, view.chances.get(node, 0.0)) for node in view.may_be_broken]
    broken = ", ".join(f"{node} is broken with {chance:.0%}" for node, chance in chances)
    costs = view.expected
    return f"{broken}: {costs.keep:.0f} s are expected to be lost with it, {costs.leave_out:.0f} s without."


def _suspects(view: View, rule: Rule) -> list[str]:
    if rule.whom is Whom.LIKELY:
        return list(view.may_be_broken)
    if rule.whom is Whom.NEIGHBOURHOOD:
        return list(view.neighbourhood)
    return list(view.blame.nodes or view.blame.ranked[: rule.suspects])


def _size(view: View, rule: Rule, job: Job, steps: Sequence[PlannedStep]) -> tuple[tuple[str, Scalar], ...]:
    """Return on how many nodes to go on, where not all can be replaced and the rule says smaller."""
    left_out = sum(kind is StepKind.EXCLUDE for kind, _ in steps)
    missing = left_out - view.spares if view.spares is not None else 0
    if rule.without_spares is not WithoutSpares.SMALLER or missing <= 0:
        return ()
    return (("nodes", len(job.nodes) - missing),)


def _care(view: View, rule: Rule, job: Job) -> list[PlannedStep]:
    """Return what is done to the nodes themselves, once the job is on its way without them."""
    care = [kind for action, kind in _CARE.items() if action in rule.do]
    return [
        (
            kind,
            (("node", node), *((("check_after_seconds", rule.check_after_seconds),) if kind is StepKind.DRAIN else ())),
        )
        for kind in care
        for node in view.blame.nodes[: rule.nodes_at_most]
    ]


_CARE = {Action.DRAIN: StepKind.DRAIN, Action.RESET: StepKind.RESET, Action.REBOOT: StepKind.REBOOT}


def _restart_reason(view: View, checkpoint: Checkpoint | None, excluded: Sequence[str]) -> str:
    where = f"without {', '.join(excluded)}" if excluded else "in place"
    source = (
        f"from the checkpoint of step {checkpoint.step}" if checkpoint else "from the beginning: no complete checkpoint"
    )
    return f"{_cause_in_words(view)}: restart {where}, {source}."


def _cause_in_words(view: View) -> str:
    return f"{view.cause} ({view.confidence:.0%} sure)"
