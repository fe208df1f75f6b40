"""Run the migrations: on the connection that ClusterWatch gives, else on the one CLUSTERWATCH_DATABASE names."""

from __future__ import annotations

import os

import sqlalchemy as sa
from alembic import context, util

from clusterwatch.store.migrations import is_described, locked_connection
from clusterwatch.store.tables import metadata


def run(connection: sa.Connection) -> None:
    """Run what the command asks for in the transaction of *connection*."""
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=True,
        include_name=is_described,
    )
    with context.begin_transaction():
        context.run_migrations()


def run_from_environment() -> None:
    """Run on the database that the environment names."""
    url = os.environ.get("CLUSTERWATCH_DATABASE")
    if not url:
        raise util.CommandError("set CLUSTERWATCH_DATABASE to the URL of the database")
    with locked_connection(url) as connection:
        run(connection)


if context.is_offline_mode():
    raise util.CommandError("migrations look at the database: there is no offline mode")

given = context.config.attributes.get("connection")
if given is None:
    run_from_environment()
else:
    run(given)
