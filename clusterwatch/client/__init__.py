"""What a training loop tells of itself: steps, checkpoints, sections.

Needs nothing but Python 3.8 or newer and nothing of the rest of ClusterWatch: the folder can be copied into a training
image. Where the environment names no report (see `clusterwatch.client.environment`), nothing is reported.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

from .environment import rank_of, sink_of
from .lines import line
from .manifest import write_manifest
from .reporting import Reporter, Saving

__all__ = [
    "Reporter",
    "Saving",
    "checkpoint",
    "line",
    "loaded",
    "rank_of",
    "reporter",
    "section",
    "sink_of",
    "step",
    "write_manifest",
]

_reporter: Reporter | None = None


def reporter() -> Reporter:
    """Return the reporter of this process, made from the environment at the first call."""
    global _reporter  # noqa: PLW0603 # one for each process, as of the logging module
    if _reporter is None:
        _reporter = Reporter.from_environment()
    return _reporter


def step(
    step: object, loss: object = None, tokens: object = None, step_seconds: object = None, total: object = None
) -> None:
    """Report that a step has ended, see `Reporter.step`."""
    reporter().step(step, loss, tokens, step_seconds, total)


def checkpoint(step: object, path: object = "", manifest: bool = False) -> Saving:
    """Report that a checkpoint is begun, see `Reporter.checkpoint`."""
    return reporter().checkpoint(step, path, manifest)


def loaded(step: object, path: object = "", seconds: object = None) -> None:
    """Report that training goes on from a checkpoint, see `Reporter.loaded`."""
    reporter().loaded(step, path, seconds)


def section(name: object) -> AbstractContextManager[None]:
    """Report the time within, see `Reporter.section`."""
    return reporter().section(name)
