"""`clusterwatch nodes`: which nodes are known, and which are out of service."""

from __future__ import annotations

from typing import Annotated

import typer

from clusterwatch.cli.automation import WhoOption, WhyOption
from clusterwatch.cli.options import ConfigOption, DatabaseOption, OutputOption
from clusterwatch.cli.output import Format

app = typer.Typer(help="Nodes, and which of them are out of service.", no_args_is_help=True)


def register(root: typer.Typer) -> None:
    """Add the commands to *root*."""
    root.add_typer(app, name="nodes")


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


NodeArgument = Annotated[str, typer.Argument(metavar="NODE", help="Name of the node.")]


@app.command()
def hold(
    node: NodeArgument,
    why: WhyOption,
    by: WhoOption = None,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Keep automation from a node: it is neither drained nor brought back, and counts as no spare."""
    from clusterwatch.cli.automation import held

    held(f"node:{node}", by, why, config, database, output)


@app.command()
def release(
    node: NodeArgument,
    by: WhoOption = None,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Let automation act on a node again."""
    from clusterwatch.cli.automation import released

    released(f"node:{node}", by, config, database, output)
