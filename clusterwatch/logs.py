"""Structured logs: a constant message and facts as fields, to standard error, without secrets."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, MutableMapping
from typing import Any, TextIO, cast

import structlog

from clusterwatch.redaction import redacted

# Libraries that log through the standard library speak only when something is wrong.
_LIBRARY_LEVEL = logging.WARNING


class LastingStream:
    """A stream for as long as its reader takes what is written, and nothing afterwards: no log call fails for that."""

    def __init__(self, stream: TextIO) -> None:
        """Take the stream."""
        self._stream = stream

    def write(self, text: str) -> int:
        """Write *text*, or nothing."""
        self._try(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Write what is buffered, or nothing."""
        self._try(self._stream.flush)

    def isatty(self) -> bool:
        """Return whether it is a terminal."""
        return self._stream.isatty()

    def _try(self, call: Callable[[], object]) -> None:
        # ValueError is what a closed stream raises; a full disk may have room again for the next line.
        try:
            call()
        except BrokenPipeError:
            self._give_up()
        except (OSError, ValueError):
            return

    def _give_up(self) -> None:
        # What is still buffered would fail again when the interpreter ends, and change its exit code.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)


def configure(level: str = "info", output: str = "auto", stream: TextIO | None = None) -> None:
    """Set up logging for this process.

    Args:
        level: "debug", "info", "warning" or "error".
        output: "console", "json" (one object per line), or "auto": console where *stream* is a terminal.
        stream: Where to write; standard error by default, since standard output holds a command's result.
    """
    target = cast(TextIO, LastingStream(stream or sys.stderr))
    is_console = output == "console" or (output == "auto" and target.isatty())
    renderers = _console(target) if is_console else _json()
    structlog.configure(
        processors=[*_SHARED, *renderers],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(target),
        # Set-up may come again (tests, a command after a daemon's start): no logger may keep the old one.
        cache_logger_on_first_use=False,
    )
    _route_libraries(is_console, target)


def without_secrets(_logger: object, _method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Return *fields* with the values of secret keys and the passwords in URLs masked. A structlog processor."""
    return {key: redacted(key, value) for key, value in fields.items()}


_SHARED: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def _json() -> list[structlog.typing.Processor]:
    # Local variables of a traceback may hold secrets.
    tracebacks = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    return [
        structlog.processors.ExceptionRenderer(tracebacks),
        without_secrets,
        structlog.processors.JSONRenderer(default=str),
    ]


def _console(target: TextIO) -> list[structlog.typing.Processor]:
    return [
        structlog.processors.format_exc_info,
        without_secrets,
        structlog.dev.ConsoleRenderer(colors=target.isatty(), exception_formatter=structlog.dev.plain_traceback),
    ]


def _route_libraries(is_console: bool, target: TextIO) -> None:
    """Send what libraries log through the standard library the same way."""
    handler = logging.StreamHandler(target)
    renderers = _console(target) if is_console else _json()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*_SHARED, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(_LIBRARY_LEVEL)
