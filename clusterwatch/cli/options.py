"""Options that many commands share, so that they read the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from clusterwatch.cli.documents import DocumentFormat
from clusterwatch.cli.output import Format

ConfigOption = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="TOML file; $CLUSTERWATCH_CONFIG otherwise.")
]
DatabaseOption = Annotated[
    str | None,
    typer.Option(
        "--database", metavar="URL", help="sqlite:///PATH or postgresql://USER@HOST/NAME; as configured otherwise."
    ),
]
OutputOption = Annotated[Format, typer.Option("-o", "--output", help="For people or for scripts.")]
DocumentOption = Annotated[
    DocumentFormat, typer.Option("-o", "--output", help="For people, for scripts, or to keep and send on.")
]
ProfileOption = Annotated[
    str, typer.Option("--profile", metavar="NAME", help='Whose word counts on Xids; see "clusterwatch rules explain".')
]
LimitOption = Annotated[int, typer.Option("--limit", min=1, max=100_000, help="At most this many.")]
PagePortOption = Annotated[
    int, typer.Option("--port", min=0, max=65_535, help="Port of the page on 127.0.0.1; 0 takes a free one.")
]
