"""`clusterwatch scan`: is this node fit for work?"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from clusterwatch.cli.options import ConfigOption, OutputOption
from clusterwatch.cli.output import Column, Format
from clusterwatch.cli.page import Phrase, Tone
from clusterwatch.errors import ClusterWatchError

if TYPE_CHECKING:
    from pathlib import Path

    from clusterwatch.app.scan_report import Check, Report, State
    from clusterwatch.config import Settings

_TONES = {"ok": Tone.GOOD, "warning": Tone.DOUBTFUL, "failed": Tone.BAD, "not_here": Tone.QUIET}


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command("scan")(scan)


def scan(
    config: ConfigOption = None,
    output: OutputOption = Format.TABLE,
    nagios: Annotated[
        bool, typer.Option("--nagios", help="As a monitoring plugin: a line, what failed below it, exit code 0 to 3.")
    ] = False,
    deadline: Annotated[
        float | None,
        typer.Option("--deadline", min=1, metavar="SECONDS", help="For all checks; as configured otherwise."),
    ] = None,
    skip: Annotated[
        list[str] | None, typer.Option("--skip", metavar="NAME", help="A check to leave out; may be repeated.")
    ] = None,
) -> None:
    """Check this node once: GPUs, links, kernel log, disks and whatever else is here. Changes nothing.

    Sums with a known answer are computed on each GPU, which takes a few seconds and 0.5 GB of its memory. Exit code 0
    when nothing failed, 10 when something did.
    """
    from clusterwatch import logs

    # What collectors log while they look is said by the checks.
    logs.configure("error", "auto")
    if nagios:
        _as_plugin(config, deadline, skip or [])
    report, _ = _scanned(config, deadline, skip or [], is_quiet=output is Format.JSON)
    _print(report, output)


def _scanned(
    config: Path | None, deadline: float | None, skip: list[str], *, is_quiet: bool
) -> tuple[Report, Settings]:
    from clusterwatch import config as configuration
    from clusterwatch.app import scan as scanning
    from clusterwatch.clock import SystemClock

    settings = configuration.load(config)
    options = settings.scan.model_copy(update={"skip": (*settings.scan.skip, *skip)})
    settings = settings.model_copy(update={"scan": options})
    tell = _nothing if is_quiet else _progress
    return scanning.scan(settings, SystemClock(), deadline, tell=tell), settings


def _as_plugin(config: Path | None, deadline: float | None, skip: list[str]) -> None:
    from clusterwatch.app import scan_report

    try:
        report, settings = _scanned(config, deadline, skip, is_quiet=True)
        code, line = scan_report.nagios(report, deadline or settings.scan.deadline_seconds)
    except ClusterWatchError as error:
        code, line = scan_report.unknown(str(error))
    typer.echo(line)
    raise typer.Exit(code)


def _print(report: Report, output: Format) -> None:
    from clusterwatch.app.scan_report import exit_code
    from clusterwatch.cli.output import emit, print_json, say

    if output is Format.JSON:
        print_json(_as_json(report))
    else:
        emit(report.checks, output, _columns())
        say(f"clusterwatch: {report.node} is {_WORDS[report.state.value]}, {report.seconds:g} s")
    if code := exit_code(report):
        raise typer.Exit(code)


_WORDS = {
    "ok": "fit for work",
    "warning": "fit for work, with warnings",
    "failed": "not fit for work",
    "not_here": "unknown: there is nothing here to check",
}


def _as_json(report: Report) -> dict[str, object]:
    told: dict[str, object] = {name: getattr(report, name) for name in ("node", "state", "started_at", "seconds")}
    return told | {"event": {"kind": report.kind, "text": report.summary}, "checks": report.checks}


def _nothing(name: str, state: State, done: int, of: int) -> None:
    return


def _progress(name: str, state: State, done: int, of: int) -> None:
    # A terminal only: in a log of a thousand nodes nobody wants to read how it went.
    if sys.stderr.isatty():
        typer.echo(f"{done}/{of} {name}: {state.value.replace('_', ' ')}", err=True)


def _columns() -> tuple[Column[Check], ...]:
    return (
        Column("STATE", lambda check: Phrase(check.state.value.replace("_", " "), _TONES[check.state.value])),
        Column("CHECK", lambda check: check.name),
        Column("FOUND", _found),
        Column("WHAT TO DO", lambda check: check.next_step),
    )


def _found(check: Check) -> str:
    times = f" ({check.count} times)" if check.count > 1 else ""
    return f"{check.what}{times}"
