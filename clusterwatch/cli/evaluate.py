"""`clusterwatch evaluate CASES.jsonl`: how often the diagnosis is right, on cases whose cause is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from clusterwatch.cli.options import OutputOption, ProfileOption
from clusterwatch.cli.output import Format

_BAR_FROM_CASES = 500


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command("evaluate")(evaluate)


def evaluate(
    cases: Annotated[
        list[Path],
        typer.Argument(metavar="CASES.jsonl...", help='One {"id", "text", "cause", ...} a line; or folders of such.'),
    ],
    predictions: Annotated[
        Path | None, typer.Option(metavar="OUT.jsonl", help="Write what was said of each case there.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="OUT.md", help="Write the whole table there, as Markdown.")
    ] = None,
    unseen: Annotated[
        bool, typer.Option("--leave-one-source-out", help="Without what was learned only from the case's own source.")
    ] = False,
    rules_dir: Annotated[Path | None, typer.Option(metavar="DIR", help="The site's own detection rules.")] = None,
    profile: ProfileOption = "clusterwatch",
    output: OutputOption = Format.TABLE,
) -> None:
    """Say how often the diagnosis is right on labelled cases, per cause, and how far its confidence can be trusted."""
    from clusterwatch.app import evaluating
    from clusterwatch.app.offline import offline_catalog
    from clusterwatch.cli.output import show
    from clusterwatch.cli.views.evaluation import evaluation_json, evaluation_markdown, evaluation_page, predicted_lines
    from clusterwatch.clock import SystemClock

    asked = evaluating.cases_under(cases)
    make = evaluating.evaluate_unseen if unseen else evaluating.evaluate
    with _progress(len(asked)) as on_case:
        evaluation = make(asked, offline_catalog(rules_dir, profile), SystemClock().now(), on_case)
    _write(predictions, lambda: predicted_lines(evaluation))
    _write(report, lambda: evaluation_markdown(evaluation))
    show(evaluation_json(evaluation), evaluation_page(evaluation), output)


def _write(path: Path | None, text: Callable[[], str]) -> None:
    from clusterwatch.errors import SourceError

    if path is None:
        return
    try:
        path.write_text(text(), encoding="utf-8")
    except OSError as error:
        raise SourceError(f"{path} cannot be written: {error}") from error


@contextmanager
def _progress(cases: int) -> Iterator[Callable[[], None]]:
    if cases < _BAR_FROM_CASES:
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("diagnosing", total=cases)
        yield lambda: progress.advance(task)
