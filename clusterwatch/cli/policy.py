"""`clusterwatch policy`: what decides, why it decided so, and what another policy would have done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from clusterwatch.cli.options import ConfigOption, DatabaseOption, OutputOption
from clusterwatch.cli.output import Format

if TYPE_CHECKING:
    from pathlib import Path

    from clusterwatch.config import Settings
    from clusterwatch.policy import Limits, Policy

app = typer.Typer(help="What decides: check a policy, explain its decisions, try another.", no_args_is_help=True)

PROBLEMS_FOUND = 10

PolicyArgument = Annotated[
    str | None,
    typer.Argument(metavar="[POLICY]", help="A built-in policy's name, or a file; as configured otherwise."),
]


def register(root: typer.Typer) -> None:
    """Add the commands to *root*."""
    root.add_typer(app, name="policy")


@app.command("list")
def list_(output: OutputOption = Format.TABLE) -> None:
    """List the built-in policies."""
    from clusterwatch.cli.output import emit, print_json
    from clusterwatch.cli.views.policies import policy_columns, policy_json
    from clusterwatch.policy import built_in, built_in_texts

    found = [built_in(name) for name in built_in_texts()]
    if output is Format.JSON:
        print_json([policy_json(each) for each in found])
    else:
        emit(found, output, policy_columns())


@app.command()
def show(policy: PolicyArgument = None, config: ConfigOption = None, output: OutputOption = Format.TABLE) -> None:
    """Show the rules of a policy, in the order in which they are tried."""
    from clusterwatch.cli.output import show as answer
    from clusterwatch.cli.views.policies import policy_json, policy_page

    chosen = _chosen(policy, config)
    answer(policy_json(chosen), policy_page(chosen), output)


@app.command()
def check(policy: PolicyArgument = None, config: ConfigOption = None, output: OutputOption = Format.TABLE) -> None:
    """Check a policy: its form, facts, values, actions, and rules that are never reached. Exit code 10 on problems."""
    from clusterwatch.cli.output import print_json, say
    from clusterwatch.errors import ConfigError

    mistakes: list[str] = []
    rules, name = 0, policy or ""
    try:
        chosen = _chosen(policy, config)
        rules, name = len(chosen.rules), chosen.name
    except ConfigError as error:
        mistakes = [str(mistake) for mistake in error.mistakes]
    if output is Format.JSON:
        print_json({"policy": name, "rules": rules, "mistakes": mistakes})
    for mistake in mistakes if output is Format.TABLE else ():
        say(mistake)
    if mistakes:
        raise typer.Exit(PROBLEMS_FOUND)
    if output is Format.TABLE:
        say(f"policy {name}: {rules} rules are in order")


@app.command()
def explain(
    incident: Annotated[str, typer.Argument(metavar="INCIDENT", help="The id, or the beginning of it.")],
    policy: Annotated[
        str | None, typer.Option("--policy", metavar="POLICY", help="Say too what this policy would have decided.")
    ] = None,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Say what was decided about an incident: by which rule, why, what else was considered, and what became of it."""
    from clusterwatch.app.judging import would_decide
    from clusterwatch.cli.finding import incident_named, opened_store
    from clusterwatch.cli.output import show as answer
    from clusterwatch.cli.views.policies import explanation_json, explanation_page

    limits = _limits(policy, config) if policy is not None else None
    with opened_store(config, database) as store:
        view = incident_named(store.read, incident)
        instead = would_decide(store.read, view.decisions, limits) if limits is not None else []
    answer(explanation_json(view, instead), explanation_page(view, instead), output)


@app.command()
def backtest(
    policy: Annotated[str, typer.Argument(metavar="POLICY", help="A built-in policy's name, or a file.")],
    days: Annotated[float, typer.Option(min=0, help="How far back, in days.")] = 30.0,
    trace: Annotated[
        str | None, typer.Option(metavar="TRACE", help="Replay this trace under it instead; name or file.")
    ] = None,
    against: Annotated[
        str | None, typer.Option(metavar="POLICY", help="With --trace: held against this one; else the one in use.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="With --trace: another seed places the same faults elsewhere.")
    ] = None,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Hold a policy against recorded decisions, up to the first that differs: then the world goes another way.

    With --trace, let a simulated cluster live through a trace under it, and once more under the policy in use.
    """
    if trace is not None:
        _in_closed_loop(policy, trace, against, seed, config, output)
    elif against is not None or seed is not None:
        raise typer.BadParameter("--against and --seed are about a trace: name one with --trace")
    else:
        _on_record(policy, days, config, database, output)


def _on_record(policy: str, days: float, config: Path | None, database: str | None, output: Format) -> None:
    from datetime import timedelta
    from itertools import islice

    from clusterwatch.app.judging import judged, up_to_the_first_that_differs
    from clusterwatch.cli.finding import opened_store
    from clusterwatch.cli.output import show as answer
    from clusterwatch.cli.views.policies import backtest_json, backtest_page
    from clusterwatch.clock import SystemClock

    limits = _limits(policy, config)
    with opened_store(config, database) as store:
        since = SystemClock().now() - timedelta(days=days)
        found = list(islice(up_to_the_first_that_differs(judged(store.read, limits, since)), 100_000))
    answer(backtest_json(limits.policy.name, found), backtest_page(limits.policy.name, found), output)


def _in_closed_loop(
    policy: str, trace: str, against: str | None, seed: int | None, config: Path | None, output: Format
) -> None:
    from clusterwatch import logs
    from clusterwatch.app.backtesting import backtest as compared
    from clusterwatch.cli.output import show as answer
    from clusterwatch.cli.replay import progress
    from clusterwatch.cli.views.backtest import closed_loop_page

    logs.configure("error", "auto")
    settings = _settings(config)
    with progress(trace) as on_progress:
        made = compared(trace, (policy, against or settings.policy.use), settings, seed, on_progress)
    answer(made.as_json(), closed_loop_page(made), output)


def _chosen(policy: str | None, config: Path | None) -> Policy:
    from clusterwatch.app.wiring import policy_of

    return policy_of(policy if policy is not None else _settings(config).policy.use)


def _limits(policy: str, config: Path | None) -> Limits:
    from dataclasses import replace

    from clusterwatch.app.wiring import limits_of, policy_of

    return replace(limits_of(_settings(config)).policy, policy=policy_of(policy))


def _settings(config: Path | None) -> Settings:
    from clusterwatch import config as configuration

    return configuration.load(config, {})
