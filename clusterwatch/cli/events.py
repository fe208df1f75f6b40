"""`clusterwatch events`: what was seen, as it was seen."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clusterwatch.cli.options import ConfigOption, DatabaseOption, LimitOption, OutputOption
from clusterwatch.cli.output import Format

if TYPE_CHECKING:
    from clusterwatch.cli.views.events import Numbered
    from clusterwatch.store import Reader

app = typer.Typer(help="Events: what was seen, as it was seen.", no_args_is_help=True)

POLL_SECONDS = 1.0
_BATCH = 2000


class LeastSeverity(StrEnum):
    """How grave an event must be to be listed."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    FATAL = "fatal"


JobOption = Annotated[str | None, typer.Option(help="Of this job only.")]
NodeOption = Annotated[str | None, typer.Option(help="Of this node only.")]
KindOption = Annotated[str | None, typer.Option(help='Of this kind and its special kinds: "gpu.xid" takes gpu.xid.79.')]
SeverityOption = Annotated[LeastSeverity, typer.Option(help="At least this grave.")]


def register(root: typer.Typer) -> None:
    """Add the commands to *root*."""
    root.add_typer(app, name="events")


@app.command("list")
def list_(
    job: JobOption = None,
    node: NodeOption = None,
    kind: KindOption = None,
    severity: SeverityOption = LeastSeverity.INFO,
    since: Annotated[
        str | None, typer.Option(metavar="SPAN|TIME", help="Observed since: 90s, 15m, 1h, 2d or 2026-03-04T12:00.")
    ] = None,
    limit: LimitOption = 100,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """List the newest events, oldest first."""
    from clusterwatch.cli.finding import NOTHING_YET, opened_store
    from clusterwatch.cli.output import emit, print_json
    from clusterwatch.cli.views.events import EVENT_COLUMNS, event_json

    since_at = _since(since)
    with opened_store(config, database) as store:
        found = _fetch(store.read, job, node, kind, severity)(since=since_at, limit=limit)
        has_any = bool(found or store.read.events(limit=1))
    if output is Format.JSON:
        print_json([event_json(numbered) for numbered in found])
        return
    emit(found, output, EVENT_COLUMNS, empty="no such event" if has_any else NOTHING_YET)


@app.command()
def tail(
    job: JobOption = None,
    node: NodeOption = None,
    kind: KindOption = None,
    severity: SeverityOption = LeastSeverity.INFO,
    lines: Annotated[int, typer.Option("-n", "--lines", min=0, help="Begin with this many of the past.")] = 10,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Follow events as they are recorded, until Ctrl-C; JSON is one object a line."""
    from clusterwatch.cli.finding import opened_store
    from clusterwatch.cli.repeating import until_interrupted
    from clusterwatch.cli.views.events import Tail
    from clusterwatch.clock import SystemClock

    print_one = _printer(output)
    with opened_store(config, database) as store:
        newest = store.read.events(limit=1)
        last = newest[-1][0] if newest else 0
        fetch = _fetch(store.read, job, node, kind, severity)
        following = Tail(lambda after: fetch(after_seq=after, limit=_BATCH), last)
        for numbered in [each for each in fetch(limit=lines) if each[0] <= last] if lines else []:
            print_one(numbered)

        def look() -> None:
            for numbered in following.new():
                print_one(numbered)

        until_interrupted(look, POLL_SECONDS, SystemClock())


def _fetch(
    read: Reader, job: str | None, node: str | None, kind: str | None, severity: LeastSeverity
) -> Callable[..., list[Numbered]]:
    """Return the query for events with these filters; limits and positions are still open."""
    from clusterwatch.model import Severity

    # An event may name a job before its start was recorded, so an unknown job is no mistake here.
    known = read.job(job) if job is not None else None
    job_id = known.job.id if known else job
    return partial(read.events, job=job_id, node=node, kind=kind, min_severity=Severity[severity.name])


def _since(text: str | None) -> datetime | None:
    from clusterwatch.cli.wording import time_since
    from clusterwatch.clock import SystemClock

    if text is None:
        return None
    try:
        return time_since(text, SystemClock().now())
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--since") from error


def _printer(output: Format) -> Callable[[Numbered], Any]:
    from clusterwatch.cli.output import print_json, print_line
    from clusterwatch.cli.views.events import event_json, event_line

    if output is Format.JSON:
        return lambda numbered: print_json(event_json(numbered), one_line=True)
    return lambda numbered: print_line(event_line(numbered))
