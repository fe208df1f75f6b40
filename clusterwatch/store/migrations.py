"""The schema's version: which one a database has, which one this program needs, and the way there."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

import clusterwatch
from clusterwatch.errors import StoreError
from clusterwatch.store.engine import Database

# "clusterw" in ASCII: one number that every version of ClusterWatch takes before it changes the schema.
UPGRADE_LOCK = 0x636C757374657277

_PARTITION = re.compile(r"events_(\d{8}|default)")
_OF_ONE_DATABASE = frozenset({"ix_events_xact_seq", "uq_events_id"})
"""What PostgreSQL finds the inbox by, and what keeps ids unique on SQLite."""


def upgrade(url: str) -> None:
    """Make or upgrade the schema of the database at *url*; of several processes one does it and the others wait.

    Raises:
        StoreError: If the database cannot be reached, or is newer than this version.
    """
    with locked_connection(url) as connection:
        _refuse_newer(_revision(connection))
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def current(url: str) -> str | None:
    """Return the schema revision of the database at *url*; None if it has no ClusterWatch tables."""
    database = Database(url)
    try:
        return current_of(database)
    finally:
        database.close()


def head() -> str:
    """Return the schema revision that this version needs."""
    revision = _scripts().get_current_head()
    if revision is None:
        raise FileNotFoundError(f"no migrations in {folder()}")
    return revision


def check(url: str) -> None:
    """Return if the database at *url* has the schema that this version needs.

    Raises:
        StoreError: If it has not; the message says what to do.
    """
    database = Database(url)
    try:
        check_of(database)
    finally:
        database.close()


def current_of(database: Database) -> str | None:
    """Return the schema revision of *database*; None if it has no ClusterWatch tables."""
    with database.read() as connection:
        return _revision(connection)


def check_of(database: Database) -> None:
    """Raise a StoreError unless *database* has the schema that this version needs."""
    found, needed = current_of(database), head()
    _refuse_newer(found)
    if found != needed:
        at = f"at {found}" if found else "without ClusterWatch tables"
        raise StoreError(f'database is {at}, this version needs {needed}: run "clusterwatch db upgrade"')


def folder() -> Path:
    """Return where the migrations are: inside an installed package, or beside the package in a checkout."""
    package = Path(clusterwatch.__file__).parent
    # Beside an installed package "alembic" is the library of that name: only ours holds an env.py.
    for candidate in (package / "_migrations", package.parent / "alembic"):
        if (candidate / "env.py").is_file():
            return candidate
    raise FileNotFoundError(f"no migrations beside {package}: reinstall clusterwatch")


def is_described(name: str | None, kind: str, _parents: object) -> bool:
    """Return whether autogenerate should look at an object: partitions come and go without a migration."""
    return name not in _OF_ONE_DATABASE and (kind != "table" or name is None or not _PARTITION.fullmatch(name))


@contextmanager
def locked_connection(url: str) -> Iterator[sa.Connection]:
    """Yield a transaction on the database at *url* in which nobody else changes the schema."""
    database = Database(url, create=True)
    try:
        with _folder_lock(database), database.write() as connection:
            if database.is_postgresql:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(UPGRADE_LOCK)))
            yield connection
    finally:
        database.close()


@contextmanager
def _folder_lock(database: Database) -> Iterator[None]:
    # Switching a new SQLite file to its write-ahead log fails at once when another process does the same.
    with nullcontext() if database.is_postgresql else _flock(Path(database.place).absolute().parent):
        if not database.is_postgresql:
            database.use_write_ahead_log()
        yield


@contextmanager
def _flock(path: Path) -> Iterator[None]:
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _revision(connection: sa.Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _refuse_newer(found: str | None) -> None:
    known = {script.revision for script in _scripts().walk_revisions()}
    if found is not None and found not in known:
        raise StoreError(
            f"database is at {found}, which this version does not know (it needs {head()}): "
            "install the ClusterWatch that made it, or name a new database"
        )


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(folder()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
