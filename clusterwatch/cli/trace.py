"""`clusterwatch trace`: files that say what fails when, to replay a policy against."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clusterwatch.cli.options import ConfigOption, DatabaseOption, OutputOption
from clusterwatch.cli.output import Column, Format, emit, say

if TYPE_CHECKING:
    from clusterwatch.seams import Trace, TraceTools

app = typer.Typer(help="Traces of failures: make, check, count and convert them.", no_args_is_help=True)

PROBLEMS_FOUND = 10
_STANDARD_OUTPUT = "-"
_SIZES = ("kind", "seed", "days", "job", "nodes", "gpus")
_COUNTS = ("faults", "planned", "noise_records", "events", "readings", "decisions")

SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Chooses what is drawn: times, places, words.")]
OutOption = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", help='".zst" is compressed, "-" is standard output.')
]


class Form(StrEnum):
    """Whose records are converted."""

    ACME = "acme"
    INCIDENTS = "incidents"


def register(root: typer.Typer) -> None:
    """Add the commands to *root*."""
    root.add_typer(app, name="trace")


@app.command("list")
def list_(output: OutputOption = Format.TABLE) -> None:
    """List the traces that are built in."""
    from clusterwatch.app.tracing import trace_tools

    traces = [{"name": name, "about": about} for name, about in trace_tools().builtins().items()]
    emit(traces, output, (Column("TRACE", lambda each: each["name"]), Column("WHAT", lambda each: each["about"])))


@app.command()
def generate(
    source: Annotated[str, typer.Argument(metavar="NAME|SPEC.toml", help="A trace that is built in, or a spec.")],
    seed: SeedOption = 1,
    days: Annotated[
        float | None, typer.Option(min=0.01, max=3_660, help="How long; counts are scaled. As the spec says otherwise.")
    ] = None,
    stochastic: Annotated[
        bool, typer.Option("--stochastic", help="Draw also how many faults there are, each part with its own age.")
    ] = False,
    out: OutOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Write a trace: the same for the same seed, on every machine. To NAME.jsonl.zst if no file is named."""
    from clusterwatch.app.tracing import trace_tools

    tools = trace_tools()
    _written(tools, tools.generated(source, seed, days=days, stochastic=stochastic), out, output)


@app.command()
def validate(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Trace files, plain or zstd.")],
    output: OutputOption = Format.TABLE,
) -> None:
    """Check trace files: all mistakes at once, each with its line. Exit code 10 on problems."""
    from clusterwatch.app.tracing import trace_tools
    from clusterwatch.cli.output import print_json
    from clusterwatch.cli.views.trace import checked_json, checked_words

    tools = trace_tools()
    checked = [(file, *_checked(tools, file)) for file in files]
    if output is Format.JSON:
        print_json([checked_json(*each) for each in checked])
    else:
        say("\n".join(words for each in checked for words in checked_words(*each)))
    if any(mistakes for _, mistakes, _ in checked):
        raise typer.Exit(PROBLEMS_FOUND)


@app.command()
def stats(
    source: Annotated[str, typer.Argument(metavar="FILE|NAME", help="A trace file, a built-in trace, or a spec.")],
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="What is drawn of a built-in trace or a spec; 1 if not given.")
    ] = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Count what fails in a trace, by rows of Table 5, beside what its rates would give; and who fails repeatedly."""
    from clusterwatch.app.tracing import trace_tools
    from clusterwatch.cli.output import show
    from clusterwatch.cli.views.trace import stats_page

    tools = trace_tools()
    figures = tools.stats(_opened(tools, source, seed))
    show(figures, stats_page(figures), output)


_FOR_ONE_FORM = {
    "acme": ("min_gpus", "job_type"),
    "incidents": ("at", "time_form", "cause", "node", "repair_hours", "words"),
}
"""Flags of `convert` that say nothing to the other form."""


@app.command()
def convert(
    context: typer.Context,
    form: Annotated[Form, typer.Argument(help="acme: its public job trace; incidents: a table of your own.")],
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="The records, with a line of names at the top.")],
    out: OutOption = None,
    name: Annotated[str, typer.Option(help="Name of the trace; that of the file otherwise.")] = "",
    nodes: Annotated[int, typer.Option(min=0, max=1_000_000, help="Nodes of the job; acme knows by itself.")] = 0,
    seed: SeedOption = 1,
    min_gpus: Annotated[int, typer.Option(min=1, help="acme: only jobs with so many GPUs.")] = 8,
    job_type: Annotated[str, typer.Option(help="acme: only jobs of this type, such as Pretrain.")] = "",
    at: Annotated[str, typer.Option(metavar="COLUMN", help="incidents: when it failed.")] = "at",
    time_form: Annotated[
        str, typer.Option(metavar="FORM", help='incidents: how that is written, as "%d/%m/%Y %H:%M"; ISO 8601 if none.')
    ] = "",
    cause: Annotated[str, typer.Option(metavar="COLUMN", help="incidents: why.")] = "cause",
    node: Annotated[str, typer.Option(metavar="COLUMN", help="incidents: on which node.")] = "",
    repair_hours: Annotated[str, typer.Option(metavar="COLUMN", help="incidents: how long the repair took.")] = "",
    words: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="WORD=CAUSE", help='incidents: what a word means; "WORD=" for no fault.'),
    ] = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Make a trace of what others wrote down of their failures."""
    from clusterwatch.app.tracing import trace_tools
    from clusterwatch.seams import IntoTrace, TraceColumns

    _require_its_own_flags(context, form)
    tools, into = trace_tools(), IntoTrace(name or file.stem, nodes, seed)
    if form is Form.ACME:
        trace = tools.from_acme(str(file), into, least_gpus=min_gpus, job_type=job_type)
    else:
        columns = TraceColumns(at, cause, node, repair_hours, time_form)
        trace = tools.from_incidents(str(file), into, columns, words or [])
    _written(tools, trace, out, output)


