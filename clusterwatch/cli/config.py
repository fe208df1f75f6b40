"""`clusterwatch config`: what the settings are, where each came from, what is wrong with them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from clusterwatch.config import Settings
    from clusterwatch.errors import ConfigError

app = typer.Typer(help="Show and check the configuration.", no_args_is_help=True)


class Output(StrEnum):
    """How a command answers."""

    TABLE = "table"
    JSON = "json"


ConfigOption = Annotated[Path | None, typer.Option("--config", help="TOML file; $CLUSTERWATCH_CONFIG otherwise.")]
OutputOption = Annotated[Output, typer.Option("-o", "--output", help="How to answer.")]

_USAGE = 2


@app.command()
def show(config: ConfigOption = None, output: OutputOption = Output.TABLE) -> None:
    """Print every setting, its value and where it came from; passwords are masked."""
    from clusterwatch.errors import ConfigError

    try:
        settings = _loaded(config)
    except ConfigError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(_USAGE) from error
    values = settings.public()
    if output is Output.JSON:
        _print_json(values)
    else:
        _print_table(values)
    _print_warnings(settings)


@app.command()
def validate(config: ConfigOption = None, output: OutputOption = Output.TABLE) -> None:
    """Check file and environment; print all mistakes at once and exit with 2 when there are any."""
    from clusterwatch.errors import ConfigError

    try:
        settings = _loaded(config)
    except ConfigError as error:
        _print_mistakes(error, output)
        raise typer.Exit(_USAGE) from error
    if output is Output.JSON:
        _print_json({"valid": True, "mistakes": [], "warnings": list(settings.warnings())})
        return
    typer.echo("the configuration is valid")
    _print_warnings(settings)


def _loaded(config: Path | None) -> Settings:
    """Return the settings, checked against the collectors that are installed.

    Raises:
        ConfigError: With all mistakes; one more for each collector that nobody has installed.
    """
    from clusterwatch.config import load
    from clusterwatch.errors import ConfigError, Mistake
    from clusterwatch.plugins import unknown_names

    settings = load(config)
    unknown = unknown_names(settings.collectors)
    if unknown:
        problem = "no installed collector has this name"
        raise ConfigError("configuration", [Mistake(f"collectors.{name}", problem) for name in unknown])
    return settings


def _print_mistakes(error: ConfigError, output: Output) -> None:
    if output is Output.JSON:
        mistakes = [{"key": mistake.key, "problem": mistake.problem} for mistake in error.mistakes]
        _print_json({"valid": False, "mistakes": mistakes, "warnings": []})
    else:
        typer.echo(str(error), err=True)


def _print_warnings(settings: Settings) -> None:
    for warning in settings.warnings():
        typer.echo(f"warning: {warning}", err=True)


def _print_json(answer: object) -> None:
    import json

    typer.echo(json.dumps(answer, indent=2))


def _print_table(values: dict[str, dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None)
    for heading in ("key", "value", "from"):
        table.add_column(heading, overflow="fold")
    for key, entry in values.items():
        # Values are the operator's: brackets in them are no markup.
        table.add_row(Text(key), Text(_as_words(entry["value"])), Text(str(entry["origin"])))
    Console().print(table)


def _as_words(value: object) -> str:
    return "" if value is None else str(value)
