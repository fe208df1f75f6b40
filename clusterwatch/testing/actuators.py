"""An actuator that changes nothing and remembers everything."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from clusterwatch.errors import ActionError
from clusterwatch.model import Mode, Outcome, Step, StepKind, StepState, WorldState


@dataclass(slots=True)
class RecordingActuator:
    """Performs every step by writing it down; *refuses* names kinds that the world says no to."""

    name: str = "recording"
    mode: Mode = Mode.AUTO
    performed: list[Step] = field(default_factory=list)
    refuses: frozenset[StepKind] = frozenset()
    tells: WorldState = WorldState.NOT_DONE

    def perform(self, step: Step, now: datetime) -> Outcome:
        """Write *step* down and say that it was done."""
        if step.kind in self.refuses:
            raise ActionError(f"the world refuses {step.kind}")
        self.performed.append(step)
        return Outcome(step.id, StepState.DONE, now, "written down")

    def state_of(self, step: Step) -> WorldState:
        """Return DONE for what was written down, else what the test set."""
        return WorldState.DONE if step.id in {each.id for each in self.performed} else self.tells

    def targets(self) -> None:
        """Act on anything."""
        return
