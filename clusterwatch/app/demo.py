"""`clusterwatch demo` and `clusterwatch replay --speed`: a trace that is lived through while people look on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from clusterwatch import config
from clusterwatch.app.daemon import serve_until_signal
from clusterwatch.app.live_replay import LiveReplay
from clusterwatch.app.replay import Asked, prepared

TRACE = "llama3-54d"
SPEED = 60.0
"""A minute a second: something breaks about every three minutes of the viewer's time."""

HISTORY = timedelta(hours=36)
"""What the fleet has lived through when the page opens: about a dozen interruptions."""

_WELCOME = """
ClusterWatch plays {trace}: {nodes:,} simulated nodes with {gpus:,} GPUs train one job, {speed:g} times as fast as real
time. What you see is what the pipeline makes of the raw log lines, samples and states, and what it does about them.

  page      {address}
  metrics   {address}metrics
  commands  {command} status --database {database}
            {command} incidents list --all --database {database}
            {command} jobs why --database {database}

Stop it with Ctrl-C{ending}.
"""


def run_demo(port: int, speed: float, seed: int | None, headless: bool) -> None:
    """Play the 54 days on 127.0.0.1:*port* until told to stop.

    Raises:
        ClusterWatchError: The simulator is not installed, or the port is taken.
    """
    play(Asked(TRACE, seed=seed), config.load(None, {}), port, speed, HISTORY, headless=headless)


def play(
    asked: Asked, settings: config.Settings, port: int, speed: float, history: timedelta, *, headless: bool = False
) -> None:
    """Live through *history* of a trace at once, then play the rest with a page on 127.0.0.1:*port* until told to stop.

    Raises:
        ClusterWatchError: There is no such trace or policy, or the port is taken.
    """
    with prepared(asked, settings) as (run, database):
        end = min(run.fleet.start + history, run.fleet.ends_at)
        with _progress_bar(run.fleet.start, end, headless) as on_progress:
            run.run_until(end, on_progress)
        about = dict(run.fleet.about())

        def announce(address: str) -> None:
            command = Path(sys.argv[0]) if Path(sys.argv[0]).name == "clusterwatch" else "clusterwatch"
            ending = "" if asked.database else "; its database is deleted then"
            facts = {**about, "speed": speed, "address": address, "database": database, "command": command}
            print(address if headless else _WELCOME.format(**facts, ending=ending), flush=True)

        serve_until_signal(LiveReplay(run, speed), "127.0.0.1", port, announce)


@contextmanager
def _progress_bar(start: datetime, end: datetime, headless: bool) -> Iterator[Callable[[datetime], object]]:
    if headless or not sys.stderr.isatty() or end <= start:
        yield lambda now: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("what came before", total=(end - start) / timedelta(seconds=1))
        yield lambda now: progress.update(task, completed=(now - start) / timedelta(seconds=1))
