"""`clusterwatch evaluate`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from clusterwatch.cli import evaluate

FELL_OFF = "[512.000000] NVRM: Xid (PCI:0000:86:00): 79, pid=1234, name=python, GPU has fallen off the bus."
CASES = (
    {"id": "1", "text": FELL_OFF, "cause": "faulty_gpu", "culprit": [{"kind": "gpu", "id": "0000:86:00"}]},
    {"id": "2", "text": "iteration 5 done", "cause": "power_supply"},
)


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    file = tmp_path / "cases.jsonl"
    file.write_text("".join(f"{json.dumps(case)}\n" for case in CASES))
    return file


def run(*arguments: str | Path) -> Result:
    app = typer.Typer()
    evaluate.register(app)
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_answer_for_scripts_has_the_fields_they_rely_on(cases: Path):
    found = json.loads(run(cases, "-o", "json").stdout)

    assert (found["n"], found["top1"], found["top1_lenient"], found["culprit_accuracy"]) == (2, 0.5, 0.5, 1.0)
    assert found["confusion"]["power_supply"] == {"benign": 1}
    assert {"macro_f1", "false_hardware_blame", "by_cause", "reliability"} <= found.keys()


def test_every_prediction_is_written_with_its_suspects(cases: Path, tmp_path: Path):
    run(cases, "--predictions", tmp_path / "out.jsonl")

    first, second = map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())
    assert (first["id"], first["cause"], first["suspects"][0]["id"]) == ("1", "faulty_gpu", "0000:86:00")
    assert second == {"id": "2", "cause": "benign", "confidence": second["confidence"], "suspects": []}


def test_page_names_the_misses(cases: Path):
    page = run(cases).stdout

    assert "right or acceptable           0.500" in page
    assert ["2", "power_supply", "benign"] in [line.split()[:3] for line in page.splitlines()]


def test_report_is_markdown_with_every_table(cases: Path, tmp_path: Path):
    run(cases, "--report", tmp_path / "report.md", "--leave-one-source-out")

    report = (tmp_path / "report.md").read_text()
    assert "### By cause" in report
    assert "| faulty_gpu | 1 | 1.00 | 1.00 | 1.00 |" in report
