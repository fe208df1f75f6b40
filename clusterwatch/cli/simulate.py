"""`clusterwatch simulate`: what a policy, or a change of the fleet, would be worth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clusterwatch.cli.options import OutputOption
from clusterwatch.cli.output import Format

if TYPE_CHECKING:
    from clusterwatch.seams import Answer

_USUAL_CHANGES = ("spares=+16", "restart=-60", "interval=600")

_Policies = Annotated[
    list[str] | None, typer.Option(metavar="NAME", help="Compare these, the first with the others; all if none.")
]
_Changes = Annotated[
    list[str] | None,
    typer.Option(metavar="CHANGES", help='Changes such as "spares=+16", "restart=-60" or "interval=600,save=5".'),
]
_Interval = Annotated[
    float | None, typer.Option(metavar="SECONDS", help="Between two saves; as each policy has it otherwise.")
]
_Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Any setting; see --settings.")
]
_Precision = Annotated[
    float, typer.Option(metavar="POINTS", help="Run until differences are this well known.", min=0.0001, max=100)
]
_Price = Annotated[float | None, typer.Option(metavar="DOLLARS", help="Of an hour of one GPU.", min=0)]
_Rules = Annotated[
    str | None, typer.Option(metavar="NAME|FILE", help="ClusterWatch's own rules, as for `clusterwatch policy`.")
]
_Save = Annotated[float | None, typer.Option(metavar="SECONDS", help="How long a save stops training.")]
_PoliciesFile = Annotated[Path | None, typer.Option(metavar="FILE", help="TOML of policies of your own.")]
_MeasuredFile = Annotated[Path | None, typer.Option(metavar="FILE", help="What a replay measured: TOML, or its JSON.")]
_CsvFile = Annotated[Path | None, typer.Option(metavar="FILE", help="Write a line per policy and change there.")]
_PlotFile = Annotated[Path | None, typer.Option(metavar="FILE", help="Draw where the time goes: .svg or .png.")]


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command("simulate")(simulate)


def simulate(
    policy: _Policies = None,
    what_if: _Changes = None,
    gpus: Annotated[int | None, typer.Option(help="Of the job.", min=1, max=1_000_000)] = None,
    days: Annotated[float | None, typer.Option(help="How long is looked at.")] = None,
    spares: Annotated[int | None, typer.Option(metavar="NODES", help="That stand by.", min=0)] = None,
    save_seconds: _Save = None,
    interval: _Interval = None,
    settings: _Settings = None,
    list_settings: Annotated[bool, typer.Option("--settings", help="Print every setting and its default.")] = False,
    precision: _Precision = 0.05,
    max_runs: Annotated[int, typer.Option(help="Of each policy and change.", min=2, max=1_000_000)] = 10_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same answer.", min=0)] = 1,
    gpu_hour_price: _Price = None,
    policies: _PoliciesFile = None,
    rules: _Rules = None,
    measured: _MeasuredFile = None,
    csv: _CsvFile = None,
    plot: _PlotFile = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Say what policies and changes of the fleet would be worth, from thousands of simulated runs."""
    from clusterwatch.app.simulating import estimator, text_of
    from clusterwatch.cli.views.chart import require_drawable
    from clusterwatch.resources import policy_text
    from clusterwatch.seams import Question

    if list_settings:
        _show_settings(output)
        return
    if plot is not None:
        require_drawable(plot.suffix)
    for path in filter(None, (csv, plot)):
        # Not after minutes of runs; what stands there stays until those have ended.
        _write(path, b"", "ab")
    shorthand = {"gpus": gpus, "days": days, "spares": spares, "save_seconds": save_seconds, "interval": interval}
    question = Question(
        policies=tuple(policy) if policy else None,
        settings=_settings(shorthand, settings or []),
        changes=_USUAL_CHANGES if what_if is None else tuple(what_if),
        precision=precision,
        max_runs=max_runs,
        seed=seed,
        policies_text=text_of(policies),
        measured_text=text_of(measured),
        rules_text=policy_text(rules) if rules else "",
    )
    with _progress() as on_runs:
        found = estimator().estimate(question, on_runs)
    _tell(found, gpu_hour_price, csv, plot, output)


def _settings(shorthand: dict[str, int | float | None], told: list[str]) -> dict[str, str]:
    named = {name: str(value) for name, value in shorthand.items() if value is not None}
    pairs = [each.partition("=") for each in told]
    wrong = [name for name, sign, _ in pairs if not sign]
    if wrong:
        raise typer.BadParameter(f"expected NAME=VALUE, not {wrong[0]}", param_hint="--set")
    for name, _, value in pairs:
        if name.strip() in named:
            raise typer.BadParameter(f"{name.strip()} is set twice: say it once", param_hint="--set")
        named[name.strip()] = value.strip()
    return named


def _show_settings(output: Format) -> None:
    from clusterwatch.app.simulating import estimator
    from clusterwatch.cli.output import Column, emit, print_json

    found = estimator().settings()
    if output is Format.JSON:
        print_json(found)
        return
    columns: tuple[Column[tuple[str, str]], ...] = (
        Column("SETTING", lambda pair: pair[0]),
        Column("DEFAULT", lambda pair: pair[1] or "as the policy says"),
    )
    emit(list(found.items()), output, columns)


def _tell(found: Answer, price: float | None, csv: Path | None, plot: Path | None, output: Format) -> None:
    from clusterwatch.cli.output import say, show
    from clusterwatch.cli.views.chart import picture
    from clusterwatch.cli.views.simulation import answer_csv, answer_json, answer_page

    if csv is not None:
        _write(csv, answer_csv(found, price).encode())
    if plot is not None:
        _write(plot, picture(found, plot.suffix))
    show(answer_json(found, price), answer_page(found, price), output)
    for note in found.notes:
        say(note)


def _write(path: Path, content: bytes, mode: str = "wb") -> None:
    from clusterwatch.errors import SourceError

    try:
        with path.open(mode) as file:
            file.write(content)
    except OSError as error:
        raise SourceError(f"{path} cannot be written: {error}") from error


@contextmanager
def _progress() -> Iterator[Callable[[int, float], None]]:
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("simulating", total=None)

        def on_runs(runs: int, points: float) -> None:
            progress.update(task, description=f"{runs:,} runs of each, known within {points:.2f} points")

        yield on_runs
