"""`clusterwatch run -- CMD...`: supervise a training command here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to *app*."""
    app.command("run", context_settings={"allow_interspersed_args": False})(run)


def run(
    command: Annotated[list[str], typer.Argument(metavar="-- CMD...", help="The training command and its arguments.")],
    name: Annotated[str | None, typer.Option(help="Name of the job; the command's own by default.")] = None,
    checkpoint_dir: Annotated[
        Path | None, typer.Option(help="Folder in which the command saves its checkpoints.")
    ] = None,
    gpus: Annotated[int, typer.Option(min=0, help="GPUs it holds; the number of its ranks where not given.")] = 0,
    config: Annotated[Path | None, typer.Option(help="Configuration file.")] = None,
    database: Annotated[str | None, typer.Option(help="Database URL.")] = None,
    state_dir: Annotated[Path | None, typer.Option(help="Folder for the embedded database and job output.")] = None,
    hang_minimum: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Silence that is never called a hang.")
    ] = None,
) -> None:
    """Run a training command: record it, diagnose what breaks it, restart it from its last complete checkpoint.

    The command learns where to resume from CLUSTERWATCH_RESUME_CHECKPOINT, CLUSTERWATCH_RESUME_STEP and
    CLUSTERWATCH_ATTEMPT. Exit code 0 when it completed, 1 when it was given up or stopped.
    """
    import uuid

    from clusterwatch import config as configuration
    from clusterwatch import logs
    from clusterwatch.app.run import supervise
    from clusterwatch.app.wiring import user_name
    from clusterwatch.supervise import JobDescription

    settings = configuration.load(
        config, {"database": database, "state_dir": state_dir, "hang.minimum_seconds": hang_minimum}
    )
    logs.configure(settings.logs.level, settings.logs.format)
    job = JobDescription(
        id=f"job-{uuid.uuid4().hex[:8]}",
        name=name or Path(command[0]).name,
        command=tuple(command),
        node=settings.node,
        user=user_name(),
        gpus=gpus,
        checkpoint_dir=str(checkpoint_dir.resolve()) if checkpoint_dir else "",
    )
    raise typer.Exit(supervise(settings, job))
