"""URLs and transactions."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from clusterwatch.errors import StoreError
from clusterwatch.store.engine import Database, database_url


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_postgresql_url_names_our_driver(scheme: str):
    assert database_url(f"{scheme}://ada@db/cw").drivername == "postgresql+psycopg"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("clusterwatch.db", "expected"),
        ("mysql://db/cw", "not supported"),
        ("sqlite://", "name a file"),
        ("sqlite:///:memory:", "name a file"),
    ],
)
def test_url_that_cannot_be_used_is_explained(url: str, says: str):
    with pytest.raises(StoreError, match=says):
        database_url(url)


def test_password_is_not_shown():
    assert "secret" not in Database("postgresql://ada:secret@db/cw").place


def test_transactions_that_read_and_then_write_take_turns(tmp_path: Path):
    database = Database(f"sqlite:///{tmp_path}/cw.db", create=True)
    database.use_write_ahead_log()
    with database.write() as connection:
        connection.exec_driver_sql("create table counter (n integer)")
        connection.exec_driver_sql("insert into counter values (0)")

    def count_up(_: int) -> None:
        with database.write() as connection:
            seen = connection.scalar(sa.text("select n from counter"))
            connection.execute(sa.text("update counter set n = :n"), {"n": seen + 1})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count_up, range(200)))

    with database.read() as connection:
        assert connection.scalar(sa.text("select n from counter")) == 200
    database.close()
