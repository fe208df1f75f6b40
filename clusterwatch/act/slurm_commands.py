"""Slurm's commands, run without a shell and with a deadline; what they refuse becomes a message with the next step."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from clusterwatch.errors import ActionError
from clusterwatch.reading.slurm import SlurmJob, SlurmNode, jobs_in_json, jobs_in_text, nodes_in_json, nodes_in_text
from clusterwatch.reading.slurm_values import UnreadableError
from clusterwatch.reading.text import printable

T = TypeVar("T")

_SET_UP = "see docs/slurm.md for the rights it needs"

_NEXT_STEPS: Mapping[str, str] = {
    "Invalid user id": f"this user may not do that: run as SlurmUser or give it sudo; {_SET_UP}",
    "ccess/permission denied": f"this user may not do that: run as SlurmUser or give it sudo; {_SET_UP}",
    "a password is required": f"sudo asks for a password: add a line to sudoers; {_SET_UP}",
    "not allowed to execute": f"sudo does not allow this command: correct its line in sudoers; {_SET_UP}",
    "presently disabled": "Slurm does not do this with it; a job that was submitted with --no-requeue needs "
    '"scontrol update JobId=NUMBER Requeue=1" first',
    "Unable to contact slurm controller": 'slurmctld does not answer: see "scontrol ping"',
    "authentication": "munge does not work here: see its log",
    "Munge": "munge does not work here: see its log",
    "RebootProgram": "slurm.conf names no RebootProgram",
    "Invalid node name": "Slurm knows no such node",
}
"""What a refusal holds, and what to do about it."""

_MAY_BE_DONE = ("Socket timed out", "Unexpected message received", "Zero Bytes were transmitted")
"""What a command says whose answer was lost on its way."""

_KNOWS_NO_JSON = ("unrecognized option", "invalid option", "cannot find serializer", "serializer plugin", "data_parser")


class SilentError(ActionError):
    """A command did not end in time: what it was to do may have been done."""


class UnknownJobError(ActionError):
    """Slurm does not know the job, or has forgotten it."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a command said; *exit_code* is negative for a signal."""

    exit_code: int
    output: str
    errors: str

    @property
    def complaint(self) -> str:
        """The first line it complained with."""
        lines = [line.strip() for line in (*self.errors.splitlines(), *self.output.splitlines()) if line.strip()]
        return printable(lines[0], 300) if lines else f"exit code {self.exit_code}"


def run(command: Sequence[str], deadline_seconds: float) -> Said:
    """Return what *command* said.

    Raises:
        SilentError: It did not end in time.
        ActionError: It is not installed, or may not be run.
    """
    # Times in UTC and words as documented, whatever the service's own zone and language.
    environment = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}
    environment.pop("SLURM_TIME_FORMAT", None)
    pipe = subprocess.PIPE
    try:
        child = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe)
    except FileNotFoundError as error:
        raise ActionError(f"no {command[0]} here: install Slurm's commands (Debian: slurm-client)") from error
    except OSError as error:
        raise ActionError(f"cannot run {command[0]}: {error.strerror}") from error
    try:
        output, errors = child.communicate(timeout=deadline_seconds)
    except subprocess.TimeoutExpired as late:
        _give_up(child)
        raise SilentError(
            f"{_shown(command)} did not end in {deadline_seconds:g} s: is slurmctld overloaded?"
        ) from late
    return Said(child.returncode, output.decode("utf-8", "replace"), errors.decode("utf-8", "replace"))


def _give_up(child: subprocess.Popen[bytes]) -> None:
    # What sudo started belongs to root and takes no signal from us; it ends when it finds its pipes closed.
    with suppress(PermissionError):
        child.kill()
    for stream in (child.stdout, child.stderr):
        if stream is not None:
            stream.close()
    with suppress(subprocess.TimeoutExpired):
        child.wait(timeout=0.5)


@dataclass(slots=True)
class SlurmCommands:
    """Asks and tells Slurm. *prefix* is put before each command, such as ("sudo", "-n", "-u", "slurm")."""

    prefix: tuple[str, ...] = ()
    answer_within_seconds: float = 10.0
    _in_text: set[str] = field(default_factory=set)

    def job(self, number: int) -> SlurmJob:
        """Return the job as it stands.

        Raises:
            UnknownJobError: Slurm does not know it.
            ActionError: Slurm does not answer, refuses, or says what cannot be read.
        """
        found = self._asked("job", str(number), jobs_in_json, jobs_in_text)
        job = next((job for job in found if job.id == number), None)
        if job is None:
            raise UnknownJobError(f"Slurm knows no job {number} (any more): it forgets ended ones after MinJobAge")
        return job

    def node(self, name: str) -> SlurmNode:
        """Return the node as it stands.

        Raises:
            ActionError: Slurm does not know it, does not answer, refuses, or says what cannot be read.
        """
        found = self._asked("node", name, nodes_in_json, nodes_in_text)
        node = next((node for node in found if node.name == name), None)
        if node is None:
            raise ActionError(f"Slurm knows no node {name}")
        return node

    def tell(self, *words: str) -> None:
        """Have scontrol do something.

        Raises:
            SilentError: It did not end in time; it may have been done.
            ActionError: Slurm refused; nothing was done.
        """
        self.run("scontrol", *words)

    def run(self, *command: str) -> None:
        """Run a command of Slurm's that changes something.

        Raises:
            SilentError, ActionError: As for `tell`.
        """
        said = run((*self.prefix, *command), self.answer_within_seconds)
        if said.exit_code != 0:
            raise refusal(command, said)

    def _asked(self, what: str, name: str, in_json: Callable[[str], T], in_text: Callable[[str], T]) -> T:
        command = ("scontrol", "show", what, name)
        if what not in self._in_text:
            said = run((*self.prefix, *command, "--json"), self.answer_within_seconds)
            if not (said.exit_code != 0 and any(words in said.errors for words in _KNOWS_NO_JSON)):
                return _read(command, said, in_json)
            self._in_text.add(what)
        return _read(command, run((*self.prefix, *command), self.answer_within_seconds), in_text)


def _read(command: Sequence[str], said: Said, read: Callable[[str], T]) -> T:
    if said.exit_code != 0:
        raise refusal(command, said)
    try:
        return read(said.output)
    except UnreadableError as error:
        raise ActionError(f"{_shown(command)} answered what cannot be read, so nothing is done: {error}") from error


def refusal(command: Sequence[str], said: Said) -> ActionError:
    """Return the error for a command that failed, with what to do about it."""
    everything = f"{said.errors}\n{said.output}"
    if any(words in everything for words in _MAY_BE_DONE):
        return SilentError(f"{_shown(command)} got no answer ({said.complaint}).")
    if "Invalid job id" in everything:
        return UnknownJobError(f"{_shown(command)}: Slurm knows no such job (any more)")
    advice = next((advice for words, advice in _NEXT_STEPS.items() if words in everything), "see slurmctld's log")
    return ActionError(f"{_shown(command)}: {said.complaint}: {advice}")


def _shown(command: Sequence[str]) -> str:
    return printable(" ".join(command), 120)
