"""What a training loop knows of itself to lines of a report.

Nothing here raises into the loop: what cannot be reported is not reported.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType

from .environment import Sink, rank_of, sink_of
from .lines import Value, line, number, whole
from .manifest import write_manifest


class Reporter:
    """Reports steps, checkpoints and sections of one rank."""

    def __init__(self, sink: Sink, rank: str = "") -> None:
        """Take where lines go, and the rank to name in them; "" where there is only one process."""
        self._sink = sink
        self._rank = whole(rank) if rank else None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Reporter:
        """Return the reporter that the environment describes, see `clusterwatch.client.environment`."""
        known = os.environ if environment is None else environment
        return cls(sink_of(known), rank_of(known))

    def step(
        self,
        step: object,
        loss: object = None,
        tokens: object = None,
        step_seconds: object = None,
        total: object = None,
    ) -> None:
        """Report that a step has ended.

        Args:
            step: Its number, over the whole training: it goes on where a checkpoint was loaded.
            loss: Of this step. A tensor on a GPU is waited for: give one that was fetched already.
            tokens: Seen since the training began.
            step_seconds: Time of one step.
            total: Steps the training will have.
        """
        known = whole(step)
        if known is not None:
            self.tell(
                {
                    "step": known,
                    "loss": number(loss),
                    "tokens": whole(tokens),
                    "step_seconds": number(step_seconds),
                    "total": whole(total),
                }
            )

    def checkpoint(self, step: object, path: object = "", manifest: bool = False) -> Saving:
        """Report that a checkpoint is begun, and return what reports its end: use it in a ``with`` statement.

        Args:
            step: Training step it holds.
            path: Its folder or file.
            manifest: Write the names and sizes of its files beside them at the end, see `write_manifest`.
        """
        return Saving(self, whole(step), _text(path), manifest)

    def saved(
        self,
        step: object,
        path: object = "",
        seconds: object = None,
        stall_seconds: object = None,
        size_bytes: object = None,
    ) -> None:
        """Report that a checkpoint is whole, for those who only learn of its end.

        Args:
            step: Training step it holds.
            path: Its folder or file.
            seconds: From the beginning of saving to its end.
            stall_seconds: How much of that training stood still.
            size_bytes: Of all its files.
        """
        self._checkpoint("end", whole(step), _text(path), number(seconds), number(stall_seconds), size_bytes)

    def _checkpoint(
        self,
        state: str,
        step: int | None,
        path: str,
        seconds: float | None = None,
        stall: float | None = None,
        size_bytes: object = None,
    ) -> None:
        self.tell(
            {
                "checkpoint": state,
                "step": step,
                "path": path or None,
                "seconds": _rounded(seconds),
                "stall": _rounded(stall),
                "bytes": whole(size_bytes),
            }
        )

    def loaded(self, step: object, path: object = "", seconds: object = None) -> None:
        """Report that training goes on from a checkpoint, and how long loading it took."""
        self._checkpoint("loaded", whole(step), _text(path), number(seconds))

    @contextmanager
    def section(self, name: object) -> Iterator[None]:
        """Report the time within as a part of the program that has a name, such as an evaluation."""
        began = time.monotonic()
        self.tell({"section": _text(name) or None, "state": "begin"})
        try:
            yield
        finally:
            seconds = round(time.monotonic() - began, 6)
            self.tell({"section": _text(name) or None, "state": "end", "seconds": seconds})

    def close(self) -> None:
        """Close the file."""
        self._sink.close()

    def tell(self, facts: dict[str, Value]) -> None:
        """Report *facts* with the time and the rank."""
        try:
            facts["at"] = f"{time.time():.3f}"
            facts["rank"] = self._rank
            self._sink.write(line(facts))
        except Exception:  # noqa: S110 # the training is worth more than a line about it
            pass


class Saving:
    """A checkpoint that is being saved: its end, and since when training went on."""

    def __init__(self, reporter: Reporter, step: int | None, path: str, manifest: bool) -> None:
        """Report that it is begun."""
        self._reporter = reporter
        self._manifest = manifest
        self._began = time.monotonic()
        self._stalled: float | None = None
        self._is_over = False
        self.step = step
        self.path = path
        self._tell("begin")

    def training_goes_on(self) -> None:
        """Report that training stands still no longer: the rest is written in the background."""
        if self._stalled is None and not self._is_over:
            self._stalled = self._elapsed()
            self._tell("background", stall=self._stalled)

    def end(self, size_bytes: object = None) -> None:
        """Report that it is whole; only the first end counts."""
        if not self._is_over:
            seconds = self._elapsed()
            if self._manifest and self.path and self.step is not None:
                write_manifest(self.path, self.step)
            self._tell_end("end", seconds, size_bytes)

    def failed(self) -> None:
        """Report that it was given up."""
        if not self._is_over:
            self._tell_end("failed", self._elapsed())

    def _tell_end(self, state: str, seconds: float, size_bytes: object = None) -> None:
        self._is_over = True
        stall = seconds if self._stalled is None else self._stalled
        self._tell(state, seconds, stall, size_bytes)

    def _tell(
        self, state: str, seconds: float | None = None, stall: float | None = None, size_bytes: object = None
    ) -> None:
        self._reporter._checkpoint(state, self.step, self.path, seconds, stall, size_bytes)

    def _elapsed(self) -> float:
        return time.monotonic() - self._began

    def __enter__(self) -> Saving:
        """Return itself: the end of the ``with`` statement is the end of saving."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Report the end, or that it was given up where an exception passes."""
        if kind is None:
            self.end()
        else:
            self.failed()


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception:
        return ""
