"""What only PostgreSQL can get wrong: order of commits, partitions, locks between processes."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from clusterwatch.errors import StoreError
from clusterwatch.model import Component, ComponentKind, Event
from clusterwatch.store import Cursor, Store, migrations
from clusterwatch.store.engine import Database
from clusterwatch.store.inbox import add_events
from clusterwatch.store.tables import metadata

pytestmark = pytest.mark.integration

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
UPGRADE = "import sys; from clusterwatch.store.migrations import upgrade; upgrade(sys.argv[1])"


def event(number: int, observed_at: datetime = NOON) -> Event:
    node = Component(ComponentKind.NODE, "node001", "node001")
    values = {"happened_at": NOON, "observed_at": observed_at}
    return Event(id=f"{number:032x}", kind="host.load", component=node, source="host", **values)


def partitions(url: str) -> dict[str, int]:
    """Return rows by partition."""
    with psycopg.connect(url) as connection:
        return dict(connection.execute("select tableoid::regclass::text, count(*) from events group by 1").fetchall())


@pytest.mark.filterwarnings("ignore:Did not recognize type 'xid8'")
def test_migrated_schema_is_the_schema_of_the_models(postgres_url: str):
    with closing(Store.open(postgres_url)) as store:
        store.housekeep(NOON)

    with Database(postgres_url).read() as connection:
        context = MigrationContext.configure(connection, opts={"include_name": migrations.is_described})
        assert compare_metadata(context, metadata) == []


def test_processes_that_upgrade_at_once_all_succeed(empty_postgres_url: str):
    command = [sys.executable, "-c", UPGRADE, empty_postgres_url]
    children = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(4)]
    said = [child.communicate(timeout=60)[1].decode() for child in children]

    assert [child.returncode for child in children] == [0, 0, 0, 0], said
    assert migrations.current(empty_postgres_url) == migrations.head()


def test_event_committed_late_is_not_skipped(postgres_url: str):
    store, slow_writer = Store.open(postgres_url), Database(postgres_url)
    with slow_writer.write() as connection:
        add_events(connection, [event(1)], NOON)
        store.record("node002", "host", [event(2)], {}, None, NOON)
        while_open, cursor = store.inbox(Cursor())
    afterwards, cursor = store.inbox(cursor)

    assert sorted(e.id for e in (*while_open, *afterwards)) == [event(1).id, event(2).id]
    assert store.inbox(cursor) == ([], cursor)


def test_event_of_a_transaction_that_was_rolled_back_is_never_seen(postgres_url: str):
    store, failing_writer = Store.open(postgres_url), Database(postgres_url)
    with pytest.raises(RuntimeError), failing_writer.write() as connection:
        add_events(connection, [event(1)], NOON)
        raise RuntimeError("the writer dies")

    store.record("node001", "host", [event(2)], {}, None, NOON)

    assert [e.id for e in store.inbox(Cursor())[0]] == [event(2).id]


def test_events_lie_in_the_partition_of_their_day(postgres_url: str):
    store = Store.open(postgres_url)
    store.housekeep(NOON)

    store.record("node001", "host", [event(1), event(2, NOON + timedelta(days=1))], {}, None, NOON)

    assert partitions(postgres_url) == {"events_20260304": 1, "events_20260305": 1}


def test_events_of_a_day_without_a_partition_are_kept_too(postgres_url: str):
    store = Store.open(postgres_url)
    store.record("node001", "host", [event(1)], {}, None, NOON)

    store.housekeep(NOON)
    store.record("node001", "host", [event(2)], {}, None, NOON)

    assert partitions(postgres_url) == {"events_default": 2}
    assert len(store.inbox(Cursor())[0]) == 2


def test_housekeeping_twice_changes_nothing(postgres_url: str):
    store = Store.open(postgres_url)

    store.housekeep(NOON)
    store.housekeep(NOON + timedelta(days=1))

    with psycopg.connect(postgres_url) as connection:
        made = connection.execute("select count(*) from pg_inherits where inhparent = 'events'::regclass").fetchone()
    assert made == (10,)


def test_pruning_drops_whole_days(postgres_url: str):
    store = Store.open(postgres_url)
    store.record("node001", "host", [event(9, NOON - timedelta(days=30))], {}, None, NOON)
    store.housekeep(NOON)
    days = [event(number, NOON + timedelta(days=number)) for number in range(3)]
    store.record("node001", "host", days, {}, None, NOON)

    deleted = store.prune(NOON + timedelta(days=2))

    assert deleted["events"] == 3
    assert partitions(postgres_url) == {"events_20260306": 1}


def test_server_that_is_not_there_says_so():
    with pytest.raises(StoreError, match="nothing answers there: start PostgreSQL or correct the address"):
        Store.open("postgresql://ada:secret@127.0.0.1:1/cw")


def test_database_that_does_not_exist_says_so(postgres_url: str):
    with pytest.raises(StoreError, match="does not exist: create it or correct the URL"):
        Store.open(postgres_url + "_of_another_name")


def test_unknown_user_says_so(postgres_url: str):
    with pytest.raises(StoreError, match="does not know this user"):
        Store.open(postgres_url.replace("postgres@", "ada@"))


def test_server_that_takes_no_writes_says_so(postgres_url: str):
    store = Store.open(postgres_url + "?options=-c%20default_transaction_read_only%3Don")

    with pytest.raises(StoreError, match="name the primary"):
        store.record("node001", "host", [event(1)], {}, None, NOON)


def test_database_without_our_tables_asks_for_the_upgrade(empty_postgres_url: str):
    with pytest.raises(StoreError, match='run "clusterwatch db upgrade"'):
        Store.open(empty_postgres_url)


def test_newer_database_asks_for_the_newer_version(postgres_url: str):
    with psycopg.connect(postgres_url) as connection:
        connection.execute("update alembic_version set version_num = '9999'")

    with pytest.raises(StoreError, match="database is at 9999, which this version does not know"):
        Store.open(postgres_url, create=True)


def test_session_cut_by_the_server_is_replaced(postgres_url: str):
    store = Store.open(postgres_url)
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() "
            "and datname = current_database()"
        )

    store.ping()

    assert store.record("node001", "host", [replace(event(1), rank=3)], {}, None, NOON) == 1
