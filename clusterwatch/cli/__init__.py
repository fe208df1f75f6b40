"""The command line: one module per noun, and what an error means to the shell.

Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 database not reachable, 10 checks found problems.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from clusterwatch import __version__
from clusterwatch.cli import (
    automation,
    checkpoint_interval,
    config,
    dashboards,
    db,
    diagnose,
    doctor,
    evaluate,
    events,
    flight_recorder,
    incidents,
    jobs,
    nodes,
    policy,
    replay,
    report,
    rules,
    run,
    scan,
    service,
    simulate,
    status,
    trace,
)
from clusterwatch.errors import AmbiguousIdError, ClusterWatchError, ConfigError, StoreError

# In the order of --help. Modules import nothing heavy before one of their commands runs.
_GROUPS = (("config", config.app), ("db", db.app))
_COMMANDS = (
    service,
    run,
    diagnose,
    flight_recorder,
    evaluate,
    replay,
    status,
    incidents,
    jobs,
    events,
    nodes,
    policy,
    automation,
    report,
    rules,
    dashboards,
    simulate,
    trace,
    checkpoint_interval,
    scan,
    doctor,
)

FAILED, USAGE, UNREACHABLE = 1, 2, 3

# The first that fits decides, so special errors stand before their kind.
_EXIT_CODES: tuple[tuple[type[ClusterWatchError], int], ...] = (
    (ConfigError, USAGE),
    (AmbiguousIdError, FAILED),
    (StoreError, UNREACHABLE),
    (ClusterWatchError, FAILED),
)

app = typer.Typer(
    name="clusterwatch",
    no_args_is_help=True,
    # A traceback that shows local variables shows passwords.
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"clusterwatch {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Say what stopped a training job and which part is to blame, restart it, account for every GPU-hour lost."""


for _module in _COMMANDS:
    _module.register(app)
for _name, _group in _GROUPS:
    app.add_typer(_group, name=_name)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command that *arguments* (the process's own by default) name, and exit with its code."""
    try:
        app(args=None if arguments is None else list(arguments), prog_name="clusterwatch")
    except ClusterWatchError as error:
        from clusterwatch.cli.output import say

        say(f"clusterwatch: {error}")
        sys.exit(exit_code_of(error))
    except BrokenPipeError:
        # Whoever read us has enough. Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def exit_code_of(error: ClusterWatchError) -> int:
    """Return what the shell is told about *error*."""
    return next(code for kind, code in _EXIT_CODES if isinstance(error, kind))
