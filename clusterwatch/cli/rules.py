"""`clusterwatch rules`: the detection rules, ours and the site's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clusterwatch.cli.options import OutputOption
from clusterwatch.cli.output import Format
from clusterwatch.model import Cause

if TYPE_CHECKING:
    from clusterwatch.detect import Catalog

app = typer.Typer(help="The detection rules: list, check, test and explain them.", no_args_is_help=True)

PROBLEMS_FOUND = 10

RulesOption = Annotated[
    Path | None,
    typer.Option("--rules-dir", metavar="DIR", help="The site's own rules; as configured otherwise."),
]
RulesProfileOption = Annotated[
    str | None, typer.Option("--profile", metavar="NAME", help="Whose word counts on Xids; as configured otherwise.")
]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="TOML file; $CLUSTERWATCH_CONFIG otherwise.")
]


def register(root: typer.Typer) -> None:
    """Add the commands to *root*."""
    root.add_typer(app, name="rules")


@app.command("list")
def list_(
    text: Annotated[str, typer.Argument(metavar="[TEXT]", help="Only those whose name, kind or file holds it.")] = "",
    cause: Annotated[Cause | None, typer.Option(help="Only those that speak for this cause most.")] = None,
    rules_dir: RulesOption = None,
    profile: RulesProfileOption = None,
    config: ConfigOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """List the rules, each with the event it gives and the cause that speaks for most."""
    from clusterwatch.cli.output import emit, print_json
    from clusterwatch.cli.views.rules import listed, rule_columns, rule_json

    catalog = _catalog(rules_dir, profile, config)
    found = listed(catalog, text, cause)
    if output is Format.JSON:
        print_json([rule_json(rule, catalog.knowledge) for rule in found])
    else:
        emit(found, output, rule_columns(catalog.knowledge), empty="no rule of that name, kind, file or cause")


@app.command()
def check(
    folder: Annotated[Path | None, typer.Argument(metavar="[DIR]", help="Folder of the site's own rules.")] = None,
    profile: RulesProfileOption = None,
    config: ConfigOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Check the rules: their form, their names, their patterns, and every example line. Exit code 10 on problems."""
    from clusterwatch.app.rulebook import broken_examples
    from clusterwatch.cli.output import print_json, say
    from clusterwatch.errors import CatalogError

    try:
        catalog = _catalog(folder, profile, config)
        mistakes, rules = list(broken_examples(catalog)), len(catalog.rules)
    except CatalogError as error:
        mistakes, rules = [line.strip() for line in str(error).splitlines()[1:]], 0
    if output is Format.JSON:
        print_json({"rules": rules, "mistakes": mistakes})
    for mistake in mistakes if output is Format.TABLE else ():
        say(mistake)
    if mistakes:
        raise typer.Exit(PROBLEMS_FOUND)
    if output is Format.TABLE:
        say(f"{rules} rules are in order, and so are all their examples")


@app.command()
def test(
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help='Logs; "-" for standard input.')],
    limit: Annotated[int, typer.Option(min=1, help="At most this many lines.")] = 1000,
    rules_dir: RulesOption = None,
    profile: RulesProfileOption = None,
    config: ConfigOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Show which lines of logs the rules recognise, and as what. Exit code 1 where none were and not all was read."""
    from itertools import islice

    from clusterwatch.app.inputs import Problem
    from clusterwatch.app.rulebook import recognised
    from clusterwatch.cli.output import emit, print_json, say
    from clusterwatch.cli.views.rules import line_columns, line_json
    from clusterwatch.clock import SystemClock

    catalog = _catalog(rules_dir, profile, config)
    found = list(islice(recognised(paths, catalog, SystemClock().now()), limit))
    for each in found:
        if isinstance(each, Problem):
            say(f"clusterwatch: {each.words}")
    lines = [each for each in found if not isinstance(each, Problem)]
    if found and not lines:
        raise typer.Exit(1)
    if output is Format.JSON:
        print_json([line_json(line, catalog.knowledge) for line in lines])
    else:
        emit(lines, output, line_columns(), empty="no line that any rule recognises")


@app.command()
def explain(
    line: Annotated[str, typer.Argument(metavar="LINE", help="A line of a log, in quotes.")],
    rules_dir: RulesOption = None,
    profile: RulesProfileOption = None,
    config: ConfigOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Say what a line of a log means: the rules that match, the event, what it weighs, what to do, and who says so."""
    from clusterwatch.app.rulebook import read_line
    from clusterwatch.cli.output import show
    from clusterwatch.cli.views.rules import explanation_page, line_json
    from clusterwatch.clock import SystemClock

    catalog = _catalog(rules_dir, profile, config)
    found = read_line(line, catalog, SystemClock().now())
    show(line_json(found, catalog.knowledge), explanation_page(found, catalog), output)


def _catalog(rules_dir: Path | None, profile: str | None, config: Path | None) -> Catalog:
    from clusterwatch import config as configuration
    from clusterwatch import resources
    from clusterwatch.detect import compile_catalog

    settings = configuration.load(config, {})
    folder = rules_dir if rules_dir is not None else settings.rules_dir
    return compile_catalog(resources.catalog_texts(folder), profile or settings.detect.profile)
