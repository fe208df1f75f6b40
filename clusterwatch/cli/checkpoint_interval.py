"""`clusterwatch checkpoint-interval`: how often to save, from the failure rate and the cost of a save."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from clusterwatch.cli.options import OutputOption
from clusterwatch.cli.output import Format

if TYPE_CHECKING:
    from clusterwatch.app.advising import Spread

_CONFIDENCE = 0.95


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command("checkpoint-interval")(checkpoint_interval)


def checkpoint_interval(
    save_seconds: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="How long a save stops training.", min=0)
    ] = None,
    failures: Annotated[int | None, typer.Option(help="Failures of the job that were counted.", min=0)] = None,
    hours: Annotated[float | None, typer.Option(help="Over how many hours they were counted.", min=0)] = None,
    mtbf_hours: Annotated[
        float | None, typer.Option(metavar="HOURS", help="Mean time between failures, instead of a count.", min=0)
    ] = None,
    restart_seconds: Annotated[
        float, typer.Option(metavar="SECONDS", help="From a failure to the first step after loading.", min=0)
    ] = 300.0,
    size_bytes: Annotated[
        float | None, typer.Option("--bytes", help="Size of a checkpoint, instead of --save-seconds.", min=0)
    ] = None,
    bandwidth: Annotated[
        float | None, typer.Option(metavar="BYTES/S", help="What storage takes in while all ranks save.", min=0)
    ] = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Say how often a job should save so that the least time is lost, and what share of its time is then useful."""
    from clusterwatch.app.advising import advice
    from clusterwatch.cli.output import show
    from clusterwatch.cli.views.checkpoint_interval import advice_json, advice_page

    save = _save_seconds(save_seconds, size_bytes, bandwidth)
    mtbf, confidence = _mtbf(failures, hours, mtbf_hours)
    try:
        found = advice(save, mtbf, restart_seconds, confidence)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    show(advice_json(found), advice_page(found), output)


def _save_seconds(seconds: float | None, size: float | None, bandwidth: float | None) -> float:
    if seconds is not None and size is None and bandwidth is None:
        return seconds
    if seconds is None and size is not None and bandwidth:
        return size / bandwidth
    raise typer.BadParameter("give --save-seconds, or both --bytes and --bandwidth")


def _mtbf(failures: int | None, hours: float | None, mtbf_hours: float | None) -> tuple[Spread, float | None]:
    from clusterwatch.app.advising import HOUR, Spread, mtbf_counted

    if mtbf_hours is not None and failures is None and hours is None:
        seconds = mtbf_hours * HOUR
        return Spread(seconds, seconds, seconds), None
    if mtbf_hours is None and failures is not None and hours is not None:
        try:
            return mtbf_counted(failures, hours, _CONFIDENCE), _CONFIDENCE
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error
    raise typer.BadParameter("give --mtbf-hours, or both --failures and --hours")
