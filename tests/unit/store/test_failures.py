"""Each way a database file fails gives one message that says whose fault it is and what to do."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from clusterwatch.errors import StoreError
from clusterwatch.model import Component, ComponentKind, Event
from clusterwatch.store import Cursor, Store
from clusterwatch.store.failures import store_error

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
NOBODY = 65534


def event(number: int, text: str = "") -> Event:
    node = Component(ComponentKind.NODE, "node001", "node001")
    return Event(
        id=f"{number:032x}",
        kind="host.load",
        component=node,
        happened_at=NOON,
        observed_at=NOON,
        source="host",
        text=text,
    )


def write_once(store: Store, number: int = 1) -> int:
    return store.record("node001", "host", [event(number)], {"at": number}, None, NOON)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    Store.open(f"sqlite:///{tmp_path}/cw.db", create=True).close()
    return tmp_path / "cw.db"


def test_locked_database_says_that_another_process_holds_it(path: Path):
    store = Store.open(f"sqlite:///{path}?timeout=0.1")

    with closing(sqlite3.connect(path)) as other, pytest.raises(StoreError, match="another process holds it locked"):
        other.execute("BEGIN IMMEDIATE")
        write_once(store)

    assert write_once(store) == 1
    store.close()


@contextmanager
def at_most(pages: int) -> Iterator[None]:
    def limit(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute(f"PRAGMA max_page_count={pages}")

    sa.event.listen(sa.Engine, "connect", limit)
    yield
    sa.event.remove(sa.Engine, "connect", limit)


def test_full_disk_says_so_and_keeps_what_was_recorded(path: Path):
    with at_most(pages=path.stat().st_size // 4096 + 2):
        store = Store.open(f"sqlite:///{path}")
        write_once(store, 1)
        too_much = [event(number, "x" * 4000) for number in range(2, 20)]

        with pytest.raises(StoreError, match="no space is left"):
            store.record("node001", "host", too_much, {"at": 20}, None, NOON)

    assert [stored.id for stored in store.inbox(Cursor())[0]] == [event(1).id]
    assert store.position("node001", "host") == {"at": 1}
    store.close()


def test_missing_folder_is_named(tmp_path: Path):
    with pytest.raises(StoreError, match="nowhere does not exist: create it"):
        Store.open(f"sqlite:///{tmp_path}/nowhere/cw.db", create=True)


def test_missing_file_is_not_made_by_looking(tmp_path: Path):
    with pytest.raises(StoreError, match='run "clusterwatch db upgrade"'):
        Store.open(f"sqlite:///{tmp_path}/cw.db")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("create", [False, True])
def test_file_that_is_no_database_is_left_alone(tmp_path: Path, create: bool):
    path = tmp_path / "cw.db"
    path.write_bytes(b"a letter to my aunt\n" * 100)

    with pytest.raises(StoreError, match="not a ClusterWatch database, or is damaged"):
        Store.open(f"sqlite:///{path}", create=create)

    assert path.read_bytes().startswith(b"a letter to my aunt")


def test_database_cut_short_says_that_it_is_damaged(path: Path):
    path.write_bytes(path.read_bytes()[: 4096 * 3])

    with pytest.raises(StoreError, match="damaged"):
        write_once(Store.open(f"sqlite:///{path}"))


def set_revision(path: Path, revision: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", [revision])
        connection.commit()


@pytest.mark.parametrize("create", [False, True])
def test_newer_database_asks_for_the_newer_version(path: Path, create: bool):
    set_revision(path, "9999")

    with pytest.raises(StoreError, match="database is at 9999, which this version does not know"):
        Store.open(f"sqlite:///{path}", create=create)


def test_database_without_our_tables_asks_for_the_upgrade(tmp_path: Path):
    sqlite3.connect(tmp_path / "cw.db").close()
    (tmp_path / "cw.db").touch()

    with pytest.raises(
        StoreError, match=r'without ClusterWatch tables, this version needs .*"clusterwatch db upgrade"'
    ):
        Store.open(f"sqlite:///{tmp_path}/cw.db")


@contextmanager
def as_a_user_without_rights() -> Iterator[None]:
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_file_that_may_not_be_written_says_so():
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        path = Path(folder) / "cw.db"
        Store.open(f"sqlite:///{path}", create=True).close()
        path.chmod(0o444)
        Path(folder).chmod(0o555)

        with as_a_user_without_rights(), pytest.raises(StoreError, match=r"may not be written|cannot be opened"):
            write_once(Store.open(f"sqlite:///{path}"))

        Path(folder).chmod(0o755)


def test_our_own_mistake_is_not_dressed_up_as_the_databases(path: Path):
    store = Store.open(f"sqlite:///{path}")
    store.record("node001", "host", [], {}, None, NOON)

    with pytest.raises(sa.exc.IntegrityError):
        store.approve("no such decision", "ada", "", NOON)
    store.close()


@pytest.mark.parametrize(
    ("said", "quoted"),
    [
        ("permission denied for schema public\nLINE 1: create\n        ^", "permission denied for schema public"),
        ("port 1 failed: Connection refused\n\tIs the server running there?", "port 1 failed: Connection refused"),
    ],
)
def test_line_that_says_what_is_wrong_is_quoted(said: str, quoted: str):
    assert str(store_error(psycopg.OperationalError(said), "x")).endswith(f"({quoted})")
