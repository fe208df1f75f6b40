"""`clusterwatch doctor`: what works here, what is worth knowing, what needs a hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from clusterwatch.cli.options import ConfigOption, OutputOption
from clusterwatch.cli.output import Column, Format
from clusterwatch.cli.page import Phrase, Tone
from clusterwatch.cli.wording import amount

if TYPE_CHECKING:
    from clusterwatch.app.findings import Finding

FOUND_PROBLEMS = 10

_TONES = {"ok": Tone.GOOD, "note": Tone.DOUBTFUL, "problem": Tone.BAD}


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command("doctor")(doctor)


def doctor(config: ConfigOption = None, output: OutputOption = Format.TABLE) -> None:
    """Check this installation: configuration, database, kernel log, collectors, port, clock. Changes nothing.

    Exit code 0 when nothing has to be done, 10 when there are problems.
    """
    from clusterwatch import logs
    from clusterwatch.app.doctor import examine, has_problems
    from clusterwatch.app.findings import surroundings
    from clusterwatch.cli.output import emit, say
    from clusterwatch.clock import SystemClock

    # What collectors log while they are tried is said by the findings.
    logs.configure("error", "auto")
    findings = examine(surroundings(config, SystemClock()))
    emit(findings, output, _columns())
    if has_problems(findings):
        say(f"clusterwatch: {amount(sum(finding.state == 'problem' for finding in findings), 'problem')} found")
        raise typer.Exit(FOUND_PROBLEMS)


def _columns() -> tuple[Column[Finding], ...]:
    return (
        Column("STATE", lambda finding: Phrase(finding.state.value, _TONES[finding.state.value])),
        Column("CHECK", lambda finding: finding.name),
        Column("FOUND", lambda finding: finding.what),
        Column("WHAT TO DO", lambda finding: finding.next_step),
    )
