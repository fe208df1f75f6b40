"""`clusterwatch flight-recorder DIR`: dumps of collectives in, the ranks that hold up all others out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clusterwatch.cli.options import OutputOption
from clusterwatch.cli.output import Format

_MOST_PROBLEMS = 20


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command("flight-recorder")(flight_recorder)


def flight_recorder(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Dumps of the ranks, such as nccl_trace_rank_12; one folder a node.")
    ],
    ended: Annotated[
        str, typer.Option("--ended", metavar="RANKS", help='Ranks whose process has ended, as in "0-7,12".')
    ] = "",
    output: OutputOption = Format.TABLE,
) -> None:
    """Say which ranks hold up a job, from the dumps of PyTorch's flight recorder, pickle or JSON.

    Nothing in a dump is executed. Ranks of which there is no dump are said to be missing. Exit code 1 only
    where nothing could be read.
    """
    from clusterwatch.app.flight_recorder import examined
    from clusterwatch.cli.output import say, show
    from clusterwatch.cli.views.localisation import localisation_json, localisation_page

    found = examined(folder, _ranks(ended))
    for problem in found.problems[:_MOST_PROBLEMS]:
        say(f"clusterwatch: {problem}")
    if len(found.problems) > _MOST_PROBLEMS:
        say(f"clusterwatch: {len(found.problems) - _MOST_PROBLEMS} more could not be read")
    if not found.dumps:
        say("clusterwatch: nothing could be read")
        raise typer.Exit(1)
    show(localisation_json(found.answer), localisation_page(found.answer), output)


def _ranks(text: str) -> list[int]:
    from clusterwatch.model.ranks import ranges_in

    try:
        runs = ranges_in(text) if text else ()
    except ValueError as error:
        raise typer.BadParameter(f'{text!r} is no list of ranks such as "0-7,12"', param_hint="--ended") from error
    return [rank for first, last in runs for rank in range(first, last + 1)]
