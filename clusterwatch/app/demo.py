"""`clusterwatch demo`: the same service on a simulated fleet and a clock that runs faster."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path

from clusterwatch import config, plugins
from clusterwatch.app import wiring
from clusterwatch.app.daemon import serve_until_signal
from clusterwatch.app.service import Service
from clusterwatch.clock import CatchUpClock, SystemClock
from clusterwatch.errors import ClusterWatchError
from clusterwatch.model import Mode
from clusterwatch.seams import SimulatedFleet, Site

FLEET = "small_fleet"

HISTORY_SECONDS = 30 * 60
"""What the fleet has lived through when the page opens: enough for an incident of most kinds."""

CALM = 3.0
"""How many times rarer than the simulator's own the faults come: about one in four minutes, so that jobs get ahead."""

_WELCOME = """
ClusterWatch demo: 16 simulated nodes with 8 GPUs each train three jobs. They come from half an hour of training,
and something breaks every few minutes; what you see is what the pipeline makes of the raw log lines and states.

  page      {address}
  metrics   {address}metrics
  commands  {command} status --database {database}
            {command} incidents list --all --database {database}
            {command} jobs why --database {database}

Stop it with Ctrl-C; its database is deleted then.
"""


def run_demo(port: int, speed: float, seed: int, headless: bool) -> None:
    """Run the demo on 127.0.0.1:*port* until it is told to stop.

    Raises:
        ClusterWatchError: The simulator is not installed, or the port is taken.
    """
    with tempfile.TemporaryDirectory(prefix="clusterwatch-demo-") as folder:
        database = f"sqlite:///{Path(folder) / 'demo.db'}"
        settings = config.load(None, {"database": database, "state_dir": folder, "node": "demo"})
        clock = CatchUpClock(SystemClock().now() - timedelta(seconds=HISTORY_SECONDS))
        fleet = _fleet(seed, clock)
        store = wiring.store_of(settings, accept_simulated=True)
        try:
            service = wiring.service_of(
                settings, store, [fleet], [fleet], lambda name: Site("demo"), clock, {fleet.name: Mode.AUTO}
            )
            _live_through_history(service, clock, headless)
            clock.let_go(speed)
            serve_until_signal(service, "127.0.0.1", port, _announcing(database, headless))
        finally:
            store.close()


def _live_through_history(service: Service, clock: CatchUpClock, headless: bool) -> None:
    """Let the fleet and the service live through the past, second by second, as fast as they can."""
    for _ in _with_progress_bar(range(HISTORY_SECONDS), headless):
        clock.advance(1)
        service.agent.run(FLEET)
        while service.responder.turn():
            continue
        service.actor.turn()


def _with_progress_bar(seconds: range, headless: bool) -> Iterable[int]:
    if headless or not sys.stderr.isatty():
        return seconds
    from rich.console import Console
    from rich.progress import track

    return track(seconds, "half an hour of training", console=Console(stderr=True), transient=True)


def _fleet(seed: int, clock: CatchUpClock) -> SimulatedFleet:
    found = {plugin.name: plugin.load for plugin in plugins.find(plugins.SIMULATORS)}
    if FLEET not in found:
        raise ClusterWatchError(f"the simulator {FLEET!r} is not installed: reinstall ClusterWatch")
    fleet: SimulatedFleet = found[FLEET]()(seed=seed, start=clock.now(), calm=CALM)
    return fleet


def _announcing(database: str, headless: bool) -> Callable[[str], None]:
    def announce(address: str) -> None:
        command = Path(sys.argv[0]) if Path(sys.argv[0]).name == "clusterwatch" else "clusterwatch"
        text = address if headless else _WELCOME.format(address=address, database=database, command=command)
        print(text, flush=True)

    return announce
