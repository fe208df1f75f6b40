"""`clusterwatch doctor`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from clusterwatch.cli import doctor


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration of its own, so that no finding depends on the machine's."""
    file = tmp_path / "clusterwatch.toml"
    file.write_text(f'state_dir = "{tmp_path}/state"\n[server]\nport = 0\n')
    return file


def run(*arguments: str | Path) -> Result:
    app = typer.Typer()
    doctor.register(app)
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_answer_for_scripts_is_a_list_of_findings(config: Path):
    done = run("--config", config, "-o", "json")

    findings = json.loads(done.stdout)
    assert {tuple(finding) for finding in findings} == {("name", "state", "what", "next_step")}
    assert {finding["state"] for finding in findings} <= {"ok", "note", "problem"}


def test_mistake_in_the_configuration_is_a_problem_and_the_rest_is_checked(config: Path):
    config.write_text("nonsense = 1\n")

    done = run("--config", config)

    assert done.exit_code == 10
    assert "nonsense" in done.stdout
    assert "extra grafana" in done.stdout
    assert "found" in done.stderr


def test_nothing_is_made(config: Path, tmp_path: Path):
    run("--config", config)

    assert [path.name for path in tmp_path.iterdir()] == ["clusterwatch.toml"]
