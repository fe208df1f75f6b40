"""`clusterwatch rules`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from clusterwatch.cli import rules

FELL_OFF = "[512.000000] NVRM: Xid (PCI:0000:86:00): 79, pid=1234, name=python, GPU has fallen off the bus."
SITE_RULE = """
[[rule]]
name = "coolant-low"
kind = "site.coolant"
literal = "coolant level"
pattern = "coolant level low on (?P<rack>[a-z0-9-]{1,40})"
component = { kind = "rack", id = "{rack}" }
sources = ["https://wiki.example.com/coolant"]
match = ["coolant level low on rack-7"]

[[signal]]
kind = "site.coolant"
meaning = "a rack lacks coolant"
severity = "error"
role = "fault"
weights = { gpu_thermal = 4.0 }
sources = ["https://wiki.example.com/coolant"]
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "coolant.toml").write_text(SITE_RULE)
    return tmp_path


def run(*arguments: str | Path) -> Result:
    app = typer.Typer()
    rules.register(app)
    return CliRunner().invoke(app, ["rules", *map(str, arguments)])


def test_our_own_rules_and_all_their_examples_are_in_order():
    done = run("check")

    assert done.exit_code == 0, done.stderr
    assert "rules are in order" in done.stderr


def test_rule_of_the_site_is_listed_with_what_it_speaks_for(site: Path):
    (found,) = json.loads(run("list", "coolant", "--rules-dir", site, "-o", "json").stdout)

    assert (found["name"], found["event"], found["file"]) == ("coolant-low", "site.coolant", "site/coolant.toml")
    assert found["weights"] == {"gpu_thermal": 4.0}


def test_rules_can_be_chosen_by_the_cause_they_speak_for():
    found = json.loads(run("list", "--cause", "gpu_hbm", "-o", "json").stdout)

    assert found
    assert all(max(rule["weights"], key=rule["weights"].get) == "gpu_hbm" for rule in found)


def test_all_mistakes_are_told_at_once_and_the_exit_code_says_so(site: Path):
    (site / "coolant.toml").write_text(SITE_RULE.replace("gpu_thermal", "gremlins").replace("(?P<rack>", "((?P<rack>"))

    done = run("check", site)

    assert done.exit_code == rules.PROBLEMS_FOUND
    assert "unknown cause 'gremlins'" in done.stderr
    assert "not a regular expression" in done.stderr


def test_example_that_its_rule_does_not_recognise_is_a_mistake(site: Path):
    (site / "coolant.toml").write_text(SITE_RULE.replace("low on rack-7", "fine on rack-7"))

    done = run("check", site, "-o", "json")

    assert done.exit_code == rules.PROBLEMS_FOUND
    (mistake,) = json.loads(done.stdout)["mistakes"]
    assert "'coolant-low': example is not recognised" in mistake


def test_lines_that_rules_recognise_are_shown_with_where_they_stand(tmp_path: Path, site: Path):
    log = tmp_path / "facility.log"
    log.write_text("all is well\nJan 20 11:58:04 bms: coolant level low on rack-7\n")

    (line,) = json.loads(run("test", log, "--rules-dir", site, "-o", "json").stdout)

    assert line["place"] == f"{log}:2"
    assert line["rules"] == [{"name": "coolant-low", "file": "site/coolant.toml", "counts": True}]
    assert line["events"][0]["component"] == {"kind": "rack", "id": "rack-7", "node": None}


def test_file_that_cannot_be_read_is_said(tmp_path: Path):
    done = run("test", tmp_path / "nowhere.log")

    assert done.exit_code == 1
    assert "nowhere.log: no such file or folder" in done.stderr


def test_line_is_explained_with_rule_event_weights_and_sources():
    page = run("explain", FELL_OFF).stdout

    assert "EVENT gpu.xid.79" in page
    assert "faulty_gpu" in page
    assert "https://" in page


def test_line_that_no_rule_knows_is_said_to_weigh_nothing():
    assert "no rule recognises it" in run("explain", "all is well").stdout
