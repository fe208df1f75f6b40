"""`clusterwatch status`: the cluster in one screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from clusterwatch.cli.options import ConfigOption, DatabaseOption, OutputOption
from clusterwatch.cli.output import Format

if TYPE_CHECKING:
    from clusterwatch.cli.views.status import Status
    from clusterwatch.store import Store

WATCH_SECONDS = 2.0
_LISTED = 50


def register(root: typer.Typer) -> None:
    """Add the command to *root*."""
    root.command("status")(status)


def status(
    watch: Annotated[bool, typer.Option("--watch", help="Look again every two seconds, until Ctrl-C.")] = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Show who responds, what is collected, what trains, what is wrong and which nodes are out of service."""
    from clusterwatch.cli.finding import opened_store
    from clusterwatch.cli.repeating import until_interrupted
    from clusterwatch.clock import SystemClock

    clock = SystemClock()
    with opened_store(config, database) as store:
        if watch:
            until_interrupted(lambda: _print(_look(store), output, again=True), WATCH_SECONDS, clock)
        else:
            _print(_look(store), output, again=False)


def _look(store: Store) -> Status:
    from clusterwatch.cli.finding import present_in
    from clusterwatch.cli.views.status import Status
    from clusterwatch.store import ASKED_WITHIN

    now = present_in(store.read)
    return Status(
        responder=store.read.responder(),
        collectors=store.collector_statuses(),
        jobs=store.read.jobs(limit=_LISTED, active_only=True),
        incidents=store.read.incidents(limit=_LISTED, open_only=True),
        nodes=store.read.nodes(),
        now=now,
        asked=store.read.asked(now - ASKED_WITHIN),
    )


def _print(status: Status, output: Format, *, again: bool) -> None:
    from clusterwatch.cli.finding import NOTHING_YET
    from clusterwatch.cli.output import clear_screen, print_json, print_page, say
    from clusterwatch.cli.views.status import status_json, status_page

    if output is Format.JSON:
        print_json(status_json(status), one_line=again)
        return
    if again:
        clear_screen()
    print_page(status_page(status))
    if status.is_empty:
        say(NOTHING_YET)
