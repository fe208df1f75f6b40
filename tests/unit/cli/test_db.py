"""The db commands, on a real file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from clusterwatch.cli.db import app
from clusterwatch.store import migrations


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/cw.db"


def run(*arguments: str):
    return CliRunner().invoke(app, list(arguments))


def test_upgrade_makes_the_tables_and_says_which_schema_they_have(url: str):
    done = run("upgrade", "--database", url, "-o", "json")

    assert (done.exit_code, json.loads(done.stdout)) == (0, {"revision": migrations.head()})


def test_current_says_whether_the_schema_is_the_one_needed(url: str):
    run("upgrade", "--database", url)

    done = run("current", "--database", url, "-o", "json")

    assert json.loads(done.stdout) == {"revision": migrations.head(), "needed": migrations.head(), "is_current": True}


def test_stats_counts_rows(url: str):
    run("upgrade", "--database", url)

    as_json = json.loads(run("stats", "--database", url, "-o", "json").stdout)
    as_table = run("stats", "--database", url).stdout

    assert as_json["rows"]["events"] == 0
    assert as_json["size_bytes"] > 0
    assert "incidents" in as_table


def test_prune_says_what_it_deleted(url: str):
    run("upgrade", "--database", url)

    done = run("prune", "--before-days", "30", "--database", url, "-o", "json")

    assert json.loads(done.stdout)["deleted"] == {"events": 0, "incident_events": 0, "progress": 0}


def test_prune_without_an_age_is_a_usage_error(url: str):
    assert run("prune", "--database", url).exit_code == 2


@pytest.mark.parametrize("command", [["current"], ["stats"], ["prune", "--before-days", "1"]])
def test_database_that_is_not_there_exits_with_three_and_says_what_to_do(url: str, command: list[str]):
    done = run(*command, "--database", url)

    assert done.exit_code == 3
    assert 'run "clusterwatch db upgrade"' in done.stderr
    assert done.stdout == ""
