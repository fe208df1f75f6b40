"""`clusterwatch report`: what to tell the owners of the cluster and its vendor."""

from __future__ import annotations

from typing import Annotated

import typer

from clusterwatch.cli.documents import DocumentFormat
from clusterwatch.cli.options import ConfigOption, DatabaseOption, DocumentOption

app = typer.Typer(help="Reports to keep and to send on.", no_args_is_help=True)


def register(root: typer.Typer) -> None:
    """Add the commands to *root*."""
    root.add_typer(app, name="report")


# With one command only, typer would make it the whole of "report".
@app.callback()
def _group() -> None:
    pass


@app.command()
def weekly(
    weeks: Annotated[int, typer.Option(min=1, max=520, help="How many weeks back.")] = 1,
    until: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="End of the report, such as 2d or 2026-03-04T12:00; now otherwise."),
    ] = None,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    output: DocumentOption = DocumentFormat.TABLE,
) -> None:
    """Say how reliable the cluster was: what broke how often, what it cost, which nodes stand out, what is open."""
    from datetime import timedelta

    from clusterwatch.app.weekly import latest_present, report_between
    from clusterwatch.cli.documents import show_document
    from clusterwatch.cli.finding import opened_store
    from clusterwatch.cli.views.weekly import report_json, report_page
    from clusterwatch.cli.wording import time_since
    from clusterwatch.clock import SystemClock

    now = SystemClock().now()
    try:
        asked = time_since(until, now) if until is not None else None
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--until") from error
    with opened_store(config, database) as store:
        to_at = asked or latest_present(store.read, now)
        found = report_between(store.read, to_at - timedelta(weeks=weeks), to_at)
    title = f"Reliability from {found.from_at:%Y-%m-%d} to {found.to_at:%Y-%m-%d}"
    show_document(report_json(found), title, report_page(found), output)
