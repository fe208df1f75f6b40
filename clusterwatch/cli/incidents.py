"""`clusterwatch incidents`: what went wrong, and everything known of one of them."""

from __future__ import annotations

from typing import Annotated

import typer

from clusterwatch.cli.documents import DocumentFormat
from clusterwatch.cli.options import ConfigOption, DatabaseOption, DocumentOption, LimitOption, OutputOption
from clusterwatch.cli.output import Format

app = typer.Typer(help="What went wrong: open and past incidents.", no_args_is_help=True)


def register(root: typer.Typer) -> None:
    """Add the commands to *root*."""
    root.add_typer(app, name="incidents")


@app.command("list")
def list_(
    all_: Annotated[bool, typer.Option("--all", help="Closed and merged ones too.")] = False,
    job: Annotated[str | None, typer.Option(help="Only those that touch this job.")] = None,
    limit: LimitOption = 50,
    config: ConfigOption = None,
    database: DatabaseOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """List open incidents, newest first, each with its cause and first suspect."""
    from clusterwatch.cli.finding import NOTHING_YET, job_named, opened_store, present_in
    from clusterwatch.cli.output import emit, print_json
    from clusterwatch.cli.views.incidents import incident_columns, incident_json

    with opened_store(config, database) as store:
        job_id = job_named(store.read, job).job.id if job is not None else None
        found = store.read.incidents(open_only=not all_, limit=limit, job=job_id)
        has_any = bool(found or job or store.read.incidents(limit=1) or store.read.jobs(limit=1))
        now = present_in(store.read)
    if output is Format.JSON:
        print_json([incident_json(explained) for explained in found])
        return
    none = "no incident" if all_ else 'no open incident; past ones: "clusterwatch incidents list --all"'
    emit(found, output, incident_columns(now), empty=none if has_any else NOTHING_YET)


@app.command()
def show(
    incident: Annotated[str, typer.Argument(metavar="ID", help="The id, or the beginning of it.")],
    config: ConfigOption = None,
    database: DatabaseOption = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Show one incident: cause, suspects, evidence, what was done about it and what is left to do."""
    from clusterwatch.cli.finding import incident_named, opened_store, present_in
    from clusterwatch.cli.output import show as answer
    from clusterwatch.cli.views.incidents import incident_page, incident_view_json

    with opened_store(config, database) as store:
        view = incident_named(store.read, incident)
        now = present_in(store.read)
    answer(incident_view_json(view), incident_page(view, now), output)


@app.command()
def export(
    incident: Annotated[str, typer.Argument(metavar="ID", help="The id, or the beginning of it.")],
    config: ConfigOption = None,
    database: DatabaseOption = None,
    output: DocumentOption = DocumentFormat.MARKDOWN,
) -> None:
    """Write the post-mortem of an incident: what happened when, on what evidence, what was done and what it cost."""
    from clusterwatch.app.postmortem import postmortem_of
    from clusterwatch.cli.documents import show_document
    from clusterwatch.cli.finding import incident_named, opened_store, present_in
    from clusterwatch.cli.views.postmortem import postmortem_json, postmortem_page

    with opened_store(config, database) as store:
        found = postmortem_of(store.read, incident_named(store.read, incident), present_in(store.read))
    title = f"Post-mortem of {found.incident.id}"
    show_document(postmortem_json(found), title, postmortem_page(found), output)
