"""The examples of docs/traces.md, run one after the other as a reader would."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from clusterwatch.cli import main
from trace_tools import install_trace_tools

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "traces.md"


def commands():
    blocks = re.findall(r"```console\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return [line.removeprefix("$ ") for block in blocks for line in block.splitlines() if line.startswith("$ ")]


def test_all_examples_of_the_page_run_in_their_order(tmp_path, monkeypatch, capsys):
    (tmp_path / "installed").mkdir()
    install_trace_tools(tmp_path / "installed", monkeypatch)
    here = shutil.copytree(ROOT / "docs" / "examples" / "traces", tmp_path / "here")
    shutil.copy(ROOT / "tests" / "data" / "traces" / "kalos.csv", here)
    monkeypatch.chdir(here)
    codes = {}

    for command in commands():
        program, *arguments = shlex.split(command)
        assert program == "clusterwatch"
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        codes[command] = ended.value.code

    assert len(codes) >= 10
    assert {command: code for command, code in codes.items() if code} == {}, capsys.readouterr().err
