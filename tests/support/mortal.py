"""Commands that do not outlive the tests, however those end: also killed, or by a test that nobody cleans up after."""

from __future__ import annotations

from collections.abc import Sequence


def mortal(*command: str) -> Sequence[str]:
    """Return *command* so that it is killed when the thread that started it is gone."""
    return ("setpriv", "--pdeathsig", "KILL", *command)
