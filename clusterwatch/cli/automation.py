"""`clusterwatch approve`, `veto`, `breaker` and `maintenance`: what people tell automation, with who and why."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from clusterwatch.cli.options import ConfigOption, DatabaseOption, OutputOption
from clusterwatch.cli.output import Format

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from clusterwatch.model import MaintenanceWindow
    from clusterwatch.store import Store

T = TypeVar("T")

breaker = typer.Typer(help="What stops all automation at once.", no_args_is_help=True)
maintenance = typer.Typer(help="Announced work: what happens to nodes meanwhile is no fault.", no_args_is_help=True)

DecisionArgument = Annotated[str, typer.Argument(metavar="DECISION", help="The id, or the beginning of it.")]
WhyOption = Annotated[str, typer.Option("--why", metavar="TEXT", help="Why; it is kept with your name.")]
WhoOption = Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who says so; your user name otherwise.")]

_HOURS = 3600.0


def register(root: typer.Typer) -> None:
    """Add the commands to *root*."""
    root.command("approve")(approve)
    root.command("veto")(veto)
    root.add_typer(breaker, name="breaker")
    root.add_typer(maintenance, name="maintenance")


def approve(
    decision: DecisionArgument,
    why: WhyOption,
    by: WhoOption = None,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Let a decision that waits for approval be carried out."""
    from clusterwatch.app import operating
    from clusterwatch.cli.output import print_json, say

    made = told(config, database, lambda store, now: operating.approve(store, decision, who(by), why, now))
    if output is Format.JSON:
        print_json({"decision": made.id, "verdict": "approved", "by": who(by), "why": why})
    else:
        say(f"{made.id} is approved: {made.reason}")


