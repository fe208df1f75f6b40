"""A child process that answers lines, and may be given up when it does not."""

from __future__ import annotations

import os
import select
import subprocess
from collections.abc import Mapping, Sequence
from typing import IO

_LONGEST_ANSWER_BYTES = 4_194_304


class NoAnswerError(Exception):
    """The child did not answer in time, ended, or is one that no signal reaches."""


class LineChild:
    """A process that is asked by a line and answers with one; started when asked, again after it was killed."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._stuck: subprocess.Popen[bytes] | None = None

    def ask(
        self, command: Sequence[str], environment: Mapping[str, str], line: bytes, deadline_seconds: float
    ) -> bytes:
        """Return the child's answer to *line*, without its line break.

        *deadline_seconds* is for each part of an answer that arrives, in practice for the answer.

        Raises:
            NoAnswerError: In words; the child has been killed.
        """
        child = self._running(command, environment)
        stdin, stdout = _pipes(child)
        try:
            stdin.write(line + b"\n")
            stdin.flush()
            return _answer(stdout.fileno(), deadline_seconds)
        except (NoAnswerError, OSError) as failure:
            self.close()
            raise NoAnswerError(str(failure)) from failure

    def close(self) -> None:
        """End the child. One that hangs inside the kernel is left to end when the kernel lets go of it."""
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        for pipe in _pipes(child):
            _close(pipe)
        try:
            child.wait(timeout=1)
        except subprocess.TimeoutExpired:
            self._stuck = child

    def _running(self, command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        if self._stuck is not None and self._stuck.poll() is None:
            # Not another one: they would pile up, each as stuck as the first.
            silence = f"process {self._stuck.pid} was killed and still hangs inside the kernel"
            raise NoAnswerError(silence) from TimeoutError(silence)
        self._stuck = None
        if self._child is not None and self._child.poll() is not None:
            self.close()
        if self._child is None:
            self._child = subprocess.Popen(
                command,
                env=dict(environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        return self._child


def _answer(fd: int, deadline_seconds: float) -> bytes:
    answer = b""
    while not answer.endswith(b"\n"):
        readable, _, _ = select.select([fd], [], [], deadline_seconds)
        if not readable:
            raise TimeoutError(f"no answer in {deadline_seconds:g} s")
        chunk = os.read(fd, 65_536)
        if not chunk:
            raise NoAnswerError("the process ended without an answer")
        answer += chunk
        if len(answer) > _LONGEST_ANSWER_BYTES:
            raise NoAnswerError("the answer has no end")
    return answer[:-1]


def _pipes(child: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    if child.stdin is None or child.stdout is None:
        raise ValueError("the child has no pipes")
    return child.stdin, child.stdout


def _close(pipe: IO[bytes]) -> None:
    try:
        pipe.close()
    except BrokenPipeError:
        return  # what was still to be written no longer matters to a dead process
