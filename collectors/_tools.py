"""Command-line tools of devices, asked once with a deadline; one that hangs inside the kernel is not piled upon."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from clusterwatch.reading.text import printable
from collectors._child import NoAnswerError

__all__ = ["NoAnswerError", "NoToolError", "Said", "Tools"]


class NoToolError(Exception):
    """The program is not installed here; the message is its name."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a tool said. *exit_code* is negative for a signal."""

    exit_code: int
    output: str
    errors: str

    @property
    def complaint(self) -> str:
        """The first line it complained with; its exit code where it did not say."""
        lines = [line.strip() for line in (*self.errors.splitlines(), *self.output.splitlines()) if line.strip()]
        return printable(lines[0], 300) if lines else f"exit code {self.exit_code}"


class Tools:
    """Runs tools, at most one for each *name* however long it hangs."""

    def __init__(self) -> None:
        self._stuck: dict[str, subprocess.Popen[bytes]] = {}
        self._asked: subprocess.Popen[bytes] | None = None
        self._closed_times = 0

    def ask(self, name: str, command: Sequence[str], deadline_seconds: float) -> Said:
        """Return what *command* said.

        Raises:
            NoToolError: There is no such program.
            NoAnswerError: It did not end in time, or an earlier one under *name* still hangs.
        """
        closed_times = self._closed_times
        stuck = self._stuck.pop(name, None)
        if stuck is not None and stuck.poll() is None:
            self._stuck[name] = stuck
            raise NoAnswerError(f"process {stuck.pid} was killed and still hangs inside the kernel")
        # Numbers, times and words as documented, whatever the service's own language and time zone; and programs for
        # administrators, which an ordinary user's PATH leaves out.
        path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
        environment = {**os.environ, "LC_ALL": "C", "TZ": "UTC", "PATH": path}
        pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
        try:
            child = subprocess.Popen(command, env=environment, stdin=nothing, stdout=pipe, stderr=pipe)
        except FileNotFoundError as missing:
            raise NoToolError(command[0]) from missing
        except OSError as refusal:
            raise NoAnswerError(f"{command[0]}: {refusal.strerror}") from refusal
        self._asked = child
        if self._closed_times != closed_times:
            # Closed while it was being started: nobody else knows of it.
            _kill(child)
        try:
            output, errors = child.communicate(timeout=deadline_seconds)
        except subprocess.TimeoutExpired as late:
            self._give_up(name, child)
            raise NoAnswerError(f"{command[0]} did not answer in {deadline_seconds:g} s") from late
        return Said(child.returncode, output.decode("utf-8", "replace"), errors.decode("utf-8", "replace"))

    def close(self) -> None:
        """End the tool that still runs, from whatever thread it was asked; the kernel ends those that hang in it."""
        self._stuck.clear()
        self._closed_times += 1
        if self._asked is not None:
            _kill(self._asked)

    def _give_up(self, name: str, child: subprocess.Popen[bytes]) -> None:
        _kill(child)
        for pipe in (child.stdout, child.stderr):
            if pipe is not None:
                pipe.close()
        with suppress(subprocess.TimeoutExpired):
            child.wait(timeout=0.5)
        if child.returncode is None:
            self._stuck[name] = child


def _kill(child: subprocess.Popen[bytes]) -> None:
    # What sudo started belongs to root: it takes no signal from us, and ends when it finds its pipes closed.
    with suppress(PermissionError):
        child.kill()