def veto(
    decision: DecisionArgument,
    why: WhyOption,
    by: WhoOption = None,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Cancel every step of a decision that has not begun."""
    from clusterwatch.app import operating
    from clusterwatch.cli.output import print_json, say

    made, cancelled = told(config, database, lambda store, now: operating.veto(store, decision, who(by), why, now))
    kinds = [step.kind.value for step in cancelled]
    if output is Format.JSON:
        print_json({"decision": made.id, "verdict": "vetoed", "by": who(by), "why": why, "cancelled": kinds})
    else:
        say(f"{made.id} is vetoed; cancelled: {', '.join(kinds)}")


@breaker.command("status")
def breaker_status(
    config: ConfigOption = None, database: DatabaseOption = None, output: OutputOption = Format.TABLE
) -> None:
    """Say whether the breaker is open, since when and why. Exit code 10 while it is."""
    from clusterwatch.cli.output import print_json, say
    from clusterwatch.cli.wording import stamp
    from clusterwatch.model import CLUSTER

    holds = told(config, database, lambda store, now: store.read.holds())
    found = next((each for each in holds if each.subject == CLUSTER), None)
    is_open = found is not None and found.is_active
    if output is Format.JSON:
        print_json({"open": is_open, "last": found})
    elif found is None:
        say("the breaker is closed, and never was open")
    elif is_open:
        say(f"the breaker is open since {stamp(found.made_at)}: {found.reason}; every decision waits for a person")
    else:
        say(f"the breaker is closed: {found.lifted_by} reset it; opened at {stamp(found.made_at)}: {found.reason}")
    if is_open:
        raise typer.Exit(10)


@breaker.command("reset")
def breaker_reset(
    by: WhoOption = None,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Let automation act again, from the next decision on; nothing that was missed is done."""
    from clusterwatch.app import operating
    from clusterwatch.cli.output import print_json, say
    from clusterwatch.model import CLUSTER

    lifted = told(config, database, lambda store, now: operating.release(store, CLUSTER, who(by), now))
    if output is Format.JSON:
        print_json({"open": False, "last": lifted})
    else:
        say("the breaker is closed: the next decision is automatic again; what waited still waits for approval")


@maintenance.command("start")
def maintenance_start(
    nodes: Annotated[list[str], typer.Argument(metavar="NODE...", help="Names of the nodes.")],
    why: WhyOption,
    hours: Annotated[float, typer.Option(min=0.01, max=24 * 365, help="How long it lasts.")] = 2.0,
    after: Annotated[float, typer.Option("--in", min=0, max=24 * 365, help="Hours until it begins.")] = 0.0,
    by: WhoOption = None,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Announce work on nodes, from now or later on."""
    from datetime import timedelta

    from clusterwatch.app import operating
    from clusterwatch.cli.output import print_json, say
    from clusterwatch.cli.wording import stamp

    def announced(store: Store, now: datetime) -> MaintenanceWindow:
        starts_at = now + timedelta(seconds=after * _HOURS)
        ends_at = starts_at + timedelta(seconds=hours * _HOURS)
        return operating.announce(store, nodes, starts_at, ends_at, who(by), why, now)

    window = told(config, database, announced)
    if output is Format.JSON:
        print_json(window)
    else:
        say(f"{window.id}: work on {', '.join(window.nodes)} from {stamp(window.starts_at)} to {stamp(window.ends_at)}")


@maintenance.command("list")
def maintenance_list(
    all_: Annotated[bool, typer.Option("--all", help="What has ended too.")] = False,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """List announced work, the latest first."""
    from clusterwatch.cli.output import Column, emit
    from clusterwatch.cli.wording import stamp

    found = told(
        config, database, lambda store, now: [each for each in store.read.maintenance() if all_ or each.ends_at > now]
    )
    columns: tuple[Column[MaintenanceWindow], ...] = (
        Column("ID", lambda each: each.id),
        Column("FROM", lambda each: stamp(each.starts_at)),
        Column("TO", lambda each: stamp(each.ends_at)),
        Column("NODES", lambda each: ", ".join(each.nodes)),
        Column("BY", lambda each: each.made_by),
        Column("WHY", lambda each: each.reason),
    )
    emit(found, output, columns, empty="no work is announced")


@maintenance.command("end")
def maintenance_end(
    window: Annotated[str, typer.Argument(metavar="ID", help="The id, or the beginning of it.")],
    by: WhoOption = None,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Say that announced work is over."""
    from clusterwatch.app import operating
    from clusterwatch.cli.output import print_json, say

    ended = told(config, database, lambda store, now: operating.end_maintenance(store, window, who(by), now))
    if output is Format.JSON:
        print_json(ended)
    else:
        say(f"{ended.id} is over: {', '.join(ended.nodes)}")


def held(subject: str, by: str | None, why: str, config: Path | None, database: str | None, output: Format) -> None:
    """Hold *subject*, and say so."""
    from clusterwatch.app import operating
    from clusterwatch.cli.output import print_json, say

    made = told(config, database, lambda store, now: operating.hold(store, subject, who(by), why, now))
    if output is Format.JSON:
        print_json(made)
    else:
        say(f"{subject.replace(':', ' ')} is held: automation leaves it alone until it is released")


def released(subject: str, by: str | None, config: Path | None, database: str | None, output: Format) -> None:
    """Lift the hold on *subject*, and say so."""
    from clusterwatch.app import operating
    from clusterwatch.cli.output import print_json, say

    lifted = told(config, database, lambda store, now: operating.release(store, subject, who(by), now))
    if output is Format.JSON:
        print_json(lifted)
    else:
        say(f"{subject.replace(':', ' ')} is released: automation may act on it again")


def who(by: str | None) -> str:
    """Return who says so."""
    from clusterwatch.app.wiring import user_name

    return by or user_name()


def told(config: Path | None, database: str | None, tell: Callable[[Store, datetime], T]) -> T:
    """Return what *tell* makes of the store that flags, environment and file name, now."""
    from clusterwatch.cli.finding import opened_store
    from clusterwatch.clock import SystemClock

    with opened_store(config, database) as store:
        return tell(store, SystemClock().now())
