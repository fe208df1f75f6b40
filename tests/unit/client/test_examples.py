"""The examples of docs/client.md, run as they stand."""

import re
import subprocess
from pathlib import Path

import pytest

import clusterwatch.client
from clusterwatch.reading.reports import report_in

PAGE = (Path(__file__).parents[3] / "docs" / "client.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture
def report(tmp_path, monkeypatch):
    path = tmp_path / "job.report"
    monkeypatch.setenv("CLUSTERWATCH_REPORT", str(path))
    for name in ("CLUSTERWATCH_RANK", "RANK", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(clusterwatch.client, "_reporter", None)
    return path


def test_python_example_reports_what_it_says(report):
    exec(compile(blocks("python")[0], "docs/client.md", "exec"), {})

    assert [report_in(line).topic for line in report.read_text().splitlines()] == [
        "checkpoint", "step", *["checkpoint"] * 5, *["section"] * 2,
    ]  # fmt: skip


def test_shell_example_reports_a_step(report):
    script = f"step=7 loss=1.5\n{blocks('bash')[0]}"

    subprocess.run(["bash", "-c", script], check=True)

    assert report_in(report.read_text()).values == {"step": 7.0, "loss": 1.5}


def test_every_example_of_a_line_is_one():
    (lines,) = blocks("text")

    assert [line for line in lines.splitlines() if report_in(line) is None] == []
