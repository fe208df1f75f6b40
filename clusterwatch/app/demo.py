"""`clusterwatch demo`: the same service on a simulated fleet and a clock that runs faster."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from clusterwatch import config, plugins
from clusterwatch.app import wiring
from clusterwatch.app.daemon import serve_until_signal
from clusterwatch.clock import ScaledClock, SystemClock
from clusterwatch.errors import ClusterWatchError
from clusterwatch.model import Mode
from clusterwatch.seams import SimulatedFleet, Site

FLEET = "small_fleet"

_WELCOME = """
ClusterWatch demo: 16 simulated nodes with 8 GPUs each train three jobs, {speed:g} times as fast as the clock.
Something breaks about once a minute of simulated time; what you see is what the pipeline makes of the raw signals.

  page      {address}
  metrics   {address}metrics
  commands  {command} status --database {database}
            {command} incidents list --all --database {database}
            {command} jobs why --database {database}

Stop it with Ctrl-C. The database is deleted then.
"""


def run_demo(port: int, speed: float, seed: int, headless: bool) -> None:
    """Run the demo on 127.0.0.1:*port* until it is told to stop.

    Raises:
        ClusterWatchError: The simulator is not installed, or the port is taken.
    """
    with tempfile.TemporaryDirectory(prefix="clusterwatch-demo-") as folder:
        database = f"sqlite:///{Path(folder) / 'demo.db'}"
        settings = config.load(None, {"database": database, "state_dir": folder, "node": "demo"})
        clock = ScaledClock(SystemClock().now(), speed)
        fleet = _fleet(seed, clock)
        store = wiring.store_of(settings, accept_simulated=True)
        try:
            service = wiring.service_of(
                settings, store, [fleet], [fleet], lambda name: Site("demo"), clock, {fleet.name: Mode.AUTO}
            )
            serve_until_signal(service, "127.0.0.1", port, _announcing(database, speed, headless))
        finally:
            store.close()


def _fleet(seed: int, clock: ScaledClock) -> SimulatedFleet:
    found = {plugin.name: plugin.load for plugin in plugins.find(plugins.SIMULATORS)}
    if FLEET not in found:
        raise ClusterWatchError(f"the simulator {FLEET!r} is not installed: reinstall ClusterWatch")
    fleet: SimulatedFleet = found[FLEET]()(seed=seed, start=clock.now())
    return fleet


def _announcing(database: str, speed: float, headless: bool) -> Callable[[str], None]:
    def announce(address: str) -> None:
        if headless:
            print(address, flush=True)
        else:
            text = _WELCOME.format(address=address, database=database, speed=speed, command="clusterwatch")
            print(text, flush=True)

    return announce
