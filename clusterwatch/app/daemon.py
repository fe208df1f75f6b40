"""`clusterwatch daemon`: the service on this machine, with its window, until it is told to stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Protocol

import structlog

from clusterwatch import api
from clusterwatch.app import wiring
from clusterwatch.config import Settings
from clusterwatch.metrics import Metrics
from clusterwatch.seams import Clock, Collector, JobSource, WatchedJob
from clusterwatch.store import Store
from clusterwatch.supervise import FollowedJobs, JobDescription

log = structlog.get_logger(component="daemon")


def run_daemon(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT; what is under way ends first.

    Raises:
        StoreError: The database cannot be opened.
        ClusterWatchError: The port is taken.
    """
    for warning in settings.warnings():
        log.warning(warning)
    store = wiring.store_of(settings)
    try:
        jobs = _configured_jobs(settings)
        described = tuple(JobDescription(job.id, job.id, (), settings.node) for job in jobs)
        collectors: list[Collector] = [*wiring.collectors_of(settings), FollowedJobs(described)]
        sources = [each for each in collectors if isinstance(each, JobSource)]

        def watched() -> tuple[WatchedJob, ...]:
            return (*jobs, *(job for source in sources for job in source.watched()))

        actuators = wiring.actuators_of(settings)
        service = wiring.service_of(settings, store, collectors, actuators, wiring.site_of(settings, watched))
        serve_until_signal(
            service, settings.server.host, settings.server.port, lambda address: _announce(settings, address)
        )
    finally:
        store.close()


class Served(Protocol):
    """What has a window: it runs in threads of its own between `start` and `stop`."""

    @property
    def store(self) -> Store:
        """What the window shows."""
        ...

    @property
    def metrics(self) -> Metrics:
        """What it counts."""
        ...

    @property
    def clock(self) -> Clock:
        """Its time."""
        ...

    def start(self) -> None:
        """Begin; returns at once."""
        ...

    def stop(self) -> None:
        """End what is under way."""
        ...

    def stalled_loops(self) -> list[str]:
        """Return the loops that have not come round for long."""
        ...


def serve_until_signal(service: Served, host: str, port: int, announce: Callable[[str], None]) -> None:
    """Run *service* with its window until SIGTERM or SIGINT.

    *announce* is called with the address of the window once it answers.
    """
    stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    window = api.serve(
        api.create_app(service.store, service.metrics, service.clock, lambda: _health(service)), host, port
    )
    try:
        service.start()
        announce(f"http://{host}:{window.port}/")
        # Not for long: a signal that comes in the instant before a wait begins is heard only when the wait ends.
        while not stopping.wait(1):
            continue
    finally:
        service.stop()
        window.stop()


def _health(service: Served) -> api.Health:
    stalled = service.stalled_loops()
    return api.Health(not stalled, dict.fromkeys(stalled, "stalled"))


def _configured_jobs(settings: Settings) -> tuple[WatchedJob, ...]:
    return tuple(WatchedJob(job.id, 1, None, tuple(job.log_paths), job.checkpoint_dir) for job in settings.jobs)


def _announce(settings: Settings, address: str) -> None:
    log.info("daemon started", node=settings.node, page=address, database=settings.database)
