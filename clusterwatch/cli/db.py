"""`clusterwatch db`: make, look at and trim the database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Make, look at and trim the database.", no_args_is_help=True)

_USAGE = 2
_UNREACHABLE = 3


class Output(StrEnum):
    """How a command answers."""

    TABLE = "table"
    JSON = "json"


DatabaseOption = Annotated[
    str | None, typer.Option("--database", metavar="URL", help="Database URL; the configured one otherwise.")
]
ConfigOption = Annotated[Path | None, typer.Option("--config", help="TOML file; $CLUSTERWATCH_CONFIG otherwise.")]
OutputOption = Annotated[Output, typer.Option("-o", "--output", help="How to answer.")]


@app.command()
def upgrade(database: DatabaseOption = None, config: ConfigOption = None, output: OutputOption = Output.TABLE) -> None:
    """Make the tables, or bring them to this version. Safe when several processes do it at once."""
    with _exit_codes():
        from clusterwatch.store import migrations

        url = _url(database, config)
        migrations.upgrade(url)
        _answer({"revision": migrations.current(url)}, output)


@app.command()
def current(database: DatabaseOption = None, config: ConfigOption = None, output: OutputOption = Output.TABLE) -> None:
    """Print which schema the database has and which one this version needs."""
    with _exit_codes():
        from clusterwatch.store import migrations

        revision, needed = migrations.current(_url(database, config)), migrations.head()
        _answer({"revision": revision, "needed": needed, "is_current": revision == needed}, output)


@app.command()
def prune(
    before_days: Annotated[int, typer.Option(min=1, metavar="N", help="Forget what is older than N days.")],
    database: DatabaseOption = None,
    config: ConfigOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Delete old events and progress; incidents, diagnoses and decisions stay."""
    with _exit_codes():
        from contextlib import closing
        from datetime import timedelta

        from clusterwatch.clock import SystemClock
        from clusterwatch.store import Store

        before = SystemClock().now() - timedelta(days=before_days)
        with closing(Store.open(_url(database, config))) as store:
            deleted = store.prune(before)
        if output is Output.JSON:
            _answer({"before": before.isoformat(), "deleted": deleted}, output)
        else:
            _answer(deleted, output)


@app.command()
def stats(database: DatabaseOption = None, config: ConfigOption = None, output: OutputOption = Output.TABLE) -> None:
    """Print how much is stored: rows by table, bytes, schema."""
    with _exit_codes():
        from contextlib import closing

        from clusterwatch.store import Store

        with closing(Store.open(_url(database, config))) as store:
            found = store.read.stats()
        if output is Output.JSON:
            _answer({"revision": found.revision, "size_bytes": found.size_bytes, "rows": found.rows}, output)
        else:
            _answer({"revision": found.revision, "size_bytes": found.size_bytes, **found.rows}, output)


def _url(database: str | None, config: Path | None) -> str:
    if database is not None:
        return database
    from clusterwatch.config import load

    return load(config).database


@contextmanager
def _exit_codes() -> Iterator[None]:
    from clusterwatch.errors import ConfigError, StoreError

    try:
        yield
    except (ConfigError, StoreError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(_USAGE if isinstance(error, ConfigError) else _UNREACHABLE) from error


def _answer(values: Mapping[str, object], output: Output) -> None:
    if output is Output.JSON:
        import json

        typer.echo(json.dumps(values, indent=2))
        return
    width = max(len(name) for name in values)
    for name, value in values.items():
        typer.echo(f"{name:<{width}}  {'none' if value is None else value}")
