import json

import pytest
from typer.testing import CliRunner

from clusterwatch.cli.config import app


@pytest.fixture
def file(tmp_path):
    return tmp_path / "clusterwatch.toml"


def answer(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_show_says_where_each_value_came_from_and_hides_passwords(file, monkeypatch):
    file.write_text('database = "postgresql://cw:hush@db/cw"\n')
    monkeypatch.setenv("CLUSTERWATCH_SERVER__PORT", "9")

    result = answer("show", "--config", file, "-o", "json")

    values = json.loads(result.stdout)
    assert result.exit_code == 0
    assert values["database"] == {"value": "postgresql://cw:***@db/cw", "origin": "file"}
    assert values["server.port"] == {"value": 9, "origin": "environment"}
    assert values["server.host"]["origin"] == "default"


def test_show_prints_a_table(file):
    file.write_text('node = "[bold]node001"\n')

    result = answer("show", "--config", file)

    assert "[bold]node001" in result.stdout
    assert "server.port" in result.stdout


def test_show_warns_on_standard_error_of_a_server_open_to_all(file):
    file.write_text('[server]\nhost = "0.0.0.0"\n')

    result = answer("show", "--config", file, "-o", "json")

    assert json.loads(result.stdout)["server.host"]["value"] == "0.0.0.0"
    assert "warning: server.host is 0.0.0.0" in result.stderr


def test_validate_says_that_all_is_well(file):
    file.write_text('node = "node001"\n')

    assert answer("validate", "--config", file).exit_code == 0
    assert json.loads(answer("validate", "--config", file, "-o", "json").stdout) == {
        "valid": True,
        "mistakes": [],
        "warnings": [],
    }


@pytest.mark.parametrize("command", ["show", "validate"])
def test_all_mistakes_go_to_standard_error_with_exit_code_2(file, command):
    file.write_text('sever = 1\n[server]\nport = "http"\n')

    result = answer(command, "--config", file)

    assert (result.exit_code, result.stdout) == (2, "")
    assert "2 mistakes" in result.stderr
    assert 'sever: unknown key, did you mean "server"?' in result.stderr


def test_mistakes_can_be_had_as_json(file):
    file.write_text("[settle]\nmargin = 2\n")

    result = answer("validate", "--config", file, "-o", "json")

    assert result.exit_code == 2
    assert [mistake["key"] for mistake in json.loads(result.stdout)["mistakes"]] == ["settle.margin"]


def test_collector_that_is_not_installed_is_a_mistake(file):
    file.write_text("[collectors.nvlm]\nenabled = true\n")

    result = answer("validate", "--config", file)

    assert result.exit_code == 2
    assert "collectors.nvlm: no installed collector has this name" in result.stderr
