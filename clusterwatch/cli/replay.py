"""`clusterwatch replay TRACE`: a failure trace through the whole pipeline, and how it fared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clusterwatch.cli.options import OutputOption, PagePortOption
from clusterwatch.cli.output import Format

if TYPE_CHECKING:
    from clusterwatch.app.replay import Asked
    from clusterwatch.config import Settings


class ReplayMode(StrEnum):
    """How far automation may go in the simulated cluster."""

    OBSERVE = "observe"
    SUGGEST = "suggest"
    AUTO = "auto"


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command("replay")(replay)


def replay(
    trace: Annotated[str, typer.Argument(help="A built-in trace such as llama3-54d, a spec, or a trace file.")],
    policy: Annotated[
        str, typer.Option(help="nothing, requeue, llama3, oracle: that acts. Else a policy's name or file.")
    ] = "default",
    mode: Annotated[ReplayMode, typer.Option(help="How far ClusterWatch may go.")] = ReplayMode.AUTO,
    database: Annotated[str, typer.Option(help="Database URL to write to; none: deleted at the end.")] = "",
    seed: Annotated[int | None, typer.Option(min=0, help="Another seed places the same faults elsewhere.")] = None,
    assume: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Another value for an assumption of the trace.")
    ] = None,
    every_rank: Annotated[
        bool, typer.Option("--every-rank", help="Every rank tells its lines by itself, and not its node for all.")
    ] = False,
    truth: Annotated[
        Path | None, typer.Option(metavar="F", help="Write what really happened there; of a recording, read it.")
    ] = None,
    speed: Annotated[
        float | None,
        typer.Option(min=0.1, max=100_000, help="Play it with a page of its own, so many times as fast as real time."),
    ] = None,
    port: PagePortOption = 8642,
    config: Annotated[Path | None, typer.Option(help="Configuration file.")] = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Put a failure trace through detection, diagnosis, policy and ledger, and say how each fared."""
    from clusterwatch import config as configuration
    from clusterwatch import logs
    from clusterwatch.app.replay import Asked
    from clusterwatch.app.replay import replay as make
    from clusterwatch.app.terminal import leave_on_sigterm
    from clusterwatch.cli.output import show
    from clusterwatch.cli.views.replay import replay_page
    from clusterwatch.model import Mode

    if speed is not None:
        _require_no_summary(truth, output)
    leave_on_sigterm()
    logs.configure("error", "auto")
    options = _assumed(assume or []) | ({"every_rank": 1.0} if every_rank else {})
    asked = Asked(trace, policy, Mode(mode.value), database, seed, truth, options)
    if speed is not None:
        _play(asked, configuration.load(config, {}), port, speed)
        return
    with progress(trace) as on_progress:
        replayed = make(asked, configuration.load(config, {}), on_progress)
    show(replayed.as_json(), replay_page(replayed), output)


def _play(asked: Asked, settings: Settings, port: int, speed: float) -> None:
    from datetime import timedelta

    from clusterwatch.app.demo import play

    play(asked, settings, port, speed, timedelta(0))


def _require_no_summary(truth: Path | None, output: Format) -> None:
    if truth is not None or output is Format.JSON:
        words = "what is played with a page has no summary and no truth file: leave --truth and -o json out"
        raise typer.BadParameter(words, param_hint="--speed")


def _assumed(texts: list[str]) -> dict[str, float]:
    return dict(_assumption(text) for text in texts)


def _assumption(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError:
        raise typer.BadParameter(f"{text!r}: expected NAME=NUMBER, such as blocking_save_seconds=5") from None


@contextmanager
def progress(trace: str) -> Iterator[Callable[[float], None]]:
    """Show a bar on a terminal, and yield what is to be told of the share that is done, 0-1."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as drawn:
        task = drawn.add_task(trace, total=1.0)
        yield lambda share: drawn.update(task, completed=share)
