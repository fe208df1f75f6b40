"""ClusterWatch over a test's Slurm, in a process of its own: a head with the real service, and an agent on each node.

    python recovery_service.py CONFIG KERNEL_LOGS [STOP_AT]

KERNEL_LOGS is a folder with a file NODE.log for each node. With STOP_AT the process stops for ever at one moment of a
step's life, having made the file "reached" beside the database, so that a test can kill it right there:
"recorded" before a step is handed out, "before:KIND" before such a step is carried out, "after:KIND" before its
outcome is written.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from clusterwatch import logs
from clusterwatch.act.slurm import Slurm
from clusterwatch.agent import Agent
from clusterwatch.app import wiring
from clusterwatch.app.service import Service
from clusterwatch.config import Settings, load
from clusterwatch.model import Mode, Outcome, Step, StepKind, WorldState
from clusterwatch.seams import Actuator, JobSource, Site, WatchedJob
from clusterwatch.store import Store
from collectors.kernel_log import KernelLogCollector

HEAD = ("slurm", "job_log", "checkpoints")


class StoppingAt:
    """The Slurm actuator, stopped for ever at one moment."""

    name = Slurm.name

    def __init__(self, inner: Actuator, moment: str, reached: Callable[[], None]) -> None:
        self._inner = inner
        self._moment = moment
        self._reached = reached
        self.mode: Mode = inner.mode
        self.kinds: frozenset[StepKind] = getattr(inner, "kinds", frozenset())

    def targets(self) -> frozenset[str] | None:
        """Return what it may act on: nothing, where steps are to stay recorded."""
        return frozenset() if self._moment == "recorded" else self._inner.targets()

    def perform(self, step: Step, now: datetime) -> Outcome:
        """Carry out *step*, unless the moment has come."""
        self._stop_at(f"before:{step.kind}")
        outcome = self._inner.perform(step, now)
        self._stop_at(f"after:{step.kind}")
        return outcome

    def state_of(self, step: Step) -> WorldState:
        """Ask Slurm."""
        return self._inner.state_of(step)

    def _stop_at(self, moment: str) -> None:
        if moment == self._moment:
            self._reached()
            threading.Event().wait()


def service_of(settings: Settings, store: Store, stop_at: str) -> Service:
    """Return the head's service."""
    collectors = wiring.named(wiring.collectors_of(settings), HEAD)
    sources = [each for each in collectors if isinstance(each, JobSource)]

    def watched() -> tuple[WatchedJob, ...]:
        return tuple(job for source in sources for job in source.watched())

    reached = settings.state_dir / "reached"
    actuators = [StoppingAt(each, stop_at, reached.touch) for each in wiring.actuators_of(settings)]
    return wiring.service_of(settings, store, collectors, actuators, wiring.site_of(settings, watched))


def agents_of(settings: Settings, store: Store, service: Service, kernel_logs: Path) -> list[Agent]:
    """Return an agent for each node, which reads that node's kernel log."""
    catalog = wiring.catalog_of(settings)

    def agent(path: Path) -> Agent:
        site = Site(path.stem, f"boot-{path.stem}", {"path": str(path), "mode": "file"})
        return Agent([KernelLogCollector()], lambda _: site, store, catalog, service.clock, service.metrics)

    return [agent(path) for path in sorted(kernel_logs.glob("*.log"))]


def main(config: str, kernel_logs: str, stop_at: str = "") -> None:
    """Run until SIGTERM."""
    settings = load(Path(config))
    logs.configure(settings.logs.level, settings.logs.format)
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    store = wiring.store_of(settings)
    service = service_of(settings, store, stop_at)
    agents = agents_of(settings, store, service, Path(kernel_logs))
    service.start()
    while not stopping.wait(1):
        for agent in agents:
            agent.run("kernel_log")
    service.stop()
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
