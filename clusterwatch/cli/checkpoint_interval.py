"""`clusterwatch checkpoint-interval`: how often to save, from the failure rate and the cost of a save."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from clusterwatch.cli.options import ConfigOption, DatabaseOption, OutputOption
from clusterwatch.cli.output import Format

if TYPE_CHECKING:
    from pathlib import Path

    from clusterwatch.app.advising import Spread
    from clusterwatch.goodput import SavingMeasured

_CONFIDENCE = 0.95
_RESTART_SECONDS = 300.0


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
        float | None,
        typer.Option(metavar="SECONDS", help="From a failure to the first step after loading; 300 by default.", min=0),
    ] = None,
    size_bytes: Annotated[
        float | None, typer.Option("--bytes", help="Size of a checkpoint, instead of --save-seconds.", min=0)
    ] = None,
    bandwidth: Annotated[
        float | None, typer.Option(metavar="BYTES/S", help="What storage takes in while all ranks save.", min=0)
    ] = None,
    job: Annotated[
        str | None,
        typer.Option(metavar="JOB", help="Take from the database what this job measured; other options go before it."),
    ] = None,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Say how often a job should save so that the least time is lost, and what share of its time is then useful."""
    from clusterwatch.app.advising import advice
    from clusterwatch.cli.output import show
    from clusterwatch.cli.views.checkpoint_interval import advice_json, advice_page

    known = _measured(job, config, database) if job is not None else None
    size = size_bytes if size_bytes is not None or known is None else known.size_bytes
    write = size / bandwidth if size and bandwidth else (known.save_seconds or 0.0) if known else 0.0
    save = _save_seconds(save_seconds, size_bytes, bandwidth, write, known)
    mtbf, confidence = _mtbf(failures, hours, mtbf_hours, known)
    restart = _first(restart_seconds, known.restart_seconds if known else None, _RESTART_SECONDS)
    try:
        found = advice(save, mtbf, restart, confidence, write, known.interval_seconds if known else None)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    show(advice_json(found, known), advice_page(found, known), output)


def _measured(job: str, config: Path | None, database: str | None) -> SavingMeasured:
    from clusterwatch.cli.finding import job_named, opened_store
    from clusterwatch.goodput import saving_measured

    with opened_store(config, database) as store:
        view = job_named(store.read, job)
    return saving_measured(view.job, view.attempts, view.interruptions, view.checkpoints)


def _first(*values: float | None) -> float:
    return next(value for value in values if value is not None)


def _save_seconds(
    seconds: float | None, size: float | None, bandwidth: float | None, write: float, known: SavingMeasured | None
) -> float:
    if seconds is not None and size is None and (bandwidth is None or known is not None):
        return seconds
    if seconds is None and known is not None and known.stall_seconds is not None:
        return known.stall_seconds
    if seconds is None and write and bandwidth:
        return write
    if known is not None and seconds is None:
        raise typer.BadParameter(
            "nothing tells how long a save stops this job: let it report its saves (docs/client.md), or give "
            "--save-seconds, or --bandwidth"
        )
    raise typer.BadParameter("give --save-seconds, or both --bytes and --bandwidth")


def _mtbf(
    failures: int | None, hours: float | None, mtbf_hours: float | None, known: SavingMeasured | None
) -> tuple[Spread, float | None]:
    from clusterwatch.app.advising import HOUR, Spread

    if mtbf_hours is not None and failures is None and hours is None:
        seconds = mtbf_hours * HOUR
        return Spread(seconds, seconds, seconds), None
    if mtbf_hours is None and failures is not None and hours is not None:
        return _counted(failures, hours), _CONFIDENCE
    if mtbf_hours is None and failures is None and hours is None and known is not None:
        return _counted(known.failures, known.hours), _CONFIDENCE
    raise typer.BadParameter("give --mtbf-hours, or both --failures and --hours")


def _counted(failures: int, hours: float) -> Spread:
    from clusterwatch.app.advising import mtbf_counted

    try:
        return mtbf_counted(failures, hours, _CONFIDENCE)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
