"""`clusterwatch diagnose PATH...`: logs in, diagnosis out; no database, no daemon, nothing prepared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from clusterwatch.cli.options import OutputOption, ProfileOption
from clusterwatch.cli.output import Format

_BAR_FROM_BYTES = 20_000_000
_MOST_PROBLEMS = 20


class NodeList(StrEnum):
    """How a list of nodes is written."""

    SLURM = "slurm"
    PBS = "pbs"
    LINES = "lines"


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command("diagnose")(diagnose)


def diagnose(
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH...", help='Log files, folders or archives; "-" for standard input.')
    ],
    rules_dir: Annotated[Path | None, typer.Option(metavar="DIR", help="The site's own detection rules.")] = None,
    profile: ProfileOption = "clusterwatch",
    output: OutputOption = Format.TABLE,
    exclude_list: Annotated[
        NodeList | None,
        typer.Option(metavar="slurm|pbs|lines", help="Print only the nodes to leave out, as a scheduler reads them."),
    ] = None,
) -> None:
    """Say what logs tell: what failed, which part is to blame, how sure that is, and what to do.

    Kernel logs and job logs may be mixed; plain, gzip, zstd, xz, bzip2 and tar are read, as are
    exports of the journal. Exit code 1 only where
    nothing could be read.
    """
    from clusterwatch.app.offline import diagnose_paths, offline_catalog
    from clusterwatch.cli.output import say, show
    from clusterwatch.cli.views.diagnosis import diagnosis_json
    from clusterwatch.cli.views.offline import nothing_found, offline_page, read_words
    from clusterwatch.clock import SystemClock
    from clusterwatch.reading.nodelists import LISTS

    catalog = offline_catalog(rules_dir, profile)
    with _progress(paths) as on_bytes:
        answer = diagnose_paths(paths, catalog, SystemClock().now(), on_bytes)
    _tell(answer.problems)
    if not answer.files:
        say("clusterwatch: nothing could be read")
        raise typer.Exit(1)
    if exclude_list is not None:
        print(LISTS[exclude_list.value](answer.nodes_to_exclude))
        return
    if output is Format.JSON:
        say(read_words(answer) if answer.diagnoses else nothing_found(answer))
    show([diagnosis_json(diagnosis) for diagnosis in answer.diagnoses], offline_page(answer), output)


def _tell(problems: tuple[str, ...]) -> None:
    from clusterwatch.cli.output import say

    for problem in problems[:_MOST_PROBLEMS]:
        say(f"clusterwatch: {problem}")
    if len(problems) > _MOST_PROBLEMS:
        say(f"clusterwatch: {len(problems) - _MOST_PROBLEMS} more could not be read")


@contextmanager
def _progress(paths: list[str]) -> Iterator[Callable[[int], None]]:
    """Yield what to tell how many bytes were read: a bar, where somebody looks and it takes long enough to want one."""
    from clusterwatch.app.inputs import size_of

    total = size_of(paths)
    if total < _BAR_FROM_BYTES:
        yield lambda count: None
        return
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("reading", total=total)
        yield lambda count: progress.advance(task, count)
