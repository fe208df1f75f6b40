"""`clusterwatch jobs`: what trains, how far it is, and why it stopped."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from clusterwatch.cli.automation import WhoOption, WhyOption
from clusterwatch.cli.diagnose import NodeList
from clusterwatch.cli.options import ConfigOption, DatabaseOption, LimitOption, OutputOption
from clusterwatch.cli.output import Format

if TYPE_CHECKING:
    from clusterwatch.cli.views.why import Why
    from clusterwatch.model import Interruption
    from clusterwatch.store import IncidentView, JobView, Reader

app = typer.Typer(help="Training jobs: how far they are, and why one stopped.", no_args_is_help=True)


class Window(StrEnum):
    """How far back to look; the lengths are those of the ledger's windows."""

    HOUR = "1h"
    DAY = "24h"
    WEEK = "7d"
    ALL = "all"


JobArgument = Annotated[str, typer.Argument(metavar="JOB", help="Id or name, or the beginning of it.")]


def register(root: typer.Typer) -> None:
    """Add the commands to *root*."""
    root.add_typer(app, name="jobs")


@app.command("list")
def list_(
    active: Annotated[bool, typer.Option("--active", help="Only those that still want to train.")] = False,
    limit: LimitOption = 50,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """List jobs, newest first, each with the age of its last step and checkpoint."""
    from clusterwatch.cli.finding import NOTHING_YET, opened_store, present_in
    from clusterwatch.cli.output import emit, print_json
    from clusterwatch.cli.views.jobs import job_columns, job_json

    with opened_store(config, database) as store:
        found = store.read.jobs(limit=limit, active_only=active)
        has_any = bool(found or store.read.jobs(limit=1))
        now = present_in(store.read)
    if output is Format.JSON:
        print_json([job_json(job) for job in found])
        return
    none = 'no active job; past ones: "clusterwatch jobs list"' if has_any else NOTHING_YET
    emit(found, output, job_columns(now), empty=none)


@app.command()
def show(
    job: JobArgument,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Show one job: attempts, placement, checkpoints, progress, interruptions and where its time went."""
    from clusterwatch.app.reckoning import whole_ledger
    from clusterwatch.cli.finding import job_named, opened_store, present_in
    from clusterwatch.cli.output import show as answer
    from clusterwatch.cli.views.jobs import job_page, job_view_json

    with opened_store(config, database) as store:
        view, now = job_named(store.read, job), present_in(store.read)
    ledger = whole_ledger(view, now)
    answer(job_view_json(view, ledger), job_page(view, ledger, now), output)


@app.command()
def why(
    job: Annotated[
        str | None, typer.Argument(metavar="[JOB]", help="Id or name; the job that changed last by default.")
    ] = None,
    incident: Annotated[
        str | None, typer.Option(metavar="ID", help="The interruption of this incident; the latest by default.")
    ] = None,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Say what stopped a job, which part, how sure, on what evidence, what was done and what it cost."""
    from clusterwatch.cli.finding import NOTHING_YET, opened_store
    from clusterwatch.cli.output import print_json, say
    from clusterwatch.cli.output import show as answer
    from clusterwatch.cli.views.why import why_json, why_page

    with opened_store(config, database) as store:
        found = _why(store.read, job, incident)
    if found is not None:
        answer(why_json(found), why_page(found), output)
        return
    say(NOTHING_YET)
    if output is Format.JSON:
        print_json(None)


@app.command()
def goodput(
    job: Annotated[
        str | None, typer.Argument(metavar="[JOB]", help="Id or name; the job that changed last by default.")
    ] = None,
    window: Annotated[Window, typer.Option(help="How far back from its present, or from its end.")] = Window.ALL,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Say where the time of a job went: by reason, cause, attempt and incident, and how often it breaks."""
    from clusterwatch.app.reckoning import job_account, present_of
    from clusterwatch.cli.finding import NOTHING_YET, job_named, latest_job, opened_store
    from clusterwatch.cli.output import print_json, say
    from clusterwatch.cli.output import show as answer
    from clusterwatch.cli.views.goodput import goodput_json, goodput_page
    from clusterwatch.clock import SystemClock
    from clusterwatch.goodput import WINDOWS

    with opened_store(config, database) as store:
        latest = latest_job(store.read) if job is None else None
        if job is None and latest is None:
            say(NOTHING_YET)
            if output is Format.JSON:
                print_json(None)
            return
        view = job_named(store.read, job or (latest.id if latest else ""))
        until, length = present_of(view.job, SystemClock().now()), WINDOWS[window.value]
        from_at = view.job.started_at if length is None else max(view.job.started_at, until - length)
        found = job_account(store.read, view, from_at, until)
    answer(goodput_json(found, window.value), goodput_page(found, window.value), output)


@app.command()
def hold(
    job: JobArgument,
    why: WhyOption,
    by: WhoOption = None,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Keep automation from a job: when it goes down, it stays down until it is released."""
    from clusterwatch.cli.automation import held
    from clusterwatch.cli.finding import job_named, opened_store

    with opened_store(config, database) as store:
        job_id = job_named(store.read, job).job.id
    held(f"job:{job_id}", by, why, config, database, output)


@app.command()
def release(
    job: JobArgument,
    by: WhoOption = None,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Let automation act on a job again; if it is down, it is decided about anew."""
    from clusterwatch.cli.automation import released
    from clusterwatch.cli.finding import job_named, opened_store

    with opened_store(config, database) as store:
        job_id = job_named(store.read, job).job.id
    released(f"job:{job_id}", by, config, database, output)


def _why(read: Reader, job: str | None, incident: str | None) -> Why | None:
    """Return the answer for *job*; None when no job is known and none was named."""
    from clusterwatch.cli.finding import job_named, latest_job, present_in
    from clusterwatch.cli.views.why import Why

    latest = latest_job(read) if job is None else None
    name = latest.id if latest else job
    if name is None:
        return None
    view = job_named(read, name)
    interruption = _interruption(view, incident)
    incident_id = interruption.incident_id if interruption else None
    explained = _followed(read, incident_id) if incident_id else None
    return Why(view, interruption, explained, present_in(read))


def _interruption(view: JobView, incident: str | None) -> Interruption | None:
    from clusterwatch.cli.views.why import interruption_of
    from clusterwatch.errors import ClusterWatchError

    found = interruption_of(view.interruptions, incident)
    if found is None and incident is not None:
        known = ", ".join(dict.fromkeys(each.incident_id for each in view.interruptions if each.incident_id))
        raise ClusterWatchError(
            f'no interruption of job {view.job.id} belongs to an incident "{incident}"; it has: {known or "none"}'
        )
    return found


def _followed(read: Reader, incident_id: str) -> IncidentView | None:
    """Return the incident, or the one it was merged into."""
    view = read.incident(incident_id)
    seen = {incident_id}
    while view is not None and view.incident.merged_into and view.incident.merged_into not in seen:
        seen.add(view.incident.merged_into)
        view = read.incident(view.incident.merged_into) or view
    return view


@app.command("resume-env")
def resume_env(
    job: Annotated[
        str | None,
        typer.Argument(metavar="[JOB]", help="Id of the job; of the Slurm job that this runs in by default."),
    ] = None,
    attempt: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Attempt that is about to run; Slurm's count of restarts by default."),
    ] = None,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Print from where the job goes on, for `eval "$(clusterwatch jobs resume-env)"`; on doubt nothing."""
    from clusterwatch.cli.finding import opened_store
    from clusterwatch.cli.output import print_json, say
    from clusterwatch.cli.views.resume import resume_values, shell_lines

    job_id, number = _this_job(job, attempt)
    with opened_store(config, database) as store:
        # All values or none, and only once all are known: half an answer would be evaluated too.
        values = resume_values(job_id, number, store.read.decisions(job=job_id))
    if output is Format.JSON:
        print_json(values)
    elif values is None:
        say(f"nothing was decided for attempt {number} of {job_id}: the job's own default holds")
    else:
        typer.echo(shell_lines(values), nl=False)


def _this_job(job: str | None, attempt: int | None) -> tuple[str, int]:
    """Return id and attempt as they were given, else as Slurm's environment has them.

    Raises:
        ClusterWatchError: Neither says which.
    """
    from clusterwatch.errors import ClusterWatchError

    number, restarts = os.environ.get("SLURM_JOB_ID", ""), os.environ.get("SLURM_RESTART_COUNT", "0")
    if job is None and not number.isdecimal():
        raise ClusterWatchError("which job? Name it; SLURM_JOB_ID is not set here")
    if attempt is None and not restarts.isdecimal():
        raise ClusterWatchError("which attempt? Give --attempt; SLURM_RESTART_COUNT is no number here")
    return job or f"slurm-{number}", attempt or int(restarts) + 1


@app.command("exclude-list")
def exclude_list(
    job: JobArgument,
    form: Annotated[
        NodeList | None,
        typer.Option("--list", metavar="slurm|pbs|lines", help="Print only the nodes, as a scheduler reads them."),
    ] = None,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """List the nodes that ClusterWatch leaves out of a job: since when, why, and when each returns."""
    from clusterwatch import config as configuration
    from clusterwatch.app.leaving_out import excluded_from
    from clusterwatch.cli.finding import job_named, opened_store, present_in
    from clusterwatch.cli.output import emit
    from clusterwatch.cli.views.excluded import excluded_columns
    from clusterwatch.reading.nodelists import LISTS

    settings = configuration.load(config, {"database": database})
    with opened_store(config, database) as store:
        now = present_in(store.read)
        found = excluded_from(store, settings, job_named(store.read, job), now)
    if form is not None:
        typer.echo(LISTS[form.value](each.left.node for each in found))
        return
    emit(found, output, excluded_columns(now), empty="ClusterWatch leaves no node out of this job")
