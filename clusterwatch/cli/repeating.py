"""A look that is repeated until the person has seen enough."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event as Signal

from clusterwatch.seams import Clock


def until_interrupted(look: Callable[[], None], every_seconds: float, clock: Clock) -> None:
    """Call *look* now and every *every_seconds*; return on Ctrl-C, which is how a person ends it."""
    stop = Signal()
    try:
        look()
        while not clock.wait(stop, every_seconds):
            look()
    except KeyboardInterrupt:
        return
