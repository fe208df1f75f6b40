"""Carry out steps through Slurm: put jobs back into the queue without a node, drain nodes, and ask what became of it.

Commands are lists of arguments, never a line for a shell; names are checked before one is run; each has a deadline.
A command that does not end may have done its work: then Slurm is asked, and when it does not tell, a person is called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from clusterwatch.act.slurm_commands import SilentError, SlurmCommands
from clusterwatch.act.slurm_jobs import JobSteps
from clusterwatch.act.slurm_nodes import Found, NodeSteps
from clusterwatch.clock import SystemClock
from clusterwatch.errors import ActionError
from clusterwatch.model import Mode, Outcome, Step, StepKind, StepState, WorldState
from clusterwatch.seams import Clock

Result = tuple[StepState, str]
Perform = Callable[[Step], Result | Found]
Ask = Callable[[Step], WorldState]


@dataclass(frozen=True, slots=True)
class SlurmOptions:
    """How the actuator works.

    Attributes:
        command_prefix: Put before each command, such as ("sudo", "-n", "-u", "slurm").
        answer_within_seconds: How long one command may take.
        settle_seconds: How long is waited for processes of an ended attempt to be gone.
        read_only: Refuse every step; what was begun before can still be asked.
        after_reboot: State of a node that was rebooted: RESUME, or DOWN to have it checked by a person.
        check_command, reset_command: The site's own, with "{node}" for the name of the node; () for none.
        check_within_seconds: How long one of these may take.
    """

    command_prefix: tuple[str, ...] = ()
    answer_within_seconds: float = 10.0
    settle_seconds: float = 20.0
    read_only: bool = False
    after_reboot: str = "RESUME"
    check_command: tuple[str, ...] = ()
    reset_command: tuple[str, ...] = ()
    check_within_seconds: float = 300.0


class Slurm:
    """The actuator for jobs and nodes of a Slurm cluster."""

    name = "slurm"

    def __init__(
        self, options: SlurmOptions | None = None, mode: Mode = Mode.OBSERVE, clock: Clock | None = None
    ) -> None:
        """Take how it works; *mode* is its default, which the policy's settings may change."""
        self.mode = mode
        self._options = options or SlurmOptions()
        self._clock = clock or SystemClock()
        commands = SlurmCommands(self._options.command_prefix, self._options.answer_within_seconds)
        jobs = JobSteps(commands, self._clock, self._options.settle_seconds)
        nodes = NodeSteps(
            commands,
            self._options.after_reboot,
            self._options.check_command,
            self._options.reset_command,
            self._options.check_within_seconds,
        )
        self._on_jobs: Mapping[str, tuple[Perform, Ask]] = {
            "hold": (jobs.hold, jobs.state_of_hold),
            "exclude": (jobs.exclude, jobs.state_of_exclude),
            "readmit": (jobs.readmit, jobs.state_of_readmit),
            "choose_checkpoint": (jobs.choose_checkpoint, _safe_to_repeat),
            "requeue": (jobs.requeue, jobs.state_of_requeue),
            "release": (jobs.release, jobs.state_of_release),
            "verify": (jobs.verify, _safe_to_repeat),
            "stop": (jobs.stop, jobs.state_of_stop),
            "survey": (nodes.survey, _safe_to_repeat),
        }
        self._on_nodes: Mapping[str, tuple[Perform, Ask]] = {
            "drain": (nodes.drain, nodes.state_of_drain),
            "release": (nodes.resume, nodes.state_of_resume),
            "verify": (nodes.check, _safe_to_repeat),
            "reboot": (nodes.reboot, nodes.state_of_reboot),
            "check": (nodes.check, _safe_to_repeat),
            "reset": (nodes.reset, _cannot_be_asked),
        }

    @property
    def kinds(self) -> frozenset[StepKind]:
        """The kinds of steps it knows how to do; checks and resets only where the site gave a command for them."""
        given = dict.fromkeys((StepKind.CHECK, StepKind.SURVEY), self._options.check_command)
        given[StepKind.RESET] = self._options.reset_command
        known = self._on_jobs.keys() | self._on_nodes.keys()
        # A job of Slurm can wait for a person, who is asked by the service itself.
        return frozenset({StepKind.ASK, *(kind for kind in StepKind if kind.value in known and given.get(kind, True))})

    def targets(self) -> frozenset[str] | None:
        """Return None: whatever is a job or node of Slurm."""
        return None

    def perform(self, step: Step, now: datetime) -> Outcome:
        """Carry out *step*; refuses what the job has outlived, and what Slurm does not know how to do.

        Raises:
            ActionError: Slurm refused or could not be reached; nothing was done, or the message says what was.
        """
        known = self._known(step)
        if known is None:
            return Outcome(step.id, StepState.REFUSED, self._clock.now(), f"Slurm knows no {step.kind.value}")
        if self._options.read_only:
            return Outcome(
                step.id, StepState.REFUSED, self._clock.now(), "the actuator is read-only ([slurm] read_only)"
            )
        try:
            state, detail, *facts = known[0](step)
        except SilentError as silence:
            state, detail, *facts = self._after_silence(step, known[1], silence)
        return Outcome(step.id, state, self._clock.now(), detail, *facts)

    def state_of(self, step: Step) -> WorldState:
        """Ask Slurm whether *step* was done; whoever does not answer cannot tell."""
        known = self._known(step)
        if known is None:
            # It is refused, however often.
            return WorldState.NOT_DONE
        try:
            return known[1](step)
        except ActionError:
            return WorldState.CANNOT_TELL

    def _known(self, step: Step) -> tuple[Perform, Ask] | None:
        # "verify" and "release" are about a node where they name one.
        if step.arguments.get("node") is not None or not step.target.startswith("slurm-"):
            return self._on_nodes.get(step.kind.value) or self._on_jobs.get(step.kind.value)
        return self._on_jobs.get(step.kind.value) or self._on_nodes.get(step.kind.value)

    def _after_silence(self, step: Step, ask: Ask, silence: SilentError) -> Result:
        """Return what became of a step whose command did not end: done, or nobody knows."""
        try:
            state = ask(step)
        except ActionError:
            state = WorldState.CANNOT_TELL
        if state is WorldState.DONE:
            return StepState.DONE, f"done, although {silence}"
        # "Not done" may still become done: the controller works on what it was sent when it can.
        return (
            StepState.UNKNOWN,
            f'{silence} Nobody knows whether it was done: a person must look; "scontrol ping" tells of slurmctld',
        )


def _safe_to_repeat(step: Step) -> WorldState:
    return WorldState.NOT_DONE


def _cannot_be_asked(step: Step) -> WorldState:
    return WorldState.CANNOT_TELL
