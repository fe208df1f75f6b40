"""Slurm's own commands to what they say: by JSON where the version has it, by text where it has not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from clusterwatch.errors import SourceError
from clusterwatch.reading.slurm import (
    SlurmJob,
    SlurmNode,
    SlurmReservation,
    jobs_in_json,
    jobs_in_text,
    nodes_in_json,
    nodes_in_text,
    reservations_in_json,
    reservations_in_text,
)
from clusterwatch.reading.slurm_values import UnreadableError
from collectors._tools import NoAnswerError, Said, Tools

T = TypeVar("T")

# What a command says that was built without JSON or is older than it (--json of https://slurm.schedmd.com/scontrol.html).
_KNOWS_NO_JSON = ("unrecognized option", "invalid option", "cannot find serializer", "serializer plugin", "data_parser")


@dataclass(slots=True)
class Slurm:
    """Asks Slurm. Remembers which questions have to be asked in text.

    *prefix* is put before each command, such as ("sudo", "-n"); *in_text* holds the names of questions.
    """

    prefix: tuple[str, ...]
    answer_within_seconds: float
    tools: Tools
    in_text: set[str] = field(default_factory=set)

    def jobs(self) -> tuple[SlurmJob, ...]:
        """Return all jobs that Slurm remembers.

        Raises:
            NoToolError: There is no Slurm here.
            SourceError: It does not answer, refuses, or says what nobody can read.
        """
        json = ("squeue", "--all", "--states=all", "--json")
        return self._asked("jobs", json, jobs_in_json, ("scontrol", "--all", "show", "job"), jobs_in_text)

    def nodes(self) -> tuple[SlurmNode, ...]:
        """Return all nodes.

        Raises:
            NoToolError, SourceError: As for `jobs`.
        """
        text = ("scontrol", "--all", "show", "node")
        return self._asked("nodes", (*text, "--json"), nodes_in_json, text, nodes_in_text)

    def reservations(self) -> tuple[SlurmReservation, ...]:
        """Return all reservations.

        Raises:
            NoToolError, SourceError: As for `jobs`.
        """
        text = ("scontrol", "--all", "show", "reservation")
        return self._asked("reservations", (*text, "--json"), reservations_in_json, text, reservations_in_text)

    def _asked(
        self,
        what: str,
        json: tuple[str, ...],
        in_json: Callable[[str], T],
        text: tuple[str, ...],
        in_text: Callable[[str], T],
    ) -> T:
        if what not in self.in_text:
            said = self._said(what, json)
            if not _knows_no_json(said):
                return _read(json, said, in_json)
            self.in_text.add(what)
        return _read(text, self._said(what, text), in_text)

    def _said(self, what: str, command: tuple[str, ...]) -> Said:
        try:
            return self.tools.ask(f"slurm {what}", (*self.prefix, *command), self.answer_within_seconds)
        except NoAnswerError as silence:
            raise SourceError(f"Slurm does not answer: {silence}; is slurmctld overloaded? See sdiag") from silence


def _knows_no_json(said: Said) -> bool:
    return said.exit_code != 0 and any(words in said.errors for words in _KNOWS_NO_JSON)


def _read(command: tuple[str, ...], said: Said, read: Callable[[str], T]) -> T:
    if said.exit_code != 0:
        raise SourceError(f"{' '.join(command)} failed: {said.complaint}; is slurmctld up? See scontrol ping")
    try:
        return read(said.output)
    except UnreadableError as error:
        raise SourceError(
            f"{' '.join(command)} answered what cannot be read, nothing follows from it: {error}"
        ) from error