def _require_its_own_flags(context: typer.Context, form: Form) -> None:
    others = {name: owner for owner, names in _FOR_ONE_FORM.items() if owner != form.value for name in names}
    for parameter in context.command.params:
        owner, source = others.get(parameter.name or ""), context.get_parameter_source(parameter.name or "")
        if owner is not None and source is not None and source.name == "COMMANDLINE":
            raise typer.BadParameter(f"is for {owner}, and says nothing to {form.value}", param_hint=parameter.opts[0])


@app.command()
def record(
    out: Annotated[Path, typer.Argument(metavar="OUT", help='File to write; ".zst" is compressed.')],
    job: Annotated[str, typer.Option(help="What a replay's summary is about; else the job with the most GPUs.")] = "",
    since: Annotated[
        str, typer.Option(metavar="SPAN|TIME", help="Leave out what came before: 12h, 30d or 2026-03-04T12:00.")
    ] = "",
    name: Annotated[str, typer.Option(help="Name of the trace; that of the file otherwise.")] = "",
    config: ConfigOption = None,
    database: DatabaseOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Write what the daemon has on record as a trace, to replay it: a recording."""
    from clusterwatch.app.recording import on_record
    from clusterwatch.app.tracing import trace_tools
    from clusterwatch.cli.finding import job_named, opened_store
    from clusterwatch.config import load

    since_at = _since(since)
    tools, topology = trace_tools(), load(config, {"database": database}).topology.topology()
    with opened_store(config, database) as store:
        about = job_named(store.read, job) if job else None
        known = on_record(store.read, name or out.name.partition(".")[0], about, since_at, topology)
        _written(tools, tools.recorded(known), out, output)


def _since(text: str) -> datetime | None:
    from clusterwatch.cli.wording import time_since
    from clusterwatch.clock import SystemClock

    try:
        return time_since(text, SystemClock().now()) if text else None
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--since") from error


def _written(tools: TraceTools, trace: Trace, out: Path | None, output: Format) -> None:
    from clusterwatch.cli.output import show
    from clusterwatch.cli.views.trace import written_page

    if str(out) == _STANDARD_OUTPUT:
        for line in tools.lines(trace):
            typer.echo(line)
        return
    figures, path = tools.stats(trace), out or Path(f"{trace.name}.jsonl.zst")
    counts = [name for name in _COUNTS if name in figures]
    total = 1 + sum(int(figures[name]) for name in counts)
    with _progress("writing", total) as advance:
        digest = tools.write(trace, str(path), lambda: advance(1))
    answer: Mapping[str, Any] = {
        "trace": trace.name,
        "file": str(path),
        "bytes": path.stat().st_size,
        "sha256": digest,
        **{name: figures[name] for name in (*_SIZES, *counts) if name in figures},
    }
    show(answer, written_page(answer), output)


def _checked(tools: TraceTools, file: Path) -> tuple[list[tuple[str, str]], Mapping[str, Any]]:
    """Return the mistakes in *file* by their places, and its figures where there are none."""
    from clusterwatch.errors import ConfigError

    try:
        with _reading(file) as advance:
            return [], tools.stats(tools.read(str(file), advance))
    except ConfigError as error:
        return [(mistake.key, mistake.problem) for mistake in error.mistakes], {}


def _opened(tools: TraceTools, source: str, seed: int | None) -> Trace:
    with _reading(Path(source)) as advance:
        return tools.opened(source, seed, advance)


def _reading(file: Path) -> AbstractContextManager[Callable[[int], None]]:
    return _progress("reading", file.stat().st_size if file.is_file() else 0)


@contextmanager
def _progress(words: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a bar on a terminal while *total* of something is worked through. zstd holds more than its size says."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(words, total=total)
        yield lambda count: progress.advance(task, count)
