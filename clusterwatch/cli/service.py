"""`clusterwatch daemon` and `clusterwatch demo`: the service, on this machine or on a simulated fleet."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from clusterwatch.cli.options import PagePortOption


class DaemonRole(StrEnum):
    """What a daemon does. Only both at once so far: agent and server in one process."""

    ALL = "all"


def register(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    app.command("daemon")(daemon)
    app.command("demo")(demo)


def daemon(
    role: Annotated[DaemonRole, typer.Option(help="What this process does.")] = DaemonRole.ALL,
    config: Annotated[Path | None, typer.Option(help="Configuration file.")] = None,
    database: Annotated[str | None, typer.Option(help="Database URL.")] = None,
    state_dir: Annotated[Path | None, typer.Option(help="Folder for the embedded database.")] = None,
    host: Annotated[str | None, typer.Option(help="Address of the page and metrics; loopback by default.")] = None,
    port: Annotated[int | None, typer.Option(help="Port of the page and metrics; 0 takes a free one.")] = None,
) -> None:
    """Watch this machine: collect, diagnose, decide, record and show, until SIGTERM."""
    from clusterwatch import config as configuration
    from clusterwatch import logs
    from clusterwatch.app.daemon import run_daemon

    flags = {"database": database, "state_dir": state_dir, "server.host": host, "server.port": port}
    settings = configuration.load(config, flags)
    logs.configure(settings.logs.level, settings.logs.format)
    run_daemon(settings)


def demo(
    port: PagePortOption = 8642,
    speed: Annotated[float, typer.Option(min=0.1, max=10_000, help="How much faster than real time.")] = 60.0,
    seed: Annotated[int | None, typer.Option(min=0, help="Another seed places the faults elsewhere.")] = None,
    headless: Annotated[bool, typer.Option("--headless", help="Print nothing but the address.")] = False,
) -> None:
    """Show ClusterWatch on 16,384 simulated GPUs: its own server, its own database, nothing of this machine."""
    from clusterwatch import logs
    from clusterwatch.app.demo import run_demo
    from clusterwatch.app.terminal import leave_on_sigterm

    leave_on_sigterm()
    logs.configure("warning" if headless else "error", "auto")
    run_demo(port=port, speed=speed, seed=seed, headless=headless)
