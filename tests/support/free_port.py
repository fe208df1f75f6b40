"""Print a port on which nobody listens, below those that the kernel gives to outgoing connections.

    python free_port.py

A port that the kernel picks itself can be gone again, to a connection of anybody, before the one that asked listens.
"""

from __future__ import annotations

import socket
from contextlib import closing
from random import SystemRandom

RANGE = range(20_000, 30_000)


def free_port() -> int:
    """Return such a port, by trying ports at random."""
    ports = SystemRandom().sample(RANGE, 100)
    return next(port for port in ports if _is_free(port))


def _is_free(port: int) -> bool:
    with closing(socket.socket()) as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
        return True


if __name__ == "__main__":
    print(free_port())
