"""A job's checkpoints to the last good one, by what happened.

1. The newest complete one is taken, unless something speaks against it.
2. After data was corrupted, one from before the corruption can have begun; after a crash that repeats, one from before
   that from which the last attempt began: its state may be what breaks the job.
3. What an earlier decision of the day went back behind stays distrusted, and so does what could not be chosen because
   it was gone.
4. After a failure of storage one whose files were checked goes before newer ones whose were not.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from clusterwatch.model import Cause, Checkpoint, StepKind, StepState
from clusterwatch.policy.rules import Action, Rule
from clusterwatch.policy.view import View

ROLLED_BACK = "rolled_back"
"""Argument of the choice of a checkpoint: later ones that existed then are not trusted."""

_LATER_DISTRUSTED = "Later checkpoints are not trusted."


def chosen_checkpoint(view: View, rule: Rule) -> tuple[Checkpoint | None, str]:
    """Return the checkpoint to resume from, None where there is none, and what is to be said about it."""
    trusted = _trusted(view)
    if not trusted:
        return None, ""
    if Action.ROLL_BACK not in rule.do:
        return _newest(view, trusted)
    earlier = [each for each in trusted if _is_early_enough(each, view, rule, trusted)]
    if earlier:
        return earlier[-1], _LATER_DISTRUSTED
    return trusted[0], "It is the oldest checkpoint there is; none is as old as the rule asks for."


def _newest(view: View, trusted: list[Checkpoint]) -> tuple[Checkpoint, str]:
    verified = [each for each in trusted if each.verified]
    if view.cause == Cause.STORAGE and verified and not trusted[-1].verified:
        return verified[-1], "Storage failed: later checkpoints, whose files were not checked, are passed over."
    return trusted[-1], ""


def _is_early_enough(saved: Checkpoint, view: View, rule: Rule, trusted: list[Checkpoint]) -> bool:
    if rule.back_seconds:
        return saved.saved_at <= _began_at(view) - timedelta(seconds=rule.back_seconds)
    resumed = view.current.resumed_step if view.current is not None else 0
    return saved.step < (resumed or trusted[-1].step)


def _began_at(view: View) -> datetime:
    incident = view.situation.incident
    return min((each.first_at for each in incident.evidence), default=incident.opened_at)


def _trusted(view: View) -> list[Checkpoint]:
    chosen = [
        (each.made_at, step) for each in view.of_job for step in each.steps if step.kind is StepKind.CHOOSE_CHECKPOINT
    ]
    behind = [(at, int(step.arguments.get("step") or 0)) for at, step in chosen if step.arguments.get(ROLLED_BACK)]
    gone = [(at, step.arguments.get("checkpoint")) for at, step in chosen if step.state is StepState.FAILED]
    if not behind and not gone:
        return list(view.situation.checkpoints)
    return [
        saved
        for saved in view.situation.checkpoints
        if not any(saved.saved_at <= made_at and saved.step > step for made_at, step in behind)
        and not any(saved.saved_at <= made_at and saved.path == path for made_at, path in gone)
    ]
