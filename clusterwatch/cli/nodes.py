"""`clusterwatch nodes`: which nodes are known, and which are out of service."""

from __future__ import annotations

import typer

from clusterwatch.cli.options import ConfigOption, DatabaseOption, OutputOption
from clusterwatch.cli.output import Format

app = typer.Typer(help="Nodes, and which of them are out of service.", no_args_is_help=True)


def register(root: typer.Typer) -> None:
    """Add the commands to *root*."""
    root.add_typer(app, name="nodes")


# Typer would run a group's only command without its name.
@app.callback()
def group() -> None:
    """Nodes, and which of them are out of service."""


@app.command("list")
def list_(config: ConfigOption = None, database: DatabaseOption = None, output: OutputOption = Format.TABLE) -> None:
    """List all nodes by name."""
    from clusterwatch.cli.finding import NOTHING_YET, opened_store
    from clusterwatch.cli.output import emit
    from clusterwatch.cli.views.nodes import node_columns
    from clusterwatch.clock import SystemClock

    with opened_store(config, database) as store:
        found = store.read.nodes()
    emit(found, output, node_columns(SystemClock().now()), empty=NOTHING_YET)
