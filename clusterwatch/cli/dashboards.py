"""`clusterwatch dashboards`: Grafana boards to files, or into a Grafana."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clusterwatch.cli.options import OutputOption
from clusterwatch.cli.output import Column, Format, emit, say

if TYPE_CHECKING:
    from clusterwatch.act.grafana import Pushed

app = typer.Typer(help="Build Grafana boards and push them.", no_args_is_help=True)

_VARIABLE = "GRAFANA_TOKEN"

_FAILED = 1
_USAGE = 2
_UNREACHABLE = 3

_PROVISIONING = """\
# Grafana reads this from its provisioning/dashboards folder. If you move the boards, change the path.
apiVersion: 1
providers:
  - name: clusterwatch
    folder: ClusterWatch
    folderUid: clusterwatch
    type: file
    allowUiUpdates: false
    options:
      path: {path}
"""


def register(parent: typer.Typer) -> None:
    """Add the commands to *parent*."""
    parent.add_typer(app, name="dashboards")


@app.command()
def build(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder to write to.")] = Path("grafana"),
    output: OutputOption = Format.TABLE,
) -> None:
    """Write every board as JSON, and the file that lets Grafana load them by itself."""
    with _exit_codes():
        boards = _boards()
        written = _written(boards, out)
    emit(written, output, (Column("FILE", str),))


@app.command()
def push(
    url: Annotated[str, typer.Option("--url", envvar="GRAFANA_URL", help="Address of Grafana.")],
    token_env: Annotated[
        str, typer.Option("--token-env", metavar="NAME", help="Environment variable that holds the token.")
    ] = _VARIABLE,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would happen and change nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Also replace a board that is not ours.")] = False,
    output: OutputOption = Format.TABLE,
) -> None:
    """Write every board into the folder ClusterWatch of a Grafana."""
    from clusterwatch.act import grafana

    token = os.environ.get(token_env, "")
    if not token:
        say(f"${token_env} is not set: put a token of a Grafana service account with the role Editor there")
        raise typer.Exit(_USAGE)
    with _exit_codes():
        boards = _boards()
        server = grafana.Grafana(url, token)
        server.version()
        results = [grafana.push(server, board, force=force, dry_run=dry_run) for board in boards.values()]
    emit(results, output, _columns(dry_run))
    if any(result.fate is grafana.Fate.REFUSE for result in results):
        raise typer.Exit(_FAILED)


def _columns(dry_run: bool) -> tuple[Column[Pushed], ...]:
    words = {"create": "created", "update": "updated", "overwrite": "overwritten", "refuse": "refused"}

    def outcome(result: Pushed) -> str:
        done = words.get(result.fate, result.fate)
        return f"would be {done}" if dry_run else done

    return (
        Column("BOARD", lambda result: result.uid),
        Column("TITLE", lambda result: result.title),
        Column("OUTCOME", outcome),
        Column("WHY", lambda result: result.reason or "-"),
    )


def _boards() -> dict[str, Mapping[str, Any]]:
    """Return the installed boards by uid; one that cannot be built is said and left out.

    Raises:
        ClusterWatchError: There is none.
    """
    from clusterwatch.errors import ClusterWatchError
    from clusterwatch.plugins import DASHBOARDS, load_all

    loaded, errors = load_all(DASHBOARDS)
    for error in errors:
        say(str(error))
    boards = [plugin.target() for plugin in loaded]
    if not boards:
        raise ClusterWatchError("no board is installed: reinstall clusterwatch")
    return {board["uid"]: board for board in boards}


def _written(boards: Mapping[str, Mapping[str, Any]], out: Path) -> list[Path]:
    import json

    folder, provisioning = out / "boards", out / "provisioning" / "dashboards"
    texts = {folder / f"{uid}.json": json.dumps(board, indent=2) + "\n" for uid, board in sorted(boards.items())}
    # JSON strings are YAML strings: any path is quoted well.
    texts[provisioning / "clusterwatch.yaml"] = _PROVISIONING.format(path=json.dumps(str(folder.absolute())))
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return list(texts)


@contextmanager
def _exit_codes() -> Iterator[None]:
    from clusterwatch.act.grafana import GrafanaUnreachableError
    from clusterwatch.errors import ClusterWatchError

    try:
        yield
    except OSError as error:
        say(f"{error.filename or 'the folder'} cannot be written: {error.strerror}")
        raise typer.Exit(_FAILED) from error
    except ClusterWatchError as error:
        say(str(error))
        raise typer.Exit(_UNREACHABLE if isinstance(error, GrafanaUnreachableError) else _FAILED) from error
