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
    from clusterwatch.cli.finding import NOTHING_YET, opened_store, present_in
    from clusterwatch.cli.output import emit
    from clusterwatch.cli.views.nodes import node_columns

    with opened_store(config, database) as store:
        found, now = store.read.nodes(), present_in(store.read)
    emit(found, output, node_columns(now), empty=NOTHING_YET)


NodeArgument = Annotated[str, typer.Argument(metavar="NODE", help="Name of the node.")]


@app.command()
def drain(
    node: NodeArgument,
    why: WhyOption,
    by: WhoOption = None,
    override: Annotated[
        bool, typer.Option("--override", help="Do it although a brake of the policy would not.")
    ] = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Have a node taken out of service: what runs there goes on, nothing new begins. It comes back when you say so."""
    from clusterwatch import config as configuration
    from clusterwatch.app import asking
    from clusterwatch.cli.automation import told, who
    from clusterwatch.cli.output import print_json, say
    from clusterwatch.cli.views.decisions import decision_json

    settings = configuration.load(config, {"database": database})
    made, spoken = told(
        config,
        database,
        lambda store, now: asking.drain(store, settings, node, who(by), why, now, override=override),
    )
    if output is Format.JSON:
        print_json({**decision_json(made), "brakes": spoken})
        return
    for sentence in spoken:
        say(f"overridden: {sentence}")
    say(f'{made.id}: {node} will be drained by {made.steps[0].actuator}; "clusterwatch nodes return {node}" undoes it')


@app.command("return")
def return_(
    node: NodeArgument,
    why: WhyOption,
    by: WhoOption = None,
    unchecked: Annotated[bool, typer.Option("--unchecked", help="Without the check that comes first.")] = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Have a node that ClusterWatch drained checked, and put back into service if it passes."""
    from clusterwatch import config as configuration
    from clusterwatch.app import asking
    from clusterwatch.cli.automation import told, who
    from clusterwatch.cli.output import print_json, say
    from clusterwatch.cli.views.decisions import decision_json

    settings = configuration.load(config, {"database": database})
    made = told(
        config,
        database,
        lambda store, now: asking.bring_back(store, settings, node, who(by), why, now, checked=not unchecked),
    )
    if output is Format.JSON:
        print_json(decision_json(made))
    else:
        how = "comes back without a check" if unchecked else "comes back if it passes a check"
        say(f"{made.id}: {node} {how}")


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
