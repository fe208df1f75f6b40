"""The schema of a file database, and the way there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from clusterwatch.store import migrations
from clusterwatch.store.engine import Database
from clusterwatch.store.tables import metadata

UPGRADE = "import sys; from clusterwatch.store.migrations import upgrade; upgrade(sys.argv[1])"


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/cw.db"


def test_migrated_schema_is_the_schema_of_the_models(url: str):
    migrations.upgrade(url)

    with Database(url).read() as connection:
        context = MigrationContext.configure(connection, opts={"include_name": migrations.is_described})
        assert compare_metadata(context, metadata) == []


def test_there_is_one_head():
    assert len(ScriptDirectory(migrations.folder()).get_heads()) == 1


def test_migrations_are_no_package():
    assert not (migrations.folder() / "__init__.py").exists()


def test_upgrade_brings_a_new_file_to_the_head(url: str):
    migrations.upgrade(url)
    migrations.upgrade(url)

    assert migrations.current(url) == migrations.head()
    migrations.check(url)


def test_upgraded_file_lets_readers_go_on_beside_a_writer(url: str):
    migrations.upgrade(url)

    with Database(url).read() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def test_processes_that_upgrade_at_once_all_succeed(url: str):
    children = [subprocess.Popen([sys.executable, "-c", UPGRADE, url], stderr=subprocess.PIPE) for _ in range(4)]
    said = [child.communicate(timeout=60)[1].decode() for child in children]

    assert [child.returncode for child in children] == [0, 0, 0, 0], said
    assert migrations.current(url) == migrations.head()


def test_plain_alembic_command_upgrades_the_database_of_the_environment(url: str):
    checkout = migrations.folder().parent
    environment = {**os.environ, "CLUSTERWATCH_DATABASE": url}
    command = [sys.executable, "-m", "alembic", "upgrade", "head"]

    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert migrations.current(url) == migrations.head()


def test_plain_alembic_command_without_a_database_says_what_is_missing():
    environment = {name: value for name, value in os.environ.items() if name != "CLUSTERWATCH_DATABASE"}
    command = [sys.executable, "-m", "alembic", "upgrade", "head"]

    done = subprocess.run(command, cwd=migrations.folder().parent, env=environment, capture_output=True, text=True)

    assert done.returncode != 0
    assert "set CLUSTERWATCH_DATABASE" in done.stdout + done.stderr
