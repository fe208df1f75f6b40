"""What actuators report of their steps, and what follows from it for the attempts that they began."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from clusterwatch.model import ENDED_STEP_STATES, Attempt, Decision, Event, Step, StepKind, StepState, kinds
from clusterwatch.model.making import replace
from clusterwatch.model.world import world_with
from clusterwatch.turning.state import Turning


def note_steps(turn: Turning, events: Iterable[Event]) -> None:
    """Take over what actuators report of steps."""
    states = {
        str(event.fields.get("step_id")): StepState(str(event.fields["state"]))
        for event in events
        if event.kind == kinds.STEP_CHANGED
    }
    if states:
        moved = frozenset(step_id.rpartition(".")[0] for step_id in states)
        decisions = {
            incident_id: tuple([_with_states(each, states) if each.id in moved else each for each in made])
            for incident_id, made in turn.world.decisions.items()
        }
        recent = tuple([_with_states(each, states) if each.id in moved else each for each in turn.world.recent])
        turn.world = world_with(turn.world, decisions=decisions, recent=recent)


def note_resumed(turn: Turning) -> None:
    """Take over from which checkpoint an attempt was to go on where its start did not tell: no scheduler does."""
    for attempt in turn.tracked.attempts:
        is_untold = attempt.number > 1 and not attempt.resumed_checkpoint
        chosen = _chosen_for(attempt, turn.world.recent) if is_untold else None
        if chosen is not None:
            step, path = int(chosen.arguments.get("step") or 0), str(chosen.arguments.get("checkpoint") or "")
            turn.put_attempt(replace(attempt, resumed_step=step, resumed_checkpoint=path))


def _chosen_for(attempt: Attempt, recent: Iterable[Decision]) -> Step | None:
    """Return the step of the plan after the attempt before that chose a checkpoint; None if none did."""
    made = (each for each in recent if (each.job_id, each.attempt) == (attempt.job_id, attempt.number - 1))
    steps = (step for decision in made for step in decision.steps)
    chosen = (each for each in steps if each.kind is StepKind.CHOOSE_CHECKPOINT and each.state is StepState.DONE)
    return max(chosen, key=lambda each: each.not_after, default=None)


def _with_states(decision: Decision, states: Mapping[str, StepState]) -> Decision:
    steps = tuple(replace(step, state=states.get(step.id, step.state)) for step in decision.steps)
    failed = any(step.state in ENDED_STEP_STATES - {StepState.DONE} for step in steps)
    return replace(decision, steps=tuple(_cancelled(step) if failed else step for step in steps))


def _cancelled(step: Step) -> Step:
    """Return a step that waited behind one that was not done: the store cancelled it too."""
    return replace(step, state=StepState.CANCELLED) if step.state is StepState.RECORDED else step
