"""What a command has of a terminal: signals and standard streams, any of which may go away."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from io import FileIO
from types import FrameType
from typing import BinaryIO, TextIO, cast

Handler = Callable[[int, FrameType | None], None]


@contextmanager
def handling(handlers: Mapping[signal.Signals, Handler]) -> Iterator[None]:
    """Let these handlers take these signals meanwhile."""
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def without_terminal() -> Iterator[None]:
    """Go on when the terminal is lost: that must not stop a training. Under nohup it does so anyway."""
    is_ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    # A handler that does nothing, because what is started here would inherit that the signal is ignored.
    with handling({} if is_ignored else {signal.SIGHUP: lambda _number, _frame: None}):
        yield


def leave_on_sigterm() -> None:
    """Let SIGTERM end this process in order, as Ctrl-C does: files that are only its own are deleted."""

    def leave(number: int, _frame: FrameType | None) -> None:
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, leave)


def unbuffered(stream: TextIO | None) -> BinaryIO | None:
    """Return *stream* without its buffer, whose lock a blocked writer would keep; None where it is closed."""
    try:
        return None if stream is None else cast(BinaryIO, FileIO(stream.fileno(), "wb", closefd=False))
    except OSError:
        return None
