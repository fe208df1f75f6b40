"""Whose fault it is, because that decides who is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class ClusterWatchError(Exception):
    """Something a person can act on; the message holds the fact and the next step."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One wrong setting: its key, what is wrong with it and what was expected."""

    key: str
    problem: str

    def __str__(self) -> str:
        return f"{self.key}: {self.problem}"


class ConfigError(ClusterWatchError):
    """The operator's file or flags are wrong; holds every mistake, not only the first."""

    def __init__(self, origin: str, mistakes: Sequence[Mistake]) -> None:
        self.origin = origin
        self.mistakes = tuple(mistakes)
        count = f"{len(self.mistakes)} mistake{'s' if len(self.mistakes) != 1 else ''}"
        super().__init__("\n".join([f"{origin}: {count}", *(f"  {mistake}" for mistake in self.mistakes)]))


class CatalogError(ClusterWatchError):
    """A rule of the detection catalogue, ours or the site's, cannot be used."""


class PluginError(ClusterWatchError):
    """A collector, simulator or board failed; its neighbours go on."""

    def __init__(self, name: str, cause: BaseException) -> None:
        self.name = name
        super().__init__(f"plugin {name!r} failed: {type(cause).__name__}: {cause}")


class SourceError(ClusterWatchError):
    """An input cannot be read: a missing file, a device without permission."""


class StoreError(ClusterWatchError):
    """The database said no: unreachable, locked, full, or of another version."""


class LeaseLostError(StoreError):
    """Another process is the responder now; nothing of this turn was written."""


class AmbiguousIdError(StoreError):
    """What a person typed could be several records; the message names them."""


class ActionError(ClusterWatchError):
    """The world refused a step of a plan."""


def is_silence(error: BaseException | None) -> bool:
    """Say whether what was asked did not answer in time, rather than refuse: *error* or a cause of it is a timeout."""
    while error is not None and not isinstance(error, TimeoutError):
        error = error.__cause__
    return error is not None
