"""A URL to transactions that read or write, with errors in plain words."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from clusterwatch.errors import StoreError
from clusterwatch.store import jsontext
from clusterwatch.store.failures import plain_errors

_CACHE_KIB = 64 * 1024
"""What much is written to at once, and need not be safe, is kept in memory; events have random keys."""

BUSY_SECONDS = 10
"""How long a writer waits for its turn before it gives up; "?timeout=SECONDS" in the URL overrules it."""

_CONNECT_ARGUMENTS: dict[str, dict[str, Any]] = {
    "sqlite": {"timeout": BUSY_SECONDS},
    # A cut network must not hang a responder longer than a few leases.
    "postgresql": {"connect_timeout": 5, "tcp_user_timeout": 10_000},
}


def database_url(text: str) -> sa.URL:
    """Return the URL that names our driver.

    Raises:
        StoreError: If it is no URL of SQLite or PostgreSQL.
    """
    try:
        url = sa.make_url(text)
    except sa.exc.ArgumentError as error:
        raise StoreError('not a database URL: expected "sqlite:///path" or "postgresql://host/name"') from error
    if url.drivername in {"postgresql", "postgres"}:
        return url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() not in _CONNECT_ARGUMENTS:
        raise StoreError(f'database "{url.drivername}" is not supported: use "sqlite:///path" or "postgresql://..."')
    if url.get_backend_name() == "sqlite" and url.database in {None, "", ":memory:"}:
        raise StoreError("a database in memory is lost at once: name a file, such as sqlite:///clusterwatch.db")
    return url


class Database:
    """Connections to one database. *place* names it in messages, without the password.

    One that is not *durable* may lose what was written last when the machine loses power; SQLite may lose the file.
    One that is opened *alone* is read by nobody else meanwhile.
    """

    def __init__(self, url: str, *, create: bool = False, durable: bool = True, alone: bool = False) -> None:
        self.url = database_url(url)
        self.is_postgresql = self.url.get_backend_name() == "postgresql"
        self.place = self.url.render_as_string(hide_password=True) if self.is_postgresql else str(self.url.database)
        if not self.is_postgresql:
            _require_file(Path(self.place), create=create)
        self._engine = _engine(self.url, durable=durable, alone=alone)
        self._readers = self._engine.execution_options(
            **({"isolation_level": "REPEATABLE READ"} if self.is_postgresql else {})
        )
        self._writers = self._engine.execution_options(sqlite_begin="BEGIN IMMEDIATE")
        self._whole = _Whole()

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Yield a transaction that sees one state of the database."""
        whole = self._whole.connection
        with plain_errors(self.place), nullcontext(whole) if whole else self._readers.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Yield a transaction that writes: committed at the end, rolled back if anything is raised."""
        whole = self._whole.connection
        with plain_errors(self.place), _part_of(whole) if whole else self._writers.begin() as connection:
            yield connection

    @contextmanager
    def together(self) -> Iterator[None]:
        """Commit the transactions that this thread begins within at the end, all at once; each fails by itself.

        Other writers wait meanwhile. PostgreSQL, which gives no event out before it is committed, does nothing of it.
        """
        if self.is_postgresql or self._whole.connection is not None:
            yield
            return
        with plain_errors(self.place), self._writers.connect() as connection:
            whole = connection.begin()
            self._whole.connection = connection
            try:
                yield
            finally:
                self._whole.connection = None
                whole.commit()

    def use_write_ahead_log(self) -> None:
        """Let readers go on beside a writer (SQLite; the file remembers it)."""
        engine = self._engine.execution_options(sqlite_begin="")
        with plain_errors(self.place), engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")

    def close(self) -> None:
        """Give back the connections."""
        self._engine.dispose()


class _Whole(threading.local):
    """The transaction of which those of a thread are parts just now, if they are."""

    connection: sa.Connection | None = None


@contextmanager
def _part_of(whole: sa.Connection) -> Iterator[sa.Connection]:
    """Yield *whole*; what was written within is undone if anything is raised."""
    cursor = whole.connection.cursor()
    cursor.execute("SAVEPOINT part")
    try:
        yield whole
    except BaseException:
        cursor.execute("ROLLBACK TO part")
        raise
    finally:
        cursor.execute("RELEASE part")


def database_now(connection: sa.Connection) -> datetime:
    """Return the time by the database's own clock, UTC: the one clock that all processes share."""
    if connection.dialect.name == "postgresql":
        now: datetime = connection.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
        return now.astimezone(UTC)
    text: str = connection.execute(sa.select(sa.func.strftime("%Y-%m-%d %H:%M:%f", "now"))).scalar_one()
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _require_file(path: Path, *, create: bool) -> None:
    if not create and not path.exists():
        raise StoreError(
            f'there is no database {path} yet: start "clusterwatch daemon" or "clusterwatch run", which create it, '
            'or run "clusterwatch db upgrade"'
        )
    if not path.parent.is_dir():
        raise StoreError(f"folder {path.parent.absolute()} does not exist: create it or name another database")


def _engine(url: sa.URL, *, durable: bool, alone: bool) -> sa.Engine:
    defaults = _CONNECT_ARGUMENTS[url.get_backend_name()]
    engine = sa.create_engine(
        url,
        # A file does not hang up.
        pool_pre_ping=url.get_backend_name() != "sqlite",
        connect_args={name: value for name, value in defaults.items() if name not in url.query},
        json_serializer=jsontext.dumps,
        json_deserializer=jsontext.loads,
    )
    if url.get_backend_name() == "sqlite":
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
    if alone and url.get_backend_name() == "sqlite":
        sa.event.listen(engine, "connect", _keep_no_log)
    if not durable:
        sa.event.listen(engine, "connect", _do_not_wait_for_the_disk)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # Python's driver would begin transactions at a time of its own choosing, too late for BEGIN IMMEDIATE.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys=ON")


def _keep_no_log(connection: Any, _record: object) -> None:
    # A log lets others read beside the writer, and has each page written twice.
    connection.execute("PRAGMA journal_mode=MEMORY")


def _do_not_wait_for_the_disk(connection: Any, _record: object) -> None:
    # What is committed still survives the end of a process.
    is_sqlite = isinstance(connection, sqlite3.Connection)
    connection.execute("PRAGMA synchronous=OFF" if is_sqlite else "SET synchronous_commit = off")
    if is_sqlite:
        connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
        # What a part of a transaction may have to undo: by default each page goes to a file.
        connection.execute("PRAGMA temp_store=MEMORY")
    # Otherwise the first transaction, rolled back, would take the setting with it.
    connection.commit()


def _begin_sqlite(connection: sa.Connection) -> None:
    # A transaction that reads first and writes later fails at once when another wrote between, whatever the timeout:
    # writers take their turn at the beginning.
    begin = connection.get_execution_options().get("sqlite_begin", "BEGIN")
    if begin:
        # Straight to the driver: it is part of every transaction, and SQLAlchemy's way takes longer than most of them.
        connection.connection.cursor().execute(begin)
