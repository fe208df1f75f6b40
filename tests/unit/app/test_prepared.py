"""The database that a replay writes to."""

import sqlite3
from contextlib import closing

import pytest

from clusterwatch import config
from clusterwatch.app.replay import Asked, prepared


def journal_mode(url):
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        return connection.execute("PRAGMA journal_mode").fetchone()[0]


@pytest.mark.parametrize(("alone", "keeps_a_log"), [(False, True), (True, False)], ids=["looked at", "alone"])
def test_others_can_read_beside_a_replay_that_is_looked_at(alone, keeps_a_log):
    with prepared(Asked("tiny"), config.load(None, {}), alone=alone) as (_, url):
        assert (journal_mode(url) == "wal") is keeps_a_log


def test_database_that_was_asked_for_can_be_read_by_others_in_any_case(tmp_path):
    asked = Asked("tiny", database=f"sqlite:///{tmp_path / 'replay.db'}")

    with prepared(asked, config.load(None, {}), alone=True) as (_, url):
        assert journal_mode(url) == "wal"
